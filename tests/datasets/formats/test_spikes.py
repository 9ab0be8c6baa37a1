"""SHD and SSC: many recordings in one file."""

import os
import pickle
from multiprocessing import get_context

import h5py
import numpy as np
import pytest
import tonic
from hypothesis import given, settings
from hypothesis import strategies as st

from spikesim.datasets import SHD_SENSOR, Events, SpikeFile, format_of, read_events, write_spikes
from spikesim.errors import EventError, EventFileError


def spikes(rows):
    """A recording of (channel, time) pairs."""
    units, times = zip(*rows, strict=True) if rows else ((), ())
    return Events.from_columns(units, [0] * len(rows), times, [1] * len(rows), SHD_SENSOR)


spike = st.tuples(st.integers(0, 699), st.integers(0, 1_500_000) | st.sampled_from([0, 2**52 - 1, 65_519 * 10**6]))
rows = st.lists(
    st.lists(spike, max_size=9).map(lambda rows: sorted(rows, key=lambda row: row[1])), min_size=1, max_size=4
)


@settings(max_examples=40)
@given(rows=rows)
def test_recordings_survive(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("s") / "r.h5"
    recordings = [spikes(row) for row in rows]
    write_spikes(path, recordings, range(len(rows)), classes=["zero", "one"], speakers=[7] * len(rows))
    assert os.listdir(path.parent) == ["r.h5"]
    file = SpikeFile(path)
    assert list(file) == recordings and len(file) == len(rows)
    assert file.labels.tolist() == list(range(len(rows)))
    assert file.classes == ("zero", "one") and file.speakers.tolist() == [7] * len(rows)


def test_the_narrowest_floats_that_are_exact_are_chosen(tmp_path):
    for times, width in (([0, 500_000], "f2"), ([1, 1_000_003], "f4"), ([1, 70_000_000_001], "f8"), ([], "f2")):
        write_spikes(tmp_path / "r.h5", [spikes([(3, t) for t in times])], [0])
        with h5py.File(tmp_path / "r.h5") as file:
            assert h5py.check_vlen_dtype(file["spikes/times"].dtype) == width


def official(folder, n=5):
    """A file as the published ones are, where Tonic looks for it."""
    rng = np.random.default_rng(0)
    (folder / "SHD").mkdir()
    (folder / "SHD/shd_train.h5.zip").touch()
    with h5py.File(folder / "SHD/shd_train.h5", "w") as file:
        times = file.create_dataset("spikes/times", (n,), h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (n,), h5py.vlen_dtype(np.uint16))
        for k in range(n):
            times[k] = np.sort(rng.uniform(0, 1.4, 50 * k)).astype(np.float16)
            units[k] = rng.integers(0, 700, 50 * k)
        file["labels"], file["extra/speaker"] = np.arange(n), np.arange(n)
        file["extra/keys"] = np.array([b"zero", b"one"])
    return folder / "SHD/shd_train.h5"


def test_tonic_reads_the_same(tmp_path):
    file = SpikeFile(official(tmp_path))
    theirs = tonic.datasets.SHD(str(tmp_path), train=True)
    for index, events in enumerate(file):
        data, label = theirs[index]
        assert label == file.labels[index] and np.array_equal(data["x"], events.x)
        # Tonic cuts what is below a microsecond off; here it is rounded.
        assert (np.abs(data["t"] - events.t) <= 1).all()
    assert file.classes == ("zero", "one") and file.labels.tolist() == file.speakers.tolist()


def first(file):
    return file[1].t.tolist()


def test_it_is_read_in_other_processes_and_after_closing(tmp_path):
    file = SpikeFile(official(tmp_path))
    here = first(file)
    assert first(pickle.loads(pickle.dumps(file))) == here
    with get_context("fork").Pool(1) as pool:
        assert pool.apply(first, (file,)) == here
    file.close()
    assert first(file) == here and file[-4] == file[1]
    with pytest.raises(IndexError, match="recording 5 of 5"):
        file[5]


def test_it_is_recognised_and_not_read_as_one_recording(tmp_path):
    path = official(tmp_path)
    assert format_of(path).name == "shd"
    with pytest.raises(EventFileError, match=r"holds 5 recordings; use SpikeFile"):
        read_events(path)


def test_bad_spikes_and_recordings_are_named(tmp_path):
    path = official(tmp_path)
    with h5py.File(path, "a") as file:
        file["spikes/units"][2] = np.array([0] * 99 + [700], np.uint16)
        file["spikes/times"][3] = np.array([np.nan] * 150, np.float16)
    file = SpikeFile(path)
    with pytest.raises(EventError, match=r"recording 2: event 99 has x = 700; expected 0 <= x < 700"):
        file[2]
    with pytest.raises(EventError, match="recording 3: event 0 has t = nan"):
        file[3]
    for recording, message in (
        (Events.from_columns([1], [1], [1], [1], (700, 2, 2)), "recording 0: event 0 has y = 1; expected 0"),
        (Events.from_columns([1, 1], [0, 0], [1, 2], [1, 0], (700, 1, 2)), "event 1 has p = 0; expected 1"),
        (spikes([(1, 2**52)]), "beyond 2"),
    ):
        with pytest.raises(EventError, match=message):
            write_spikes(tmp_path / "w.h5", [recording], [0])
    with pytest.raises(EventError, match="1 recordings, but 2 labels"):
        write_spikes(tmp_path / "w.h5", [spikes([])], [0, 1])
    with pytest.raises(EventFileError, match="cannot be written"):
        write_spikes(tmp_path / "none" / "w.h5", [spikes([])], [0])
    assert not (tmp_path / "w.h5").exists()


def test_truncated_at_many_bytes_and_other_files(tmp_path):
    path = official(tmp_path, 2)
    content = path.read_bytes()
    for cut in range(0, len(content), 41):
        path.write_bytes(content[:cut])
        with pytest.raises(EventFileError, match=r"shd_train\.h5"):
            list(SpikeFile(path))
    path.write_bytes(content)
    with h5py.File(path, "a") as file:
        del file["labels"]
    with pytest.raises(EventFileError, match="expected an HDF5 file with spikes/times, spikes/units and labels"):
        SpikeFile(path)
    with h5py.File(path, "a") as file:
        file["labels"] = [1, 2, 3]
    with pytest.raises(EventFileError, match="holds 2 rows of spikes/times but"):
        SpikeFile(path)
    path.write_bytes(b"no file of this kind")
    with pytest.raises(EventFileError, match="is no HDF5 file"):
        SpikeFile(path)
    with pytest.raises(EventFileError, match="No such file"):
        SpikeFile(tmp_path / "none.h5")
