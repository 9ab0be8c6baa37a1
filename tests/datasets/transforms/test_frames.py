"""Frames against a slow loop, Tonic and SpikingJelly's rule."""

import numpy as np
import pytest
import tonic
from hypothesis import given
from hypothesis import strategies as st
from oracles.streams import DTYPES, stream

from spikesim.datasets import Events, to_frames
from spikesim.datasets.transforms import ToFrame
from spikesim.errors import ConfigError, EventError

SIZE = (24, 16, 2)
WAYS = [
    {"n_time_bins": 16},
    {"n_time_bins": 3, "overlap": 0.25},
    {"n_event_bins": 7},
    {"n_event_bins": 7, "overlap": 0.3},
    {"time_window": 9},
    {"time_window": 9, "overlap": 3, "include_incomplete": True},
    {"time_window": 9, "start_time": 0, "end_time": 60},
    {"event_count": 20},
    {"event_count": 20, "overlap": 5, "include_incomplete": True},
]


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("n", [1, 2, 50, 700])
def test_rule_tonic_is_tonics(way, n, dtype):
    data = stream(n, dtype, span=101, first=5)
    # Unsigned times wrap in Tonic, and a single event has no length.
    given = data.astype([(name, "i8") for name in data.dtype.names])
    expected = tonic.transforms.ToFrame(SIZE, **way)(given)
    found = ToFrame(SIZE, remainder="tonic", **way)(data)
    assert found.shape == expected.shape and np.array_equal(found, expected)


