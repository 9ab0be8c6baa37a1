"""Where the datasets, readers and helpers of Tonic 1.7.0 go wrong: what they give, what we give, and why ours is right.

Transforms have a file of their own. A test that fails at Tonic's half says that a newer Tonic has mended this.
"""

import struct
from unittest.mock import patch

import h5py
import numpy as np
import pytest
import scipy.io
import tonic
import tonic.datasets as theirs
import torch
from oracles.streams import GESTURE, stream
from torch.utils.data import DataLoader

from spikesim.datasets import (
    Events,
    FrameDataset,
    Frames,
    SpikeFile,
    collate,
    iter_events,
    load,
    read_events,
    write_bin,
    write_events,
)
from spikesim.datasets import transforms as T
from spikesim.errors import DatasetError

SIZE = (24, 16, 2)

pytestmark = pytest.mark.skipif(tonic.__version__ != "1.7.0", reason="what another version does is not known here")


class Listed:
    """A dataset of what is in a list."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def test_slices_of_time_change_the_recording_they_are_cut_from():
    data = stream(50, span=1000)
    before = data.copy()
    tonic.slicers.SliceByTime(100, reset_time=True).slice(data, 0)
    assert not np.array_equal(data, before)
    events = Events(before, SIZE)
    parts = [events.select((events.t >= k) & (events.t < k + 100)) for k in range(0, 1000, 100)]
    assert sum(map(len, parts)) == 50 and np.array_equal(events.t, before["t"])
    with pytest.raises(ValueError, match="read-only"):
        tonic.slicers.SliceByTime(100, reset_time=True).slice(events.data, 0)  # not behind its checks


def test_frames_of_one_polarity_spoil_a_cache_in_memory():
    data = stream(50)
    data["p"] = True
    cache = tonic.MemoryCachedDataset(
        Listed([(data, 0)]), transform=tonic.transforms.ToFrame((24, 16, 1), n_time_bins=2)
    )
    _ = cache[0]
    assert not cache.samples_dict[0][0]["p"].any()  # what was ON is OFF from now on
    kept = stream(50)
    kept["p"] = True
    T.ToFrame((24, 16, 1), n_time_bins=2)(kept)
    assert kept["p"].all()


def test_nothing_cannot_be_sliced(tmp_path):
    with pytest.raises(IndexError):
        tonic.slicers.SliceByTime(100).slice(stream(0), 0)
    write_events(tmp_path / "none.dat", Events.empty(SIZE))
    assert list(iter_events(tmp_path / "none.dat", window=100)) == []


def test_more_than_ten_pieces_come_back_in_the_order_of_their_names(tmp_path):
    pieces = tuple(np.array([k]) for k in range(12))
    cached = tonic.DiskCachedDataset(Listed([(pieces, 0)]), str(tmp_path / "cache"))
    _ = cached[0]
    assert [int(piece[0]) for piece in cached[0][0]][:4] == [0, 1, 10, 11]
    for k in range(12):
        folder = tmp_path / "Train" / "3"
        folder.mkdir(parents=True, exist_ok=True)
        write_bin(folder / f"{k}.bin", Events.from_columns([k], [0], [k], [1], (34, 34, 2)))
    assert [load("nmnist", tmp_path, "all").events(k).x.tolist() for k in range(12)] == [[k] for k in range(12)]


def test_what_is_cached_stays_although_the_transform_is_another_one(tmp_path):
    samples, folder = Listed([(stream(100), 0)]), str(tmp_path / "cache")
    for bins in (2, 5):
        again = tonic.DiskCachedDataset(samples, folder, transform=tonic.transforms.ToFrame(SIZE, n_time_bins=bins))
        _ = again[0]
    frames = [tonic.transforms.ToFrame(SIZE, n_time_bins=bins) for bins in (2, 5)]
    kept = [tonic.DiskCachedDataset(Listed([(f(stream(100)), 0)]), folder)[0][0] for f in frames]
    assert np.array_equal(kept[0], kept[1])  # both are what was written first
    framed = [FrameDataset(_labelled(100), Frames(steps)) for steps in (2, 5)]
    assert [len(f.x[0]) for f in framed] == [2, 5]


def _labelled(*counts):
    made = Listed([(Events(stream(n, seed=k), SIZE), k) for k, n in enumerate(counts)])
    made.labels, made.classes = np.arange(len(counts)), tuple(map(str, range(len(counts))))
    return made


def test_targets_of_a_disk_cache_come_back_otherwise_or_not_at_all(tmp_path):
    named = tonic.DiskCachedDataset(Listed([(np.zeros(3), "cat")]), str(tmp_path / "a"))
    _ = named[0]
    assert named[0][1] != "cat"  # bytes
    with pytest.raises(TypeError):
        _ = tonic.DiskCachedDataset(Listed([(np.zeros(3), None)]), str(tmp_path / "b"))[0]
    framed = FrameDataset(_labelled(10, 20), Frames(2))
    assert framed.classes[framed[1][1]] == "1"


def test_a_cache_in_memory_stays_empty_with_data_workers():
    cache = tonic.MemoryCachedDataset(Listed([(np.zeros(3), 0)] * 4))
    for _ in DataLoader(cache, num_workers=1):
        pass
    assert len(cache.samples_dict) == 0
    assert len(FrameDataset(_labelled(10, 20), Frames(2)).x) == 2  # framed once, before there are workers


def test_padding_makes_floats_of_frames_and_refuses_vectors():
    batch = [(np.ones((4, 2, 3, 3), np.int16), 1), (np.ones((2, 2, 3, 3), np.int16), 0)]
    assert tonic.collation.PadTensors()(batch)[0].dtype == torch.float32
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        tonic.collation.PadTensors()([(x, np.array([1.0, 0.0])) for x, _ in batch])
    ours = collate([(x.astype(np.uint8), y) for x, y in batch])
    assert ours.x.dtype == torch.uint8 and ours.mask.sum(0).tolist() == [4, 2]


def test_one_recording_of_tum_vie_is_all_of_them(tmp_path):
    with patch.object(theirs.TUMVIE, "_check_exists", return_value=True):
        assert len(theirs.TUMVIE(str(tmp_path), "bike-easy")) == 21
    path = tmp_path / "TUMVIE" / "bike-easy" / "bike-easy-events_left.h5"
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        for name in "xytp":
            file[f"events/{name}"] = [1]
    assert [f.name for f in load("tumvie", tmp_path, "all").files] == [path.name]


def test_bags_cannot_be_read_with_todays_numpy(tmp_path):
    pytest.importorskip("rosbags.rosbag1")
    from rosbags.rosbag1 import Writer

    path = tmp_path / "DAVISDATA" / "shapes_6dof.bag"
    path.parent.mkdir()
    events = b"".join(struct.pack("<HHIIB", x, 5, 1000, 10_000 * x, 1) for x in (1, 2))
    content = struct.pack("<IIII", 0, 1000, 0, 0) + struct.pack("<III", 180, 240, 2) + events
    kind = "dvs_msgs/msg/EventArray"
    text = "Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n"
    with Writer(path) as writer:
        topic = writer.add_connection("/dvs/events", kind, msgdef=text, md5sum="5e8beee5a6c107e504c2e78903c224b8")
        for k in range(300):  # enough for its header to hold a byte above 127
            writer.write(topic, 1_000_000_000_000 + k, content)
    failures = (OverflowError, ValueError, KeyError, TypeError)
    with patch.object(theirs.DAVISDATA, "_check_exists", return_value=True), pytest.raises(failures):
        _ = theirs.DAVISDATA(str(tmp_path), "shapes_6dof")[0]
    found = load("davisdata", tmp_path, "all").events(0)
    assert len(found) == 600 and found.t[:2].tolist() == [1_000_000_010, 1_000_000_020]


def test_poker_cards_are_not_where_tonic_looks_for_them(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pips_train\.tar\.gz"):
        theirs.POKERDVS(str(tmp_path))
    with pytest.raises(DatasetError, match=r"(?s)pips_train\.tar\.gz   size not published   md5 412bcfb9.*POKERDVS/"):
        load("pokerdvs", tmp_path, download=True)


def test_columns_of_asl_dvs_are_no_recordings(tmp_path):
    folder = tmp_path / "ASLDVS" / "b"
    folder.mkdir(parents=True)
    columns = {"ts": [5, 6, 7], "x": [1, 2, 3], "y": [0, 1, 179], "pol": [1, 0, 1]}
    scipy.io.savemat(folder / "b_0001.mat", {name: np.array(values)[:, None] for name, values in columns.items()})
    with patch.object(theirs.ASLDVS, "_check_exists", return_value=True):
        data, label = theirs.ASLDVS(str(tmp_path))[0]
    assert data.shape == (3, 1)
    for transform in (tonic.transforms.Denoise(100), tonic.transforms.ToTimesurface((240, 180, 2), 1, 1)):
        with pytest.raises((TypeError, ValueError, IndexError)):
            transform(data.copy())
    events, ours = load("asldvs", tmp_path, "all")[0]
    assert events == Events(data, (240, 180, 2)) and ours == label == 1
    assert T.ToFrame(n_time_bins=2)(events).sum() == 3


@pytest.mark.parametrize("reader", ["read_dvs_128", "read_dvs_ibm", "read_dvs_red", "read_dvs_346mini"])
def test_most_aedat_readers_fail_at_the_header(reader, tmp_path):
    path = tmp_path / "r.aedat"
    write_events(
        path, Events.from_columns([1], [2], [3], [1], (128, 128, 2)), "aedat2" if "128" in reader else "aedat3"
    )
    with pytest.raises(ValueError, match="too many values to unpack"):
        getattr(tonic.io, reader)(str(path))
    assert read_events(path).data.tolist() == [(1, 2, 3, 1)]


def test_driving_cannot_be_opened_offline_although_it_is_there(tmp_path):
    for name in theirs.DSEC.recordings["test"]:
        path = tmp_path / "DSEC" / name / "events_left" / "events.h5"
        path.parent.mkdir(parents=True)
        with h5py.File(path, "w") as file:
            for column, values in (("x", [1]), ("y", [2]), ("t", [3]), ("p", [1])):
                file[f"events/{column}"] = values
            file["t_offset"], file["ms_to_idx"] = 10, [0]
    with patch("socket.socket.connect", side_effect=OSError("no network")), pytest.raises((OSError, ImportError)):
        theirs.DSEC(str(tmp_path), "test", "events_left")  # it fetches a library for pictures first
    assert load("dsec", tmp_path, "test").events(0).data.tolist() == [(1, 2, 13, 1)]


def test_half_precision_seconds_lose_a_microsecond_to_cutting(tmp_path):
    with h5py.File(tmp_path / "shd_train.h5", "w") as file:
        for name, kind, values in (("times", "f2", [0.003, 0.006]), ("units", "u2", [3, 4])):
            rows = file.create_dataset(f"spikes/{name}", (1,), h5py.vlen_dtype(np.dtype(kind)))
            rows[0] = np.array(values, kind)
        file["labels"], file["extra/keys"], file["extra/speaker"] = [0], np.array([b"zero"]), [1]
    exact = np.array([0.003, 0.006], np.float16).astype(float) * 1e6
    ours = SpikeFile(tmp_path / "shd_train.h5")[0].t
    assert (np.abs(ours - exact) <= 0.5).all() and (np.floor(exact) != ours).any()
    (tmp_path / "SHD").mkdir()
    (tmp_path / "shd_train.h5").rename(tmp_path / "SHD" / "shd_train.h5")
    with patch.object(theirs.SHD, "_check_exists", return_value=True):
        assert theirs.SHD(str(tmp_path), train=True)[0][0]["t"].tolist() == np.floor(exact).tolist()


def test_the_order_of_recordings_is_that_of_the_file_system(tmp_path):
    for word in ("accused", "young"):
        folder = tmp_path / "DVSLip" / "DVS-Lip" / "train" / word
        folder.mkdir(parents=True)
        for k in (2, 10):
            np.save(folder / f"{k}.npy", np.zeros(1, GESTURE))
    orders = []
    for turned in (False, True):
        real = __import__("os").listdir
        with patch("os.listdir", lambda folder, real=real, turned=turned: sorted(real(folder), reverse=turned)), \
                patch.object(theirs.DVSLip, "_check_exists", return_value=True):  # fmt: skip
            orders.append(theirs.DVSLip(str(tmp_path)).data)
            assert [p.name for p in load("dvslip", tmp_path).files] == ["2.npy", "10.npy"] * 2
    assert orders[0] == orders[1][::-1] != orders[1]


def test_spikes_of_sequential_mnist_are_out_of_order():
    image = np.zeros((1, 784), np.uint8)
    image[0, 3] = 255  # many channels fire at once
    made = theirs.SMNIST.__new__(theirs.SMNIST)
    made.image_data, made.label_data, made.sensor_size, made.duplicate, made.dt = image, [0], (99, 1, 1), True, 1000.0
    made.transform = made.target_transform = None
    assert (np.diff(made[0][0]["t"]) < 0).any()
    from spikesim.datasets.catalog.smnist import spikes_of

    assert (np.diff(spikes_of(image[0])[1]) >= 0).all()
