"""Files of many recordings that are replaced while a process lives."""

import struct

import h5py
import numpy as np
import pytest

from spikesim.datasets import CachedFrames, Events, Frames, load, write_spikes
from spikesim.datasets.catalog.remembered import remembered


def shd(root, x):
    (root / "SHD").mkdir(exist_ok=True)
    write_spikes(root / "SHD" / "shd_train.h5", [Events.from_columns([x], [0], [10], [1], (700, 1, 1))], [0])


def ntidigits(root, x):
    (root / "NTIDIGITS18").mkdir(exist_ok=True)
    with h5py.File(root / "new", "w") as file:
        file["train_labels"], file["test_labels"] = np.array([b"man-ae-a-1"]), np.array([b"man-bh-a-1"])
        file["train_addresses/man-ae-a-1"] = np.array([x], np.float32)
        file["train_timestamps/man-ae-a-1"] = np.array([0.5], np.float32)
    (root / "new").rename(root / "NTIDIGITS18" / "n-tidigits.hdf5")


def smnist(root, x):
    (root / "smnist").mkdir(exist_ok=True)
    pictures = struct.pack(">IIII", 2051, 1, 2, 2) + bytes([0, x, 0, 255])
    (root / "smnist" / "train-images-idx3-ubyte").write_bytes(pictures)
    (root / "smnist" / "train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 1) + bytes([3]))


@pytest.mark.parametrize("write", [shd, ntidigits, smnist])
def test_a_replaced_file_is_read_again_and_framed_anew(write, tmp_path):
    found, cached = [], []
    for x in (40, 9):
        write(tmp_path, x)
        dataset = load(write.__name__, tmp_path)
        found.append(dataset.events(0).x.tolist())
        cached.append(CachedFrames(dataset, Frames(2), root=tmp_path / "cache"))
    assert found[0] != found[1] and cached[0].path != cached[1].path
    for x, frames in zip(found, cached, strict=True):
        assert sorted(set(x)) == np.flatnonzero(frames.steps.sum((0, 1, 2))).tolist()


def test_the_last_few_are_kept_and_a_missing_file_is_asked_for_again(tmp_path):
    asked = []
    made = remembered(2)(lambda path, more=0: asked.append((path.name, more)) or path.name)
    for name in "ab":
        (tmp_path / name).touch()
    for name in "abbab":
        assert made(tmp_path / name) == name
    assert asked == [("a", 0), ("b", 0)]
    made(tmp_path / "a", 1)
    made(tmp_path / "a")
    assert asked[2:] == [("a", 1), ("a", 0)]

    def reads(path):
        return path.read_text()

    with pytest.raises(FileNotFoundError):
        remembered(1)(reads)(tmp_path / "missing")
