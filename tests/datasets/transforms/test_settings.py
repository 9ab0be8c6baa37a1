"""Settings that make no sense are errors of ours, and times that are far out change nothing."""

import numpy as np
import pytest

from spikesim.datasets import Events
from spikesim.datasets import transforms as T
from spikesim.errors import ConfigError, EventError

SIZE = (10, 8, 2)
NAN, INF = float("nan"), float("inf")


def events(times):
    n = len(times)
    return Events.from_columns([3] * n, [4] * n, times, [1] * n, SIZE)


@pytest.mark.parametrize("value", [NAN, INF, -1, True, "3", None, (1, 2), 1e300], ids=repr)
@pytest.mark.parametrize("make", [T.TimeJitter, lambda v: T.SpatialJitter(var_x=v), lambda v: T.SpatialJitter(var_y=v)])
def test_a_spread_that_is_no_number_is_refused(make, value):
    with pytest.raises(ConfigError, match="expected"):
        make(value)


@pytest.mark.parametrize("value", [NAN, INF, "3", None, (2, 1), (1,), (1, INF), (NAN, 1), ("a", "b"), {}], ids=repr)
@pytest.mark.parametrize(
    "make", [T.RefractoryPeriod, T.TimeSkew, lambda v: T.TimeSkew(1.0, v), T.DropEvent, lambda v: T.EventMix(widths=v)]
)
def test_a_number_or_range_that_is_none_is_refused(make, value):
    with pytest.raises(ConfigError, match="expected"):
        make(value)


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (T.CropTime, NAN),
        (T.CropTime, "3"),
        (lambda v: T.CropTime(0, v), (1, 2)),
        (T.Decimation, 2**70),
        (lambda v: T.UniformNoise(n=v), (5, 1)),
        (lambda v: T.UniformNoise(n=v), (1,)),
        (lambda v: T.Downsample(spatial_factor=v), (1,)),
        (lambda v: T.Downsample(target_size=v), 0.5),
        (lambda v: T.Downsample(target_size=v), (0.5, 2)),
        (lambda v: T.Downsample(target_size=v), True),
        (T.DropPixel, 5),
        (T.DropPixel, [(0.5, 1)]),
        (T.DropPixel, [3]),
        (lambda v: T.NDA(operations=v), 3),
        (T.NumpyAsType, "floaty"),
    ],
)
def test_other_settings_are_named(make, value):
    with pytest.raises(ConfigError, match="expected"):
        make(value)


@pytest.mark.parametrize("size", [True, 2.5, None, "ab", 2**70])
def test_a_window_of_no_size_is_refused(size):
    for transform in (T.CenterCrop(size=size), T.RandomCrop(target_size=size)):
        with pytest.raises(ConfigError, match="size is"):
            transform(events([1]))


def test_a_range_may_be_a_list():
    assert T.TimeSkew([2.0, 2.0], [5, 5])(events([90])).t.tolist() == [185]


def test_integers_of_numpy_are_seeds_and_other_things_are_not():
    recording = events(range(20))
    plain = T.DropEvent(0.5, seed=3)(recording)
    assert T.DropEvent(0.5, seed=np.int64(3))(recording) == plain == T.DropEvent(0.5, seed=np.uint8(3))(recording)
    for seed in (0.5, "3", (1, 2)):
        with pytest.raises(ConfigError, match="expected a whole number"):
            T.DropEvent(0.5, seed=seed)(recording)


@pytest.mark.parametrize("rule", ["dead_time", "interval"])
def test_a_first_event_is_never_in_the_dead_time(rule):
    for start in (0, 2**53 + 1, 2**62 + 1, 2**63 - 200):
        found = T.RefractoryPeriod(100, rule=rule)(events([start, start + 50, start + 180]))
        assert (found.t - start).tolist() == [0, 180]


def test_a_time_beyond_64_bits_is_named():
    data = np.zeros(3, [("x", "u1"), ("y", "u1"), ("t", "u8"), ("p", "u1")])
    data["t"] = [1, 2, 2**63 + 5]
    for transform in (
        T.RefractoryPeriod(1),
        T.RandomTimeReversal(1.0),
        T.ToFrame(SIZE, n_time_bins=2),
        T.TimeAlignment(),
    ):
        with pytest.raises(EventError, match="event 2 has t = 9223372036854775813; expected microseconds"):
            transform(data)


@pytest.mark.parametrize("remainder", ["exact", "spikingjelly", "tonic"])
def test_a_gap_that_no_memory_holds_is_named(remainder):
    with pytest.raises(EventError, match="expected at most 16777216: take longer windows"):
        T.ToFrame(time_window=50, remainder=remainder)(events([0, 2**40]))
