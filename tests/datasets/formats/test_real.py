"""Recordings of real cameras, where SPIKESIM_SHARED_DATA names a folder that has them."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from oracles.event_files import decode_dat
from oracles.events import decode_bin
from tonic.io import read_mnist_file

from spikesim.datasets import Events, format_of, iter_events, read_bin, read_events, write_events

FOLDER = Path(os.environ.get("SPIKESIM_SHARED_DATA", "nowhere"))
FILES = [("nmnist.bin", "bin40", 4325, (34, 34, 2)), ("ncars.dat", "dat", 2009, (120, 100, 2))]
SAVED = ["bin", "dat", "aedat", "npy", "npz", "csv"]

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="SPIKESIM_SHARED_DATA names no folder")


def rows(events):
    return [tuple(row) for row in events.data[["x", "y", "t", "p"]].tolist()]


@pytest.mark.parametrize(("name", "layout", "count", "sensor"), FILES)
def test_recordings(name, layout, count, sensor, tmp_path):
    path = FOLDER / "recordings" / name
    assert format_of(path).name == layout
    events = read_events(path, sensor)
    assert len(events) == count and events.sorted
    assert rows(events) == {"bin40": decode_bin, "dat": decode_dat}[layout](path.read_bytes())
    assert sum(map(len, iter_events(path, window=10_000, sensor_size=sensor))) == count
    for ending in SAVED:
        write_events(tmp_path / f"r.{ending}", events)
        assert read_events(tmp_path / f"r.{ending}", sensor) == events


def test_a_thousand_recordings_of_nmnist_as_tonic_reads_them(tmp_path):
    dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    with zipfile.ZipFile(FOLDER / "nmnist1k.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".bin")]
        assert len(names) == 1000
        for name in names[::20]:
            path = Path(archive.extract(name, tmp_path))
            assert format_of(path).name == "bin40"
            assert read_bin(path) == Events(read_mnist_file(str(path), dtype), (34, 34, 2))
