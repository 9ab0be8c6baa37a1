import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.events import decode_bin

from spikesim.datasets import Events, encode_bin, read_bin, write_bin
from spikesim.datasets.formats.bin40 import at_once
from spikesim.errors import EventError, EventFileError

SENSOR = (256, 240, 2)
event = st.tuples(
    st.integers(0, 255), st.integers(0, 239), st.integers(0, 2**25) | st.integers(0, 2**12), st.integers(0, 1)
)


def recording(rows, sensor=SENSOR):
    return Events.from_columns(*np.array(rows, np.int64).reshape(-1, 4).T, sensor)


@settings(deadline=None)
@given(rows=st.lists(event, max_size=30).map(lambda rows: sorted(rows, key=lambda row: row[2])))
def test_round_trip_is_exact_and_equals_the_scalar_reader(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("bin") / "r.bin"
    events = recording(rows)
    write_bin(path, events)
    assert read_bin(path, SENSOR) == events
    assert decode_bin(path.read_bytes()) == rows


@given(
    content=st.lists(event, max_size=30).map(lambda rows: b"".join(encode_bin(recording([row])) for row in rows))
    | st.binary(max_size=60),
    sensor=st.sampled_from([(34, 34, 2), SENSOR, (256, 256, 1)]),
)
def test_one_pass_gives_what_the_parts_give_or_leaves_it_to_them(content, sensor):
    decoded = at_once(content, sensor)
    records = np.frombuffer(content, np.uint8, len(content) // 5 * 5).reshape(-1, 5)
    plain = (records[:, 0] < sensor[0]) & (records[:, 1] < sensor[1]) & (records[:, 1] != 240)
    assert (decoded is not None) == (len(content) % 5 == 0 and bool(plain.all()))
    if decoded is not None:
        data, ordered = decoded
        assert data.tolist() == decode_bin(content)
        assert ordered == (np.diff(data["t"]) >= 0).all() == Events(data, sensor).sorted


def test_large_files_are_read_in_parts(tmp_path, monkeypatch):
    events = recording([(1, 2, t, 1) for t in range(300)])
    write_bin(tmp_path / "r.bin", events)
    monkeypatch.setattr("spikesim.datasets.formats.reading.CHUNK_BYTES", 1000)
    monkeypatch.setattr("spikesim.datasets.formats.base.CHUNK_BYTES", 1000)
    assert read_bin(tmp_path / "r.bin", SENSOR) == events


@pytest.mark.parametrize("t", [2**23 - 1, 2**23, 2**23 + 8191, 2**23 + 8192, 2**32 - 1])
def test_times_around_the_limits(tmp_path, t):
    events = recording([(1, 2, 0, 1), (3, 4, t, 0)])
    write_bin(tmp_path / "r.bin", events)
    assert read_bin(tmp_path / "r.bin", SENSOR) == events
    records = len(encode_bin(events)) // 5
    assert (records == 2) == (t < 2**23)


def test_tonic_reads_what_is_written(tmp_path):
    from tonic.io import read_mnist_file

    rng = np.random.default_rng(0)
    rows = np.stack([rng.integers(0, top, 500) for top in (34, 34, 20_000_000, 2)], axis=1)
    events = recording(rows, (34, 34, 2)).in_time_order()
    write_bin(tmp_path / "r.bin", events)
    dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    assert Events(read_mnist_file(str(tmp_path / "r.bin"), dtype), (34, 34, 2)) == events


def test_events_out_of_order_survive_while_no_overflow_record_is_needed(tmp_path):
    events = recording([(1, 1, 500, 1), (2, 2, 100, 0)])
    write_bin(tmp_path / "r.bin", events)
    assert read_bin(tmp_path / "r.bin", SENSOR) == events


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((256, 0, 0, 0), "event 1 has x = 256.*at most 255"),
        ((0, 256, 0, 0), "event 1 has y = 256"),
        ((0, 240, 0, 0), "event 1 has y = 240.*not 240"),
        ((0, 0, 2**32, 0), "event 1 has t = 4294967296.*below 2\\*\\*32"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(tmp_path, row, message):
    with pytest.raises(EventError, match=message) as caught:
        write_bin(tmp_path / "r.bin", recording([(0, 0, 0, 0), row], (300, 300, 2)))
    assert "r.bin" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_events_too_far_out_of_order_are_refused():
    with pytest.raises(EventError, match=r"event 1 has t = 3.*in_time_order"):
        encode_bin(recording([(0, 0, 2**24, 1), (0, 0, 3, 1)]))


@pytest.mark.parametrize("length", [1, 4, 13])
def test_truncated_file_names_the_byte(tmp_path, length):
    path = tmp_path / "cut.bin"
    path.write_bytes(bytes(length))
    with pytest.raises(EventFileError, match=rf"cut.bin: truncated at byte {length - length % 5}:"):
        read_bin(path)


def test_missing_file(tmp_path):
    with pytest.raises(EventFileError, match=r"none.bin: cannot be read \(No such file"):
        read_bin(tmp_path / "none.bin")


def test_event_outside_the_sensor_names_file_and_event(tmp_path):
    path = tmp_path / "wide.bin"
    write_bin(path, recording([(3, 3, 0, 0), (40, 3, 1, 0)]))
    with pytest.raises(EventError, match=r"wide.bin: event 1 has x = 40; expected 0 <= x < 34"):
        read_bin(path)


def test_unsorted_file_is_reported(tmp_path, caplog):
    write_bin(tmp_path / "r.bin", recording([(1, 1, 500, 1), (2, 2, 100, 0)]))
    assert not read_bin(tmp_path / "r.bin", SENSOR).sorted
    assert "r.bin: event 1 is earlier" in caplog.text


def test_empty_file_is_an_empty_recording(tmp_path):
    write_bin(tmp_path / "r.bin", Events.empty(SENSOR))
    assert (tmp_path / "r.bin").read_bytes() == b""
    assert len(read_bin(tmp_path / "r.bin")) == 0


def test_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "r.bin"
    write_bin(path, recording([(1, 1, 1, 1)]))

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_bin(path, Events.empty(SENSOR))
    assert len(read_bin(path)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.bin"]
