"""Transforms that draw random numbers or move events, and those of Tonic's that are wrong there."""

import numpy as np
import pytest
import tonic
from hypothesis import given
from hypothesis import strategies as st
from oracles.streams import DTYPES, stream

from spikesim.datasets import Events
from spikesim.datasets import transforms as T
from spikesim.errors import ConfigError, EventError

SIZE = (24, 16, 2)
CHANGING = [
    T.CropTime(20_000, 70_000),
    T.CenterCrop(SIZE, (10, 8)),
    T.RandomCrop(SIZE, 9),
    T.Decimation(3),
    T.DropEvent((0.1, 0.5)),
    T.DropEventByTime((0.2, 0.4)),
    T.DropEventByArea(SIZE, (0.2, 0.4)),
    T.EventDrop(SIZE),
    T.DropPixel([(3, 4), (100, 3)]),
    T.DropPixel(hot_pixel_frequency=40),
    T.RandomDropPixel(0.3, SIZE),
    T.RandomFlipLR(SIZE, 1.0),
    T.RandomFlipUD(SIZE, 1.0),
    T.RandomFlipPolarity(0.4),
    T.RandomTimeReversal(1.0),
    T.MergePolarities(),
    T.TimeAlignment(),
    T.TimeSkew((0.5, 2.0), offset=10),
    T.TimeJitter(100.0),
    T.SpatialJitter(SIZE, 2.0, 1.0, 0.5),
    T.Downsample(0.5, (0.5, 0.25), SIZE),
    T.UniformNoise(SIZE, (5, 50)),
]


def name(transform):
    return repr(transform)[:40]


@pytest.mark.parametrize("transform", CHANGING, ids=name)
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("n", [0, 1, 400])
def test_form_account_and_input_hold(transform, dtype, n):
    data = stream(n, dtype, first=50)
    before = data.copy()
    with T.sample_at(0, 0):
        counted = transform.counted(data, seed=0)
    assert counted.result.dtype == dtype and np.array_equal(data, before)
    assert counted.events == n and counted.kept == len(counted.result)
    assert counted.events + counted.added == counted.kept + sum(counted.dropped.values())
    assert (np.diff(counted.result["t"].astype(np.int64)) >= 0).all()
    with T.sample_at(0, 0):
        again = transform.counted(Events(data, SIZE), seed=0).result
    assert isinstance(again, Events)
    assert np.array_equal(again.t, counted.result["t"]) and np.array_equal(again.x, counted.result["x"])


def _tonic(transform):
    settings = {k: v for k, v in vars(transform).items() if k not in ("seed", "_calls")}
    settings.pop("sensor_size", None)
    kind = type(transform).__name__
    sized = ("RandomFlipLR", "RandomFlipUD", "CenterCrop")
    return getattr(tonic.transforms, kind)(**({"sensor_size": SIZE} if kind in sized else {}), **settings)


@pytest.mark.parametrize(
    "transform",
    [
        T.CropTime(20_000, 70_000),
        T.CenterCrop(SIZE, (10, 8)),
        T.CenterCrop(SIZE, (31, 8)),
        T.CenterCrop(SIZE, 40),
        T.Decimation(3),
        T.DropPixel([(3, 4)]),
        T.DropPixel(hot_pixel_frequency=40),
        T.RandomFlipLR(SIZE, 1.0),
        T.RandomFlipUD(SIZE, 1.0),
        T.RandomTimeReversal(1.0),
        T.MergePolarities(),
        T.TimeAlignment(),
        T.TimeSkew(1.5, 10),
        T.Downsample(0.5, (0.5, 0.25)),
    ],
    ids=name,
)
def test_equal_to_tonic_event_by_event(transform):
    data = stream(700, DTYPES["nmnist"], first=50)
    assert np.array_equal(transform(data), _tonic(transform)(data.copy()))


def test_without_an_end_every_recording_has_its_own():
    short, long = stream(5, span=100), stream(200)
    ours, tonics = T.CropTime(), tonic.transforms.CropTime()
    assert len(ours(short)) == 5 and len(ours(long)) == 200
    tonics(short)
    assert len(tonics(long)) < 200  # it remembers the end of the first


@pytest.mark.parametrize("size", [(3, 2, 2), (24, 16, 2)])
def test_every_place_of_a_crop_is_drawn(size):
    crop, events = T.RandomCrop(target_size=(2, 2), seed=0), Events(stream(1, size=(1, 1)), size)
    data = np.zeros(1, events.data.dtype)
    data["x"], data["y"] = size[0] - 1, size[1] - 1
    corner = Events(data, size)
    assert any(len(crop(corner)) for _ in range(2000))


@given(st.integers(0, 300), st.floats(0, 1), st.integers(0, 50))
def test_the_share_of_dropped_events_is_exact(n, p, seed):
    assert len(T.DropEvent(p, seed=seed)(stream(n))) == n - int(p * n + 0.5)


