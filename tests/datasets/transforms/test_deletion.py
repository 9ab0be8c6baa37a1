"""Stretches of time that are cut out, hot pixels, and Tonic's small conversions."""

import numpy as np
import pytest
import tonic
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles.streams import DTYPES, stream

from spikesim.datasets import Events
from spikesim.datasets import transforms as T
from spikesim.errors import ConfigError, EventError

SIZE = (24, 16, 2)
CHANGING = [T.TemporalDelete((0.1, 0.4), 3), T.TemporalDelete(0.3, 2, close=False), T.HotPixelFilter(2.0, SIZE)]


@pytest.mark.parametrize("transform", CHANGING, ids=repr)
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("n", [0, 1, 400])
def test_form_account_and_input_hold(transform, dtype, n):
    data = stream(n, dtype, first=50)
    before = data.copy()
    with T.sample_at(0, 0):
        counted = transform.counted(data, seed=0)
        again = transform.counted(Events(data, SIZE), seed=0).result
    assert counted.result.dtype == dtype and np.array_equal(data, before)
    assert counted.events == n == counted.kept + sum(counted.dropped.values())
    assert counted.kept == len(counted.result) == len(again)
    assert (np.diff(counted.result["t"].astype(np.int64)) >= 0).all()


@given(st.integers(0, 300), st.floats(0, 1), st.integers(1, 5), st.integers(0, 50))
def test_what_is_cut_out_is_that_long(n, ratio, pieces, seed):
    data = np.zeros(n, stream(0).dtype)
    data["t"] = 700 + np.arange(n)
    gone = int(n * ratio) // pieces * pieces
    closed = T.TemporalDelete(ratio, pieces, seed=seed)(data)
    assert closed["t"].tolist() == list(range(700, 700 + n - gone))  # no pause, and it begins when it began
    kept = set(T.TemporalDelete(ratio, pieces, close=False, seed=seed)(data)["t"].tolist())
    missing = [t for t in range(700, 700 + n) if t not in kept]
    assert len(missing) == gone
    runs = np.split(missing, np.flatnonzero(np.diff(missing) > 1) + 1) if gone else []
    assert all(len(run) % (gone // pieces) == 0 for run in runs)  # stretches may touch


def hot_by_hand(counts, factor):
    hot = []
    for y, x in np.ndindex(counts.shape):
        around = [
            counts[v, u]
            for v in range(max(y - 1, 0), min(y + 2, counts.shape[0]))
            for u in range(max(x - 1, 0), min(x + 2, counts.shape[1]))
            if (u, v) != (x, y)
        ]
        if counts[y, x] > factor * max(np.median(around) if around else 0, 1):
            hot.append((x, y))
    return hot


@given(st.integers(0, 200), st.integers(1, 6), st.integers(1, 6), st.floats(0.5, 4), st.integers(0, 99))
def test_hot_pixels_are_the_loop(n, width, height, factor, seed):
    data, size = stream(n, size=(width, height), seed=seed), (width, height, 2)
    counts = np.zeros((height, width), int)
    np.add.at(counts, (data["y"], data["x"]), 1)
    expected = hot_by_hand(counts, factor)
    assert T.hot_pixels([data], size, factor) == expected
    kept = T.HotPixelFilter(factor, size)(data)
    assert [(e["x"], e["y"]) in expected for e in kept] == [False] * len(kept)
    assert np.array_equal(kept, T.DropPixel(expected, sensor_size=size)(data))


def test_a_busy_region_stays_and_a_broken_pixel_goes():
    data = stream(40_000)
    data["x"][:20_000] = data["x"][:20_000] % 8  # a busy third
    data["x"][:1500], data["y"][:1500] = 20, 10
    counted = T.HotPixelFilter(5, SIZE).counted(data)
    assert T.hot_pixels([(Events(data, SIZE), 0)], factor=5) == [(20, 10)]
    assert 1500 <= counted.dropped["hot"] < 1700


def test_a_dataset_tells_broken_pixels_from_what_moves():
    recordings = []
    for k in range(6):
        data = stream(2000, seed=k)
        data["x"][:60], data["y"][:60] = 2 + 3 * k, 4  # something bright, elsewhere each time
        data["x"][60:120], data["y"][60:120] = 21, 11  # broken
        recordings.append((Events(data, SIZE), 0))
    assert T.hot_pixels(recordings, factor=5) == [(21, 11)]
    assert T.hot_pixels([]) == []


def test_refusals_of_hot_pixels():
    with pytest.raises(EventError, match="needs the sensor_size"):
        T.hot_pixels([stream(3)])
    with pytest.raises(EventError, match="recording 1 is of 30 x 16 pixels"):
        T.hot_pixels([Events(stream(3), SIZE), Events(stream(3), (30, 16, 2))])
    with pytest.raises(ConfigError, match="factor is 0"):
        T.HotPixelFilter(0)
    data = stream(9)
    data["x"][4] = 30
    for call in (T.HotPixelFilter(sensor_size=SIZE), lambda d: T.hot_pixels([d], SIZE)):
        with pytest.raises(EventError, match="event 4 has x = 30"):
            call(data)


def test_conversions_are_tonics():
    data = stream(50)
    assert np.array_equal(T.NumpyAsType(int)(data), tonic.transforms.NumpyAsType(int)(data))
    frames = np.ones((3, 2, 4, 4), np.uint8)
    assert T.NumpyAsType(np.float32)(frames).dtype == np.float32
    rows = T.NumpyAsType(int)(data)
    wide = np.dtype([("x", "i4"), ("y", "i4"), ("p", "?"), ("t", "i8")])
    assert np.array_equal(T.NumpyAsType(wide)(rows), tonic.transforms.NumpyAsType(wide)(rows))
    for target in (2, [1, 2]):
        assert np.array_equal(T.Repeat(3)(target), tonic.transforms.Repeat(3)(target))
        assert np.array_equal(T.ToOneHotEncoding(5)(target), tonic.transforms.ToOneHotEncoding(5)(target))


def test_conversions_where_tonic_has_none():
    data = stream(50)
    other = np.dtype([("t", "u8"), ("x", "u2"), ("y", "u2"), ("p", "u1")])
    assert tonic.transforms.NumpyAsType(other)(data) is NotImplementedError
    found = T.NumpyAsType(other)(data)
    assert found.dtype == other and all(np.array_equal(found[k], data[k]) for k in "xytp")
    assert torch.as_tensor(T.NumpyAsType(int)(T.RandomTimeReversal(1.0)(data))).shape == (50, 4)
    with pytest.raises(EventError, match="q missing"):
        T.NumpyAsType(np.dtype([("x", "i2"), ("q", "i2")]))(data)
    with pytest.raises(EventError, match="expected rows"):
        T.NumpyAsType(other)(np.zeros((3, 3)))
    for target in (-1, 5, 0.5):
        with pytest.raises(ConfigError, match="class numbers from 0 to 4"):
            T.ToOneHotEncoding(5)(target)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: T.TemporalDelete(1.5), "duration_ratio is 1.5"),
        (lambda: T.TemporalDelete(0.5, 0), "pieces is 0"),
        (lambda: T.Repeat(0), "n_repeat is 0"),
        (lambda: T.ToOneHotEncoding(0), "n_classes is 0"),
    ],
)
def test_settings_that_make_no_sense(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