def jelly(t, frames, by):
    """SpikingJelly's documented cut: rounded-down lengths, and the last frame takes the rest."""
    n = len(t)
    if by == "number":
        step = n // frames
        return [range(j * step, n if j == frames - 1 else (j + 1) * step) for j in range(frames)]
    step = (t[-1] - t[0]) // frames
    place = np.minimum((t - t[0]) // max(step, 1), frames - 1)
    return [np.flatnonzero(place == j) for j in range(frames)]


@given(st.integers(1, 200), st.integers(1, 12), st.integers(1, 400), st.integers(0, 99))
def test_rule_spikingjelly_is_spikingjellys(n, frames, span, seed):
    data = stream(n, span=span, seed=seed)
    for by, way in (("number", "n_event_bins"), ("time", "n_time_bins")):
        expected = np.zeros((frames, 2, 16, 24))
        for j, members in enumerate(jelly(data["t"], frames, by)):
            for i in members:
                expected[j, int(data["p"][i]), data["y"][i], data["x"][i]] += 1
        assert np.array_equal(ToFrame(SIZE, remainder="spikingjelly", **{way: frames})(data), expected)


def test_rule_spikingjelly_is_that_library():
    jelly = pytest.importorskip("spikingjelly.datasets.utils")
    for n, frames, span in ((1, 1, 9), (3, 5, 40), (7, 7, 7), (50, 3, 80), (400, 16, 100), (401, 16, 4000)):
        data = stream(n, span=span, first=11, seed=n)
        given_ = {name: data[name] for name in "xytp"}
        by_number = jelly.integrate_events_by_fixed_frames_number(given_, "number", frames, 16, 24)
        assert np.array_equal(ToFrame(SIZE, n_event_bins=frames, remainder="spikingjelly")(data), by_number)
        assert np.array_equal(to_frames(Events(data, SIZE), frames, "count").frames, by_number)
        found = ToFrame(SIZE, n_time_bins=frames, remainder="spikingjelly")(data)
        assert found.sum() == n and np.array_equal(to_frames(Events(data, SIZE), frames, "time").frames, found)
        try:
            assert np.array_equal(found, jelly.integrate_events_by_fixed_frames_number(given_, "time", frames, 16, 24))
        except IndexError:  # it knows no frame without events; in ours such a frame is 0
            assert not found.sum((1, 2, 3)).all()
        if n > 1:
            for window in (1, 10, int(data["t"][-1] - data["t"][0])):  # the last event at the end of a window, too
                by_duration = jelly.integrate_events_by_fixed_duration(given_, window, 16, 24)
                assert np.array_equal(ToFrame(SIZE, time_window=window, remainder="spikingjelly")(data), by_duration)


@given(st.integers(2, 90), st.integers(0, 99), st.sampled_from(WAYS), st.sampled_from(["exact", "tonic"]))
def test_disorder_is_seen_wherever_it_is(n, seed, way, remainder):
    data = stream(n, span=101, first=5, seed=seed)
    rng = np.random.default_rng(seed)
    i, j = rng.integers(0, n, 2)
    mixed = data.copy()
    mixed[[i, j]] = mixed[[j, i]]
    transform = ToFrame(SIZE, remainder=remainder, **way)
    if (np.diff(mixed["t"]) >= 0).all():
        assert transform(mixed).shape == transform(data).shape
    elif "event_count" in way or "n_event_bins" in way:
        with pytest.raises(EventError, match="is earlier than the one before it"):
            transform(mixed)
    else:
        assert np.array_equal(transform(mixed), transform(data))


@given(st.integers(0, 200), st.integers(1, 12), st.integers(1, 400), st.integers(0, 99))
def test_the_exact_rule_loses_nothing_and_is_even(n, frames, span, seed):
    data = stream(n, span=span, first=7, seed=seed)
    t, ways = data["t"], [{"n_time_bins": frames}, {"n_event_bins": frames}, {"time_window": 13}, {"event_count": 9}]
    for way in ways:
        counted = ToFrame(SIZE, **way).counted(data)
        assert counted.result.sum() == n and counted.kept == n
    if n:
        length = int(t[-1] - t[0]) + 1
        place = ((t - t[0]) * frames) // length
        found = ToFrame(SIZE, n_time_bins=frames)(data).sum((1, 2, 3))
        assert found.tolist() == np.bincount(place, minlength=frames).tolist()
        by_number = ToFrame(SIZE, n_event_bins=frames)(data).sum((1, 2, 3))
        assert by_number.max() - by_number.min() <= 1


def test_tonics_lost_tail_is_kept_and_counted():
    data = stream(1000, span=31)
    for remainder in ("exact", "spikingjelly"):
        assert ToFrame(SIZE, n_time_bins=16, remainder=remainder)(data).sum() == 1000
    counted = ToFrame(SIZE, n_time_bins=16, remainder="tonic").counted(data)
    assert counted.kept == counted.result.sum() < 800
    assert counted.dropped["remainder"] == 1000 - counted.kept


@pytest.mark.parametrize(
    "way", [{"n_time_bins": 5}, {"n_event_bins": 5}, {"time_window": 10}, {"event_count": 10}], ids=str
)
@pytest.mark.parametrize("remainder", ["exact", "spikingjelly", "tonic"])
def test_empty_and_single_events(way, remainder):
    frames = next(iter(way.values())) if next(iter(way)).startswith("n_") else 1
    assert ToFrame(SIZE, remainder=remainder, **way)(stream(0)).shape == (frames, 2, 16, 24)
    one = ToFrame(SIZE, remainder=remainder, **way)(stream(1))
    assert one.shape == (frames, 2, 16, 24)
    if remainder != "tonic":
        assert one.sum() == 1  # in Tonic one event in one bin gives none


def test_counts_stop_at_what_the_dtype_holds_and_say_so():
    data = stream(40_000, size=(1, 1))
    data["p"] = 1
    counted = ToFrame((1, 1, 2), n_time_bins=1).counted(data)
    assert counted.result.max() == 255 and counted.dropped["overflow"] == 40_000 - 255 == 40_000 - counted.kept
    wide = ToFrame((1, 1, 2), n_time_bins=1, dtype="int32")(data)
    assert wide.dtype == np.int32 and wide.max() == 40_000  # Tonic's int16 says -25536
    assert ToFrame((1, 1, 2), n_time_bins=1, dtype="int16")(data).max() == 32767


def test_one_polarity_counts_both_and_changes_nothing():
    data = stream(300)
    before = data.copy()
    frames = ToFrame((24, 16, 1), n_time_bins=4)(data)
    assert frames.shape == (4, 1, 16, 24) and frames.sum() == 300
    assert np.array_equal(data, before)  # Tonic writes into its input


def test_events_out_of_order():
    data = stream(100)[::-1].copy()
    sorted_data = data[::-1].copy()
    by_time = ToFrame(SIZE, n_time_bins=5)
    assert np.array_equal(by_time(data), by_time(sorted_data))
    with pytest.raises(EventError, match=r"event \d+ is earlier than the one before it"):
        ToFrame(SIZE, n_event_bins=5)(data)


def test_start_and_end_choose_the_events():
    data = stream(500, span=1000)
    way = ToFrame(SIZE, n_time_bins=4, start_time=100, end_time=500)
    counted = way.counted(data)
    inside = ((data["t"] >= 100) & (data["t"] < 500)).sum()
    assert counted.kept == counted.result.sum() == inside
    assert way(data[:0]).shape == (4, 2, 16, 24)
    windows = ToFrame(SIZE, time_window=100, start_time=100, end_time=500)
    assert windows(data).shape[0] == 4 and windows(data).sum() == inside
    assert windows(data[:0]).shape == (4, 2, 16, 24)


def test_a_recording_needs_no_sensor_size():
    assert ToFrame(n_time_bins=2)(Events(stream(9), SIZE)).shape == (2, 2, 16, 24)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ({}, "no way to cut"),
        ({"n_time_bins": 3, "event_count": 3}, "n_time_bins, event_count|event_count, n_time_bins"),
        ({"n_time_bins": 0}, "n_time_bins is 0"),
        ({"n_time_bins": 2.5}, "whole number"),
        ({"time_window": -5}, "time_window is -5"),
        ({"n_time_bins": 2, "overlap": 1}, "less than 1"),
        ({"time_window": 10, "overlap": 10}, "less than 10"),
        ({"event_count": 5, "start_time": 3}, "counts events"),
        ({"n_time_bins": 2, "start_time": float("nan")}, "start_time is nan"),
        ({"n_time_bins": 2, "end_time": float("inf")}, "end_time is inf"),
        ({"n_time_bins": 2, "start_time": "abc"}, "start_time is 'abc'"),
        ({"n_time_bins": 2, "overlap": "3"}, "overlap is '3'"),
        ({"n_time_bins": 2, "overlap": float("nan")}, "overlap is nan"),
        ({"n_time_bins": 2, "overlap": 1}, "less than 1"),
        ({"n_time_bins": 2, "start_time": 3, "end_time": 3}, "not before"),
        ({"n_time_bins": 2, "remainder": "drop"}, "exact, spikingjelly, tonic"),
        ({"n_time_bins": 2, "dtype": "int64"}, "uint8"),
    ],
)
def test_settings_that_make_no_sense(way, message):
    with pytest.raises(ConfigError, match=message):
        ToFrame(SIZE, **way)


def test_a_time_at_the_very_end_of_64_bits_is_refused():
    data = np.zeros(2, [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")])
    data["t"][1] = 2**63 - 1
    with pytest.raises(EventError, match="look at the unit of time"):
        ToFrame((4, 4, 2), n_time_bins=4)(data)
    data["t"][1] = 2**62
    assert ToFrame((4, 4, 2), n_time_bins=4)(data).sum() == 2