def test_a_stretch_of_time_is_of_the_recording_and_not_of_its_clock():
    data = stream(4000, span=1_000_000, first=1_000_000)
    shares = [1 - len(T.DropEventByTime(0.5, seed=k)(data)) / 4000 for k in range(20)]
    assert min(shares) > 0.45 and max(shares) < 0.55


def test_a_range_of_areas_is_that_range():
    data = stream(5000)
    shares = [1 - len(T.DropEventByArea(SIZE, (0.25, 0.5), seed=k)(data)) / 5000 for k in range(40)]
    assert min(shares) > 0.02 and max(shares) < 0.3  # sides of a quarter to a half


def test_event_drop_takes_every_way():
    data, reasons = stream(1000), set()
    for k in range(60):
        dropped = T.EventDrop(SIZE, seed=k).counted(data).dropped
        reasons.add(next((name for name, count in dropped.items() if count), "none"))
    assert reasons == {"none", "time", "area", "random"}


def test_noise_has_both_polarities_and_all_pixels():
    data = stream(10, span=1000)
    noisy = T.UniformNoise(SIZE, 20_000, seed=0).counted(data)
    assert noisy.added == 20_000 and len(noisy.result) == 20_010
    found = noisy.result
    assert 0.45 < found["p"].mean() < 0.55  # all true in Tonic where p is boolean
    assert found["x"].max() == 23 and found["y"].max() == 15 and found["x"].min() == 0
    assert found["t"].min() >= data["t"].min() and found["t"].max() <= data["t"].max()


def test_spatial_jitter_is_centred_and_has_its_covariance():
    data = stream(20_000)
    data["x"], data["y"] = 12, 8
    moved = T.SpatialJitter(SIZE, 4.0, 2.0, 1.5, seed=0)(data)
    x, y = moved["x"] - 12.0, moved["y"] - 8.0
    assert abs(x.mean()) < 0.05 and abs(y.mean()) < 0.05  # Tonic: -0.5
    assert np.allclose(np.cov(x, y), [[4.0, 1.5], [1.5, 2.0]], atol=0.2)


def test_jitter_of_unsigned_fields_does_not_wrap():
    data = stream(500, DTYPES["unsigned"], span=20)
    assert T.TimeJitter(50.0, seed=0)(data)["t"].max() < 1000
    moved = T.SpatialJitter(SIZE, 9.0, 9.0, clip_outliers=False, seed=0)(data)
    assert moved["x"].max() < 24 and moved["y"].max() < 16 and len(moved) == 500
    dropped = T.TimeJitter(50.0, clip_negative=True, seed=0).counted(data)
    assert dropped.dropped["negative"] == 500 - len(dropped.result) > 0


def test_polarity_flips_per_event():
    data = stream(4000)
    data["p"] = True
    assert 0.35 < 1 - T.RandomFlipPolarity(0.4, seed=0)(data)["p"].mean() < 0.45
    whole = {float(T.RandomFlipPolarity(0.5, per="recording", seed=k)(data)["p"].mean()) for k in range(20)}
    assert whole == {0.0, 1.0}


def test_events_before_zero_are_refused():
    with pytest.raises(EventError, match=r"event 0 would be at t = -\d+ us"):
        T.TimeSkew(1.0, offset=-200_000)(stream(9))


@pytest.mark.parametrize("transform", [T.RandomFlipLR(SIZE, 1.0), T.RandomDropPixel(0.5, SIZE)], ids=name)
def test_events_outside_are_named(transform):
    data = stream(9)
    data["x"][4] = 30
    with pytest.raises(EventError, match="event 4 has x = 30"):
        transform(data)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: T.CropTime(5, 4), "min <= max"),
        (lambda: T.CenterCrop(SIZE, 0)(stream(3)), "size is 0"),
        (lambda: T.RandomCrop(SIZE, (30, 3))(stream(3)), "does not fit the sensor"),
        (lambda: T.DropEvent(1.5), "p is 1.5"),
        (lambda: T.DropEvent((0.5, 0.1)), "smaller number first"),
        (lambda: T.DropEventByTime(-0.1), "duration_ratio"),
        (lambda: T.DropPixel(), "either coordinates"),
        (lambda: T.DropPixel([(3, -4)]), "pairs"),
        (lambda: T.RandomFlipLR(SIZE, 2), "p is 2"),
        (lambda: T.RandomFlipPolarity(per="all"), "per is 'all'"),
        (lambda: T.TimeSkew(0), "coefficient"),
        (lambda: T.TimeJitter(-1), "std"),
        (lambda: T.SpatialJitter(SIZE, 1, 1, 2), "covariance"),
        (lambda: T.Downsample(spatial_factor=0), "spatial_factor"),
        (lambda: T.UniformNoise(SIZE, -3), "n is -3"),
        (lambda: T.Decimation(0), "n is 0"),
    ],
)
def test_settings_that_make_no_sense(build, message):
    with pytest.raises((ConfigError, EventError), match=message):
        build()
