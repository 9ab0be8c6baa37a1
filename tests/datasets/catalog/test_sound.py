"""N-TIDIGITS, S-MNIST and the layouts of SHD, against Tonic's classes on files made here."""

import h5py
import numpy as np
import pytest
import tonic.datasets

from spikesim.datasets import Events, load, write_spikes
from spikesim.datasets.catalog import Listing, leaks
from spikesim.datasets.catalog.smnist import spikes_of
from spikesim.errors import ConfigError, DatasetError, EventError, EventFileError

NAMES = {"train": ["man-ae-a-1", "woman-ac-b-o", "man-ae-b-139z", "man-ae-a-z"], "test": ["man-bh-a-9", "woman-cf-a-1"]}


@pytest.fixture
def digits(tmp_path):
    folder = tmp_path / "NTIDIGITS18"
    folder.mkdir()
    rng = np.random.default_rng(0)
    with h5py.File(folder / "n-tidigits.hdf5", "w") as file:
        for part, names in NAMES.items():
            file[f"{part}_labels"] = np.array([name.encode() for name in names])
            for name in names:
                file[f"{part}_addresses/{name}"] = rng.integers(0, 64, 30).astype(np.float32)
                file[f"{part}_timestamps/{name}"] = np.sort(rng.random(30)).astype(np.float32)
    return tmp_path


@pytest.mark.parametrize("part", ["train", "test"])
def test_single_digits_are_tonics(digits, part):
    ours = load("ntidigits", digits, part)
    theirs = tonic.datasets.NTIDIGITS18(str(digits), train=part == "train", single_digits=True)
    assert len(ours) == len(theirs) and ours.classes == tuple("o123456789z")
    for (events, label), (other, target) in zip(ours, theirs, strict=True):
        assert label == target and events.sensor_size == (64, 1, 1)
        assert np.array_equal(events.x, other["x"]) and events.p.all() and not events.y.any()
        # Tonic cuts the fraction of a microsecond off.
        assert ((events.t - other["t"] >= 0) & (events.t - other["t"] <= 1)).all()


def test_speakers_are_known_and_kept_apart(digits):
    whole = load("N-TIDIGITS", digits, "all")
    assert [(r.name, r.subject) for r in whole.recordings][:3] == [
        ("man-ae-a-1", "man-ae"), ("woman-ac-b-o", "woman-ac"), ("man-ae-a-z", "man-ae"),
    ]  # fmt: skip
    assert leaks(Listing(whole.recordings, whole.classes), whole.split) == []
    split = load("ntidigits", digits, protocol="subjects", seed=3).split
    subjects = [{whole.recordings[i].subject for i in split.parts[p]} for p in ("train", "test")]
    assert subjects[1] and not subjects[0] & subjects[1]


def test_damaged_digits_are_named(digits):
    path = digits / "NTIDIGITS18" / "n-tidigits.hdf5"
    with h5py.File(path, "a") as file:
        del file["train_timestamps/man-ae-a-1"]
        file["test_addresses/man-bh-a-9"][3] = 64
    with pytest.raises(EventFileError, match="man-ae-a-1 cannot be read"):
        load("ntidigits", digits)[0]
    with pytest.raises(EventError, match=r"n-tidigits\.hdf5: event 3 has x = 64"):
        load("ntidigits", digits, "test")[0]
    (digits / "other").mkdir()
    (digits / "other" / "n-tidigits.hdf5").write_bytes(b"no hdf5")
    with pytest.raises(DatasetError, match=r"n-tidigits\.hdf5: cannot be read"):
        load("ntidigits", digits / "other")


def _mnist(folder, part, pictures, labels):
    folder.mkdir(parents=True, exist_ok=True)
    for what, values, magic in (("images-idx3", pictures, 2051), ("labels-idx1", labels, 2049)):
        head = np.array([magic, *values.shape], ">u4").tobytes()
        (folder / f"{part}-{what}-ubyte").write_bytes(head + values.tobytes())


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    made = rng.integers(0, 256, (6, 28, 28)).astype(np.uint8)
    made[0], made[1] = 0, 255
    made[2, :, ::2] = 255
    return made


@pytest.mark.parametrize("folder", ["smnist", "MNIST/raw"])
def test_pictures_pixel_by_pixel_are_tonics(tmp_path, folder, pictures):
    labels = np.array([3, 1, 4, 1, 5, 9], np.uint8)
    _mnist(tmp_path / folder, "train", pictures, labels)
    _mnist(tmp_path / folder, "t10k", pictures[:2], labels[:2])
    if folder != "smnist":
        _mnist(tmp_path / "smnist_for_tonic" / "smnist", "train", pictures, labels)
    theirs = tonic.datasets.SMNIST(str(tmp_path if folder == "smnist" else tmp_path / "smnist_for_tonic"), train=True)
    ours = load("S-MNIST", tmp_path)
    assert len(ours) == 6 and len(load("smnist", tmp_path, "test")) == 2 and ours.classes[9] == "9"
    for (events, label), (other, target) in zip(ours, theirs, strict=True):
        assert label == target and events.sorted and events.sensor_size == (99, 1, 1)
        # Where several channels fire at one pixel, Tonic's spikes are not in order of time.
        ordered = other[np.lexsort((other["x"], other["t"]))]
        assert np.array_equal(events.x, ordered["x"]) and np.array_equal(events.t, ordered["t"])
    assert (np.diff(theirs[2][0]["t"]) < 0).any()
    assert len(ours[0][0]) == 0  # a black picture


def test_a_ramp_crosses_each_threshold_once():
    x, steps = spikes_of(np.arange(256, dtype=np.uint8), channels=5)
    assert sorted(x[::2].tolist()) == [0, 4] and (np.diff(steps) >= 0).all()
    assert steps[x == 4].tolist() == [2 * 253, 2 * 253 + 1] and steps[x == 0].tolist() == [2 * 255, 2 * 255 + 1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b[:-1], r"holds 4703 values, but its header announces \(6, 28, 28\)"),
        (lambda b: b"\x1f\x8b" + b[2:], "does not begin with 2051"),
        (lambda b: b[:9], "does not begin with 2051"),
        (lambda b: b[:4] + bytes([0, 0, 0, 5]) + b[8 : 16 + 5 * 784], "holds 6 labels for 5 pictures"),
    ],
)
def test_damaged_pictures_are_named(tmp_path, pictures, damage, message):
    _mnist(tmp_path, "train", pictures, np.zeros(6, np.uint8))
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(EventFileError, match=message):
        load("smnist", tmp_path)


def test_a_label_that_is_no_digit(tmp_path, pictures):
    _mnist(tmp_path, "train", pictures, np.array([0, 0, 17, 0, 0, 0], np.uint8))
    with pytest.raises(EventFileError, match="label 2 is 17"):
        load("smnist", tmp_path)


@pytest.mark.parametrize("folder", ["SHD", "events_h5", "extract", "."])
def test_spoken_digits_wherever_they_lie(tmp_path, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    recordings = [Events.from_columns([5, 699], [0, 0], [1000, 2000], [1, 1], (700, 1, 1)) for _ in range(2)]
    for part in ("train", "test"):
        write_spikes(tmp_path / folder / f"shd_{part}.h5", recordings, [0, 1], classes=("zero", "one"))
    assert load("shd", tmp_path)[1] == (recordings[1], 1)


def test_what_is_left_out_says_why():
    with pytest.raises(ConfigError, match=r"EBSSA is not in the catalogue: .*tonic\.datasets\.EBSSA reads them"):
        load("EBSSA", ".")
