"""Reading window by window: the same events, a bounded part of them at a time."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.event_files import ENDINGS, recording, recordings

from spikesim.datasets import Events, iter_events, write_events
from spikesim.datasets.formats.base import CHUNK_BYTES
from spikesim.errors import EventError

SENSOR = (34, 34, 2)


def expected(rows, window, start):
    """Windows by definition: all events from one limit on and before the next."""
    windows = []
    while rows:
        windows.append([row for row in rows if row[2] < start + window])
        rows = [row for row in rows if row[2] >= start + window]
        start += window
    return windows


@given(
    rows=st.lists(st.tuples(st.integers(0, 33), st.integers(0, 33), st.integers(0, 300), st.integers(0, 1))),
    window=st.integers(1, 400),
    ahead=st.none() | st.integers(0, 50),
)
def test_windows_of_time(rows, window, ahead, tmp_path_factory):
    path = tmp_path_factory.mktemp("w") / "r.dat"
    rows = [(x, y, t + 60, p) for x, y, t, p in sorted(rows, key=lambda row: row[2])]
    write_events(path, recording(rows, SENSOR))
    start = None if ahead is None or not rows else rows[0][2] - ahead
    got = list(iter_events(path, window=window, start=start))
    want = expected(rows, window, start if start is not None else rows[0][2] if rows else 0)
    assert got == [recording(part, SENSOR) for part in want]


@given(rows=recordings("npz", 30), count=st.integers(1, 40))
def test_windows_of_a_number_of_events(rows, count, tmp_path_factory):
    path = tmp_path_factory.mktemp("w") / "r.npz"
    size = (2**15 - 1, 2**15 - 1, 2)
    write_events(path, recording(rows, size))
    got = list(iter_events(path, count=count))
    assert got == [recording(rows[first : first + count], size) for first in range(0, len(rows), count)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "window is None and count None"),
        ({"window": 5, "count": 5}, "window is 5 and count 5"),
        ({"window": 0}, "window is 0"),
        ({"count": -1}, "count -1"),
        ({"window": 1.5}, r"window is 1\.5"),
        ({"count": True}, "count True"),
        ({"count": 5, "start": 3}, "start is 3 without window"),
        ({"window": 5, "start": 0.5}, r"start is 0\.5; expected microseconds"),
        ({"window": 5, "start": 30}, "start is 30 us, after the first event at 10 us"),
    ],
)
def test_wrong_windows_are_refused(options, message, tmp_path):
    write_events(tmp_path / "r.dat", recording([(1, 1, 10, 1)], SENSOR))
    with pytest.raises(EventError, match=message):
        list(iter_events(tmp_path / "r.dat", **options))


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Two million events: 26 MB in memory."""
    rng = np.random.default_rng(0)
    n = 2_000_000
    columns = (
        rng.integers(0, 34, n),
        rng.integers(0, 34, n),
        np.sort(rng.integers(0, 8_000_000, n)),
        rng.integers(0, 2, n),
    )
    return Events.from_columns(*columns, SENSOR)


@pytest.mark.parametrize("name", ["bin40", "dat", "aedat2", "aedat3", "npy", "npz", "csv"])
def test_at_most_a_window_and_a_chunk_are_in_memory(name, long, tmp_path):
    events = long if name != "csv" else long.select(slice(300_000))
    path = tmp_path / f"r.{ENDINGS.get(name, name)}"
    write_events(path, events, format=name)
    seen = 0
    tracemalloc.start()
    try:
        for part in iter_events(
            path, window=10_000, sensor_size=SENSOR if name in ("bin40", "npy") else None, format=name
        ):
            seen += len(part)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == len(events)
    # A chunk of 2 MB is decoded into columns of up to 8 bytes; text takes a Python string for each line.
    assert peak < {"csv": 24, "bin40": 24}.get(name, 16) * CHUNK_BYTES, peak / CHUNK_BYTES


def test_reading_stops_where_the_caller_stops(long, tmp_path):
    write_events(tmp_path / "r.dat", long)
    windows = iter_events(tmp_path / "r.dat", window=10_000)
    assert len(next(windows)) > 0
    windows.close()
    (tmp_path / "r.dat").unlink()
