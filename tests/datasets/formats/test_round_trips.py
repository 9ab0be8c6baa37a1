"""What is written is read again, and says the same to a slow decoder."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.event_files import DECODERS, ENDINGS, LIMITS, recording, recordings

from spikesim.datasets import FORMATS, Events, format_of, iter_events, read_events, salvage_events, write_events
from spikesim.errors import EventError, EventFileError

NAMES = list(LIMITS)


def path_in(folder, name):
    return Path(folder) / f"r.{ENDINGS.get(name, name)}"


def sensor(name):
    return (*LIMITS[name][:2], 2)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_recording_survives(name, data):
    rows = data.draw(recordings(name))
    events = recording(rows, sensor(name))
    with tempfile.TemporaryDirectory() as folder:
        path = path_in(folder, name)
        write_events(path, events, format=name)
        assert os.listdir(folder) == [path.name]
        # A header says the sensor; 40-bit files and plain arrays do not.
        said = None if name not in ("bin40", "npy") else sensor(name)
        again = read_events(path, said, format=None if rows else name)
        assert again == events
        assert salvage_events(path, said, format=name) == (events, None)
        if name in DECODERS:
            assert DECODERS[name](path.read_bytes()) == rows
        if rows:
            assert format_of(path).name == name


@pytest.mark.parametrize("name", NAMES)
def test_no_event_at_all(name, tmp_path):
    write_events(path_in(tmp_path, name), Events.empty((34, 34, 2)), format=name)
    assert read_events(path_in(tmp_path, name), (34, 34, 2)) == Events.empty((34, 34, 2))
    assert list(iter_events(path_in(tmp_path, name), window=10, sensor_size=(34, 34, 2))) == []
    assert FORMATS[format_of(path_in(tmp_path, name)).name].name == name


@pytest.mark.parametrize("name", NAMES)
def test_the_largest_values(name, tmp_path):
    width, height, end = LIMITS[name]
    rows = [(0, 0, 0, 0), (width - 1, 0, 5, 1), (0, height - 1, 6, 0), (width - 1, height - 1, end - 1, 1)]
    write_events(path_in(tmp_path, name), recording(rows, sensor(name)), format=name)
    assert read_events(path_in(tmp_path, name), sensor(name)) == recording(rows, sensor(name))


@pytest.mark.parametrize("name", ["bin40", "dat", "aedat2", "aedat3"])
def test_what_does_not_fit_is_refused_and_nothing_written(name, tmp_path):
    width, height, end = LIMITS[name]
    large = (2**15 - 1, 2**15 - 1, 2)
    rows = [("t", (0, 0, end, 1))]
    if name != "aedat3":
        if name == "aedat2":
            width, height = 2**10, 2**9  # what the layout of the larger cameras holds
        rows += [("x", (width, 0, 5, 1)), ("y", (0, height, 5, 1))]
    for field, row in rows:
        with pytest.raises(EventError, match=f"event 1 has {field} = {max(row[:3])}") as caught:
            write_events(path_in(tmp_path, name), recording([(0, 0, 0, 1), row], large), format=name)
        assert str(path_in(tmp_path, name)) in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_events_out_of_order_are_kept_and_told(name, tmp_path, caplog):
    rows = [(1, 1, 500, 1), (2, 2, 100, 0), (3, 3, 600, 0)]
    if name == "es":
        with pytest.raises(EventError, match="event 1 is earlier than the one before it"):
            write_events(path_in(tmp_path, name), recording(rows, (34, 34, 2)), format=name)
        return
    write_events(path_in(tmp_path, name), recording(rows, (34, 34, 2)), format=name)
    assert read_events(path_in(tmp_path, name), (34, 34, 2)) == recording(rows, (34, 34, 2))
    assert "event 1 is earlier" in caplog.text
    with pytest.raises(EventError, match="event 1 has t = 100, before the 500"):
        list(iter_events(path_in(tmp_path, name), window=1000, sensor_size=(34, 34, 2)))


def test_gaps_that_an_event_stream_cannot_hold(tmp_path):
    with pytest.raises(EventError, match="event 1 has t = 9223372036854775807, too long after"):
        write_events(tmp_path / "r.es", recording([(0, 0, 0, 1), (0, 0, 2**63 - 1, 1)], (34, 34, 2)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["dat", "aedat2"])
def test_a_drop_that_reads_as_an_overflow_is_refused(name, tmp_path):
    far = recording([(0, 0, 2**31 + 5 if name == "dat" else 2**31 - 1, 1), (0, 0, 3, 1)], (34, 34, 2))
    if name == "aedat2":
        write_events(path_in(tmp_path, name), far, format=name)  # within half of 32 bits: no overflow
        assert read_events(path_in(tmp_path, name)) == far
        return
    with pytest.raises(EventError, match=r"event 1 has t = 3.*in_time_order"):
        write_events(path_in(tmp_path, name), far, format=name)


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_leaves_the_old_file(name, tmp_path, monkeypatch):
    path = path_in(tmp_path, name)
    events = recording([(1, 2, 3, 1)], (34, 34, 2))
    write_events(path, events, format=name)
    before = path.read_bytes()
    real = Path.write_bytes

    def fill(self, content):
        real(self, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(EventFileError, match=r"cannot be written .No space left"):
        write_events(path, recording([(5, 5, 5, 0)], (34, 34, 2)), format=name)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]


def test_an_interrupt_leaves_no_part(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_events(tmp_path / "r.dat", Events.empty((34, 34, 2)))
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_or_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "r.dat")
    with pytest.raises(EventFileError, match="a device or a pipe"):
        write_events(tmp_path / "r.dat", Events.empty((34, 34, 2)))
    assert (tmp_path / "r.dat").is_fifo() and os.listdir(tmp_path) == ["r.dat"]


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(EventFileError, match=r"cannot be written .No such file"):
        write_events(tmp_path / "none" / "r.dat", Events.empty((34, 34, 2)))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("bin40", "npy")])
def test_the_sensor_travels_with_the_file(name, tmp_path):
    events = recording([(1, 2, 3, 1)], (77, 55, 2))
    write_events(path_in(tmp_path, name), events, format=name)
    assert read_events(path_in(tmp_path, name)).sensor_size == (77, 55, 2)
    with pytest.raises(EventError, match="the file says that its sensor is 77 x 55, sensor_size that it is 34 x 34"):
        read_events(path_in(tmp_path, name), (34, 34, 2))


@pytest.mark.parametrize("name", ["bin40", "npy"])
def test_without_a_sensor_the_smallest_is_taken_and_told(name, tmp_path, caplog):
    write_events(path_in(tmp_path, name), recording([(1, 2, 3, 1), (7, 0, 4, 1)], (77, 55, 2)), format=name)
    assert read_events(path_in(tmp_path, name)).sensor_size == (8, 3, 2)
    assert "does not say how large its sensor is; 8 x 3" in caplog.text
    assert next(iter_events(path_in(tmp_path, name), window=9)).sensor_size == (8, 3, 2)


@pytest.mark.parametrize("name", NAMES)
def test_an_event_outside_the_sensor_names_event_and_byte(name, tmp_path):
    rows = [(1, 2, 3, 1), (7, 2, 4, 1), (40, 2, 5, 1)]
    path = path_in(tmp_path, name)
    write_events(path, recording(rows, (64, 64, 2)), format=name)
    if name in ("bin40", "npy"):
        with pytest.raises(EventError, match=r"event 2 has x = 40; expected 0 <= x < 34.*byte \d+"):
            read_events(path, (34, 34, 2))
        events, loss = salvage_events(path, (34, 34, 2))
        assert len(events) == 2 and loss.bytes_lost == (5 if name == "bin40" else 13)


def test_parts_of_a_long_file_join(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = sorted(
        zip(*(rng.integers(0, top, 1000).tolist() for top in (34, 34, 2**24, 2)), strict=True), key=lambda r: r[2]
    )
    events = recording(rows, (34, 34, 2))
    for block, size in (("base.CHUNK_BYTES", 333), ("base._AT_ONCE", 0), ("text._BLOCK", 333)):
        monkeypatch.setattr(f"spikesim.datasets.formats.{block}", size)
    for name in NAMES:
        write_events(path_in(tmp_path, name), events, format=name)
        assert read_events(path_in(tmp_path, name), (34, 34, 2)) == events
        assert np.array_equal(
            np.concatenate([part.data for part in iter_events(path_in(tmp_path, name), count=7)]), events.data
        )
