"""Filters against slow loops, and against Tonic where Tonic is right."""

import numpy as np
import pytest
import tonic
from hypothesis import given
from hypothesis import strategies as st
from oracles.streams import DTYPES, stream

from spikesim.datasets import Events
from spikesim.datasets.transforms import Decimation, Denoise, RefractoryPeriod, ToFrame
from spikesim.errors import ConfigError


def denoised(data, window):
    """A loop over pairs."""
    kept = []
    for i, e in enumerate(data):
        kept.append(
            any(
                abs(int(o["x"]) - int(e["x"])) + abs(int(o["y"]) - int(e["y"])) == 1 and e["t"] - o["t"] < window
                for o in data[:i]
            )
        )
    return data[np.array(kept, bool)]


def rested(data, delta):
    """A loop with a dictionary."""
    last, kept = {}, []
    for e in data:
        at = int(e["x"]), int(e["y"])
        kept.append(at not in last or e["t"] - last[at] > delta)
        if kept[-1]:
            last[at] = e["t"]
    return data[np.array(kept, bool)]


@given(st.integers(0, 80), st.integers(1, 500), st.integers(0, 1000))
def test_denoise_is_the_loop(n, window, seed):
    data = stream(n, size=(5, 4), span=2000, seed=seed)
    assert np.array_equal(Denoise(window)(data), denoised(data, window))


@given(st.integers(0, 80), st.integers(1, 500), st.integers(0, 1000))
def test_a_dead_time_is_the_loop(n, delta, seed):
    data = stream(n, size=(3, 2), span=2000, seed=seed)
    assert np.array_equal(RefractoryPeriod(delta)(data), rested(data, delta))


@pytest.mark.parametrize("dtype", [d for name, d in DTYPES.items() if name != "unsigned"])
@pytest.mark.parametrize("window", [300, 2500, 20_000])
def test_equal_to_tonic_after_its_start(dtype, window):
    data = stream(4000, dtype, first=20_001)
    assert np.array_equal(Denoise(window)(data), tonic.transforms.Denoise(window)(data))
    found = RefractoryPeriod(window, rule="interval")(data)
    assert np.array_equal(found, tonic.transforms.RefractoryPeriod(window)(data))


def test_an_isolated_event_at_the_start_is_noise():
    # Tonic's memory begins at filter_time, so that whatever comes before it passes.
    data = stream(1, span=1)
    assert len(tonic.transforms.Denoise(10_000)(data)) == 1
    assert len(Denoise(10_000)(data)) == 0


def test_a_dead_time_is_not_prolonged_by_what_it_drops():
    # Tonic lets dropped events start the period again, and loses an event at t = 0.
    data = stream(4, size=(1, 1))
    data["t"] = [0, 80, 160, 240]
    assert RefractoryPeriod(100)(data)["t"].tolist() == [0, 160]
    assert tonic.transforms.RefractoryPeriod(100)(data)["t"].tolist() == []


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "10", None, True])
def test_a_time_that_is_none_is_refused(value):
    with pytest.raises(ConfigError, match="filter_time is"):
        Denoise(value)
    with pytest.raises(ConfigError, match="delta is"):
        RefractoryPeriod(value)


def test_a_period_is_drawn_from_a_range():
    data = stream(400, size=(2, 2), span=40_000)
    counts = {len(RefractoryPeriod((100, 4000), seed=k)(data)) for k in range(9)}
    assert len(counts) > 5 and min(counts) >= len(RefractoryPeriod(4000)(data))
    assert len(RefractoryPeriod((0, 0))(data)) >= max(counts)
    for wrong in ((5, 1), (-1, 4), (1, 2, 3)):
        with pytest.raises(ConfigError, match="in ascending order"):
            RefractoryPeriod(wrong)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ConfigError, match='expected "dead_time" or "interval"'):
        RefractoryPeriod(10, rule="tonic")


@pytest.mark.parametrize("transform", [Denoise(20_000), RefractoryPeriod(1_000), Decimation(2)])
def test_what_is_said_of_the_order_is_true(transform):
    data = stream(400, span=50_000)
    for order in (data, data[::-1].copy(), np.concatenate([data[200:], data[:200]])):
        events = Events(order, (24, 16, 2))
        kept = transform(events)
        assert len(kept) > 10 and kept.sorted == bool((np.diff(kept.t) >= 0).all())
        frames = ToFrame(n_time_bins=5)(kept)
        assert np.array_equal(frames, ToFrame(n_time_bins=5)(kept.in_time_order())) and frames.sum() == len(kept)
