"""Recordings without classes: driving, rooms, eyes and drones."""

import h5py
import numpy as np
import pytest
import tonic.datasets

from spikesim.datasets import Events, load, write_events
from spikesim.datasets.catalog import CATALOG, LEFT_OUT, Listing, leaks
from spikesim.errors import EventFileError

X, Y, T, P = [1, 2, 3], [4, 5, 6], [10, 20, 30], [1, 0, 1]


def _h5(path, t_offset=None, t=T):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in (("x", X), ("y", Y), ("t", t), ("p", P)):
            file[f"events/{name}"] = values
        if t_offset is not None:
            file["t_offset"] = t_offset


@pytest.mark.parametrize("layout", ["tonic", "published"])
def test_driving_in_both_layouts(tmp_path, layout):
    for name, part in (("interlaken_00_c", "train"), ("interlaken_00_a", "test"), ("zurich_city_09_b", "train")):
        tonics, published = f"DSEC/{name}/events_left", f"{part}/{name}/events/left"
        _h5(tmp_path / (tonics if layout == "tonic" else published) / "events.h5", t_offset=1_000_000)
    train, test = load("dsec", tmp_path), load("DSEC", tmp_path, "test")
    assert [r.name for r in train.recordings] == ["interlaken_00_c", "zurich_city_09_b"]
    assert [r.name for r in test.recordings] == ["interlaken_00_a"] and train.layout.name == layout
    assert train[0] == (Events.from_columns(X, Y, np.array(T) + 1_000_000, P, (640, 480, 2)), -1)
    (leak,) = leaks(Listing(load("dsec", tmp_path, "all").recordings, ()), train.split)
    assert leak.what == "source" and leak.shared == ("interlaken_00",)  # one drive on both sides, as published


def test_the_test_recordings_of_dsec_are_tonics():
    from spikesim.datasets.catalog import entries_scenes

    assert set(entries_scenes._DSEC_TEST) == set(tonic.datasets.DSEC.recordings["test"])
    counts = CATALOG["dsec"].layouts[0].counts
    assert counts == {part: len(names) for part, names in tonic.datasets.DSEC.recordings.items()}


def test_every_dataset_of_tonics_is_here_or_says_why_not():
    known = {entry.tonic for entry in CATALOG.values()} - {None}
    assert set(tonic.datasets.__all__) - known == {name.upper() for name in LEFT_OUT}
    for entry in CATALOG.values():
        size = getattr(getattr(tonic.datasets, entry.tonic or "", None), "sensor_size", None)
        assert size in (None, entry.sensor_size) or entry.name == "smnist"


def test_headsets_and_their_fractions_of_microseconds(tmp_path):
    _h5(tmp_path / "TUMVIE" / "bike-easy" / "bike-easy-events_left.h5", t=[10.25, 20.5, 30.0])
    recordings = load("tumvie", tmp_path, "all")
    assert recordings.events(0).t.tolist() == [10, 20, 30] and recordings.labels.tolist() == [-1]


def test_eyes_in_the_parts_that_two_lists_name(tmp_path):
    base = tmp_path / "ThreeET_Eyetracking"
    (base / "data").mkdir(parents=True)
    for name in ("2", "10", "7"):
        with h5py.File(base / "data" / f"{name}.h5", "w") as file:
            file["events"] = np.stack([T, X, Y, P], 1)
    (base / "train_files.txt").write_text("10\n2\n")
    (base / "val_files.txt").write_text("7\n")
    train, held = load("3ET", tmp_path), load("threeet", tmp_path, "validation")
    assert [p.name for p in train.files] == ["2.h5", "10.h5"] and [p.name for p in held.files] == ["7.h5"]
    assert train.events(0) == Events.from_columns(X, Y, T, P, (240, 180, 2))
    (base / "data" / "2.h5").write_bytes(b"none")
    with pytest.raises(EventFileError, match=r"2\.h5: cannot be read"):
        train.events(0)


def test_drones(tmp_path):
    for archive, scene in (("archive_1", "3"), ("archive_1", "12"), ("archive_0", "5")):
        folder = tmp_path / "DATA" / archive / scene / "Event"
        folder.mkdir(parents=True)
        np.savez(folder / "output_events.npz", data=np.stack([X, Y, P, T], 1))
    drones = load("nerdd", tmp_path, "all")
    assert [r.name for r in drones.recordings] == ["archive_0/5", "archive_1/3", "archive_1/12"]
    assert drones.events(1) == Events.from_columns(X, Y, T, P, (1280, 720, 2))


def test_boxes_of_gen1_lie_beside_its_recordings(tmp_path):
    for part in ("train", "val", "test"):
        path = (
            tmp_path
            / "detection_dataset_duration_60s_ratio_1.0"
            / part
            / "17-03-30_12-53-58_122500000_182500000_td.dat"
        )
        path.parent.mkdir(parents=True)
        write_events(path, Events.from_columns(X, Y, T, P, (304, 240, 2)))
    assert len(load("gen1", tmp_path)) == len(load("gen1", tmp_path, "validation")) == 1
    assert load("gen1", tmp_path, "test").recordings[0].source == "17-03-30_12-53-58"


@pytest.mark.parametrize(
    ("name", "path"),
    [("davisdata", "DAVISDATA/shapes_6dof.bag"), ("mvsec", "MVSEC/indoor_flying/indoor_flying1_data.bag"),
     ("vpr", "VPR/dvs_vpr_2020-04-21-17-03-03.bag")],
)  # fmt: skip
def test_bags_are_listed(tmp_path, name, path):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(b"#ROSBAG V2.0\n")
    (tmp_path / path).with_name("notes.txt").write_text("none")
    found = load(name, tmp_path, "all")
    assert [str(p.relative_to(tmp_path)) for p in found.files] == [path]
    with pytest.raises(EventFileError, match=r"rosbag|ROS bag"):
        found.events(0)
