import os
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from spikesim.datasets import (
    NMNIST,
    EventFolder,
    Events,
    Frames,
    generate_ndigits,
    load_nmnist,
    read_bin,
    write_bin,
)
from spikesim.errors import DatasetError, EventError, EventFileError

SENSOR = (34, 34, 2)


def make(root, *names):
    """One recording for each name ``split/class/file``, told apart by its number of events."""
    for count, name in enumerate(names):
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bin(path, Events.from_columns([1] * count, [2] * count, range(count), [1] * count, SENSOR))


def test_order_and_labels(tmp_path):
    make(tmp_path, "Train/10/b.bin", "Train/9/z.bin", "Train/9/a.bin", "Test/2/x.bin")
    (tmp_path / "Train/9/.half.bin").write_bytes(b"x")
    (tmp_path / "Train/9/notes.txt").write_text("x")
    (tmp_path / "Train/.cache").mkdir()
    train = EventFolder(tmp_path)
    assert train.classes == ("2", "9", "10")
    assert [path.name for path in train.files] == ["a.bin", "z.bin", "b.bin"]
    assert [(len(events), label) for events, label in train] == [(2, 1), (1, 1), (0, 2)]
    assert train.labels.tolist() == [1, 1, 2]
    assert EventFolder(tmp_path, "Test").classes == train.classes


def test_named_classes_and_another_sensor(tmp_path):
    make(tmp_path, "Train/left/a.bin", "Train/right/a.bin")
    reader = partial(read_bin, sensor_size=(240, 180, 2))
    folder = EventFolder(tmp_path, classes=["right", "left"], reader=reader)
    assert folder[0][0].sensor_size == (240, 180, 2)
    assert [path.parent.name for path in folder.files] == ["right", "left"]
    with pytest.raises(DatasetError, match="right, not among the classes left"):
        EventFolder(tmp_path, classes=["left"])


def test_transform(tmp_path):
    make(tmp_path, "Train/3/a.bin", "Test/3/a.bin")
    train, _ = load_nmnist(tmp_path, transform=Frames(6))
    assert train[0][0].shape == (6, 2, 34, 34)


def test_bad_recordings_name_the_file(tmp_path):
    make(tmp_path, "Train/0/a.bin", "Train/0/b.bin")
    (tmp_path / "Train/0/a.bin").write_bytes(b"123")
    write_bin(tmp_path / "Train/0/b.bin", Events.from_columns([90], [0], [0], [0], (99, 34, 2)))
    with pytest.raises(EventFileError, match=r"a.bin: truncated at byte 0"):
        EventFolder(tmp_path)[0]
    with pytest.raises(EventError, match=r"b.bin: event 0 has x = 90"):
        EventFolder(tmp_path)[1]


def test_missing_and_empty_folders_say_what_was_expected(tmp_path):
    with pytest.raises(DatasetError, match=r"no folder .*/Train; expected recordings as .*Train/<class>/\*.bin"):
        EventFolder(tmp_path)
    (tmp_path / "Train" / "0").mkdir(parents=True)
    with pytest.raises(DatasetError, match="holds no recording"):
        EventFolder(tmp_path)
    with pytest.raises(DatasetError, match="no Train/ and Test/ in"):
        load_nmnist(tmp_path)
    with pytest.raises(DatasetError, match="there is no folder"):
        load_nmnist(tmp_path / "nowhere")


@pytest.mark.parametrize("inside", ["", "NMNIST"])
def test_load_nmnist_finds_a_part_of_the_dataset(tmp_path, inside):
    make(tmp_path / inside, "Train/3/a.bin", "Train/7/b.bin", "Test/7/c.bin")
    train, test = load_nmnist(tmp_path)
    assert train.classes == test.classes == tuple("0123456789")
    assert train.labels.tolist() == [3, 7]
    assert test.labels.tolist() == [7]


@pytest.mark.parametrize("train", [True, False])
def test_nmnist_is_not_downloaded(tmp_path, train):
    (tmp_path / "NMNIST").mkdir()
    with pytest.raises(DatasetError, match=r"not complete in .*NMNIST; expected t(rain|est).zip") as caught:
        NMNIST(tmp_path, train)
    assert "https://" in str(caught.value)
    assert list((tmp_path / "NMNIST").iterdir()) == []


def test_nmnist_goes_through_tonic(tmp_path, monkeypatch):
    import tonic.datasets

    generate_ndigits(tmp_path / "NMNIST", samples=30)
    monkeypatch.setattr(tonic.datasets.NMNIST, "_check_exists", lambda self: True)
    for name in ("train.zip", "test.zip"):
        (tmp_path / "NMNIST" / name).touch()
    ours, test = load_nmnist(tmp_path)
    theirs = tonic.datasets.NMNIST(str(tmp_path), train=True)
    assert isinstance(ours, NMNIST)
    assert isinstance(test, NMNIST)
    assert len(ours) == len(theirs) == 24
    assert len(test) == 6
    for (events, label), (array, target) in zip(ours, theirs):
        assert label == target
        assert events == Events(array, SENSOR)
    assert [path.name for path in EventFolder(tmp_path / "NMNIST").files] == [path.name for path in ours.files]


@pytest.mark.skipif("SPIKESIM_SHARED_DATA" not in os.environ, reason="SPIKESIM_SHARED_DATA is not set")
def test_real_recordings(tmp_path):
    with zipfile.ZipFile(Path(os.environ["SPIKESIM_SHARED_DATA"]) / "nmnist1k.zip") as archive:
        archive.extractall(tmp_path)
    train, test = load_nmnist(tmp_path)
    assert (len(train), len(test)) == (804, 196)
    assert np.bincount(train.labels).min() > 50
    for dataset in (train, test):
        for events, _ in dataset:
            assert events.sorted
            assert 500 < len(events) < 20_000
            assert events.duration_us < 400_000
            frames, tally = Frames(10).framed(events)
            assert frames.sum() == tally.events == len(events)
    path = tmp_path / "again.bin"
    write_bin(path, train[0][0])
    assert path.read_bytes() == train.files[0].read_bytes()
