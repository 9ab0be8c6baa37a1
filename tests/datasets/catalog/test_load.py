"""Datasets by name: every layout, one order, named splits, clear refusals."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from spikesim.datasets import Events, Frames, load, write_bin, write_events
from spikesim.datasets.catalog import CATALOG, Listing, Recording, entry_of, leaks, split
from spikesim.datasets.catalog.splits import at_random, by_subject, first_of_each_class, official
from spikesim.datasets.formats.spikes import write_spikes
from spikesim.errors import ConfigError, DatasetError, EventError


def _events(sensor, seed=0, count=20):
    draw = np.random.default_rng(seed)
    width, height, polarities = sensor
    t = np.sort(draw.integers(0, 300_000, count))
    return Events.from_columns(
        draw.integers(0, width, count), draw.integers(0, height, count), t, draw.integers(0, polarities, count), sensor
    )


def _nmnist(root, per_class=3):
    for part, count in (("Train", per_class), ("Test", 1)):
        for digit in (3, 0):
            (root / part / str(digit)).mkdir(parents=True)
            for k in (10, 9, 1)[:count]:
                write_bin(root / part / str(digit) / f"{k}.bin", _events((34, 34, 2), 100 * digit + k))
    return root


def test_names_are_found_however_they_are_written():
    for name in ("nmnist", "N-MNIST", "DVS Gesture", "CIFAR10-DVS", "N-Caltech101", "ASL-DVS", "DVS-Lip"):
        assert entry_of(name).name in CATALOG
    for other in ("imagenet", "", "-", None):
        with pytest.raises(ConfigError, match="expected one of nmnist"):
            entry_of(other)


def test_nmnist_in_natural_order_with_official_parts(tmp_path):
    _nmnist(tmp_path / "NMNIST")
    for root in (tmp_path, tmp_path / "NMNIST"):
        train = load("nmnist", root)
        assert [(f.parent.name, f.name) for f in train.files] == [
            ("0", "1.bin"), ("0", "9.bin"), ("0", "10.bin"), ("3", "1.bin"), ("3", "9.bin"), ("3", "10.bin"),
        ]  # fmt: skip
        assert train.labels.tolist() == [0, 0, 0, 3, 3, 3] and train.classes == tuple("0123456789")
        events, label = train[1]
        assert events == _events((34, 34, 2), 9) and label == 0
        assert len(load("nmnist", root, "test")) == 2 and len(load("nmnist", root, "all")) == 8
    assert load("nmnist", tmp_path, transform=len)[0] == (20, 0)


def test_validation_never_touches_test_and_the_digest_tells_splits_apart(tmp_path):
    _nmnist(tmp_path)
    parts = {p: load("nmnist", tmp_path, p, validation=1 / 3, seed=4) for p in ("train", "validation", "test")}
    files = [set(d.files) for d in parts.values()]
    assert [len(f) for f in files] == [4, 2, 2] and not (files[0] & files[1] or files[1] & files[2])
    assert files[2] == set(load("nmnist", tmp_path, "test").files)
    again = load("nmnist", tmp_path, validation=1 / 3, seed=4).split
    assert again.digest == parts["test"].split.digest != load("nmnist", tmp_path).split.digest
    assert str(again).startswith("official (4 train, 2 validation, 2 test, seed 4, ")
    assert load("nmnist", tmp_path).split.seed is None


@pytest.mark.parametrize(
    "folder", ["DVSGesture/ibmGestureTrain", "ibmGestureTrain"], ids=["inside Tonic's folder", "given that folder"]
)
def test_gesture_as_tonic_keeps_it(tmp_path, folder):
    session = tmp_path / folder / "user03_natural"
    session.mkdir(parents=True)
    np.save(session / "10.npy", np.array([[5, 6, 1, 2.0], [7, 8, 0, 30.5]]))
    np.save(session / "2.npy", np.zeros((0, 4)))
    train = load("dvsgesture", tmp_path)
    assert [(r.subject, r.source, r.group) for r in train.recordings] == [("user03", "user03_natural", "train")] * 2
    assert train.labels.tolist() == [2, 10] and train.classes[10] == "other gestures"
    assert len(train[0][0]) == 0
    assert train[1][0] == Events.from_columns([5, 7], [6, 8], [2000, 30500], [1, 0], (128, 128, 2))


def test_gesture_as_spikingjelly_keeps_it(tmp_path):
    for part, user in (("train", 1), ("test", 24)):
        folder = tmp_path / "events_np" / part / "4"
        folder.mkdir(parents=True)
        columns = {"t": [3, 9], "x": [1, 2], "y": [3, 4], "p": [0, 1]}
        np.savez(folder / f"user{user:02}_led_0.npz", **{k: np.array(v) for k, v in columns.items()})
    test = load("dvsgesture", tmp_path, "test")
    assert [(r.subject, r.label) for r in test.recordings] == [("user24", 4)]
    assert test[0][0] == Events.from_columns([1, 2], [3, 4], [3, 9], [0, 1], (128, 128, 2))


def _published_gesture(root, rows="class,startTime_usec,endTime_usec\n2,100,200\n11,200,300\n"):
    base = root / "DvsGesture"
    base.mkdir(parents=True)
    events = Events.from_columns([1, 2, 3, 4], [1, 1, 1, 1], [99, 100, 199, 250], [1, 1, 0, 1], (128, 128, 2))
    write_events(base / "user01_lab.aedat", events, "aedat3")
    (base / "user01_lab_labels.csv").write_text(rows)
    (base / "trials_to_train.txt").write_text("user01_lab.aedat\n")
    (base / "trials_to_test.txt").write_text("")


def test_gesture_as_published_is_cut_by_its_tables(tmp_path):
    _published_gesture(tmp_path)
    train = load("dvsgesture", tmp_path)
    assert [(r.label, r.span, r.subject) for r in train.recordings] == [
        (1, (100, 200), "user01"), (10, (200, 300), "user01"),
    ]  # fmt: skip
    assert train[0][0].t.tolist() == [100, 199] and train[1][0].t.tolist() == [250]


@pytest.mark.parametrize("rows", ["a,b,c\nx,y,z\n", "h\n12,1,2\n", "h\n1,5,2\n", "h\n1,2\n"])
def test_a_damaged_table_of_gestures_is_named(tmp_path, rows):
    _published_gesture(tmp_path, rows)
    with pytest.raises(DatasetError, match=r"user01_lab_labels\.csv"):
        load("dvsgesture", tmp_path)


def test_spoken_digits_with_speakers(tmp_path):
    (tmp_path / "SHD").mkdir()
    sensor = (700, 1, 1)
    recordings = [Events.from_columns([5, 699], [0, 0], [1000, 2000], [1, 1], sensor) for _ in range(4)]
    for part, speakers in (("train", [1, 2, 3, 3]), ("test", [4, 4, 5, 5])):
        write_spikes(
            tmp_path / "SHD" / f"shd_{part}.h5", recordings, [0, 1, 0, 1], classes=("zero", "one"), speakers=speakers
        )
    train = load("shd", tmp_path)
    assert train.classes == ("zero", "one") and train[3][0] == recordings[3]
    subjects = {p: load("shd", tmp_path, p, protocol="subjects", seed=1) for p in ("train", "test")}
    sides = [{r.subject for r in d.recordings} for d in subjects.values()]
    assert not sides[0] & sides[1] and len(subjects["test"]) >= 2
    listing = Listing(load("shd", tmp_path, "all").recordings, train.classes)
    assert leaks(listing, subjects["test"].split) == []
    mixed = split(listing, "random", {"random": at_random(0.5)}, seed=0)
    assert {leak.what for leak in leaks(listing, mixed)} == {"subject"}


def test_the_first_of_each_class():
    recordings = [Recording(f"{label}_{k}", label) for label in (0, 1) for k in range(5)]
    assert first_of_each_class(2)(recordings, 0).tolist() == [0, 1, 5, 6]


def test_what_a_protocol_asks_for_must_be_there(tmp_path):
    listing = Listing((Recording(tmp_path / "a", 0), Recording(tmp_path / "b", 0)), ("x",))
    rules = {"official": official, "subjects": by_subject(0.5)}
    with pytest.raises(DatasetError, match="official parts"):
        split(listing, "official", rules)
    with pytest.raises(DatasetError, match="who was recorded"):
        split(listing, "subjects", rules)
    with pytest.raises(ConfigError, match="expected one of official, subjects"):
        split(listing, "best", rules)
    with pytest.raises(ConfigError, match="validation is 1"):
        split(listing, "official", rules, validation=1.0)


def test_a_recording_on_both_sides_is_a_leak(tmp_path):
    whole, part = Recording(tmp_path / "a", 0, "train"), Recording(tmp_path / "a", 0, "test", span=(5, 9))
    rules = {"official": official}
    listing = Listing((whole, part), ("x",))
    (leak,) = leaks(listing, split(listing, "official", rules))
    assert leak.what == "recording" and leak.parts == ("train", "test") and leak.recordings == 1
    apart = Listing((whole._replace(span=(0, 5)), part), ("x",))
    assert leaks(apart, split(apart, "official", rules)) == []


def test_what_is_not_there_is_named_with_what_was_expected(tmp_path):
    with pytest.raises(DatasetError, match=r"(?s)is no folder.*NMNIST/\{Train,Test\}.*spikingjelly"):
        load("nmnist", tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="is no cifar10dvs in"):
        load("cifar10dvs", tmp_path)
    with pytest.raises(ConfigError, match="split is 'valid'"):
        load("nmnist", tmp_path, "valid")


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    _nmnist(tmp_path)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(DatasetError, match=r"cannot be looked into.*Permission denied"):
        load("nmnist", tmp_path)


def test_a_part_without_recordings_is_refused(tmp_path):
    _nmnist(tmp_path)
    with pytest.raises(ConfigError, match=r"no validation recordings in official \(6 train, 2 test.*validation=0\.1"):
        load("nmnist", tmp_path, "validation")
    with pytest.raises(DatasetError, match=r"no train recordings in official \(6 validation"):
        load("nmnist", tmp_path, validation=0.99)
    shutil.rmtree(tmp_path / "Test")
    assert len(load("nmnist", tmp_path)) == len(load("nmnist", tmp_path, "all")) == 6
    with pytest.raises(DatasetError, match="no test recordings in official"):
        load("nmnist", tmp_path, "test")


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"validation": "0.1"}, "validation is '0.1'"),
        ({"seed": None}, "seed is None; expected a whole number"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"transform": "frames"}, "transform is 'frames'"),
        ({"transform": Frames}, "transform is <class"),
        ({"root": None}, "root is None; expected the folder"),
    ],
)
def test_wrong_options_are_named(tmp_path, wrong, match):
    _nmnist(tmp_path)
    with pytest.raises(ConfigError, match=match):
        load("nmnist", **{"root": tmp_path, "validation": 0.1, **wrong})


@pytest.mark.parametrize(
    ("name", "file"), [("dvsgesture", "DvsGesture/trials_to_train.txt"), ("3et", "ThreeET_Eyetracking/train_files.txt")]
)
def test_a_list_of_files_that_is_no_text_is_named(tmp_path, name, file):
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match=r"\.txt: cannot be read"):
        load(name, tmp_path)


def test_a_bad_recording_is_named(tmp_path):
    _nmnist(tmp_path)
    path = tmp_path / "Train" / "0" / "1.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(EventError, match=r"1\.bin"):
        load("nmnist", tmp_path)[0]
    _published_gesture(tmp_path)
    session = tmp_path / "ibmGestureTrain" / "user03_natural"
    session.mkdir(parents=True)
    np.save(session / "1.npy", np.array([[500, 6, 1, 2.0]]))
    with pytest.raises(EventError, match=r"1\.npy.*x = 500"):
        load("dvsgesture", tmp_path)[0]


def test_the_digest_of_a_split_knows_all_folders_but_not_where_they_lie():
    def made(root, first, second):
        files = [Path(f"{root}/{subject}/{part}/a.bin") for subject in ("one", "two") for part in ("x", "y")]
        groups = [first, second, second, first]
        rows = tuple(Recording(file, 0, group) for file, group in zip(files, groups))
        return split(Listing(rows, ("wave",)), "official", {"official": official}).digest

    assert made("/data", "train", "test") == made("/elsewhere/again", "train", "test") != made("/data", "test", "train")
