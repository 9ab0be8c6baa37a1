"""Downsampling against a slow loop, and against Tonic where Tonic is right."""

import numpy as np
import pytest
import tonic
from hypothesis import given
from hypothesis import strategies as st
from oracles.mixing import downsampled
from oracles.streams import DTYPES, stream

from spikesim.datasets import Events
from spikesim.datasets.transforms import EventDownsampling
from spikesim.errors import ConfigError, EventError

SIZE = (24, 16, 2)


def rows(data):
    return [(int(e["x"]), int(e["y"]), int(e["t"]), int(e["p"])) for e in data]


@given(st.integers(1, 60), st.integers(1, 3), st.integers(1, 3), st.sampled_from([0.25, 1.0, 1.6]), st.integers(0, 99))
def test_equal_to_the_loop(n, threshold, bins, dt, seed):
    data = stream(n, size=(7, 5), span=6000, first=300, seed=seed)
    size, target = (7, 5, 2), (3, 2)
    integrated = EventDownsampling(size, target, "integrator", dt, threshold)(data)
    assert rows(integrated) == downsampled(data, size, target, dt * 1000, threshold)
    differentiated = EventDownsampling(size, target, "differentiator", dt, threshold, bins)(data)
    assert rows(differentiated) == downsampled(data, size, target, dt * 1000, threshold, bins)


@pytest.mark.parametrize("method", ["integrator", "differentiator"])
@pytest.mark.parametrize("dtype", ["gesture", "nmnist"])
@pytest.mark.parametrize(("threshold", "bins", "dt"), [(1, 2, 2.0), (2, 2, 2.0), (2, 4, 5.0)])
def test_equal_to_tonic_up_to_the_last_full_step(method, dtype, threshold, bins, dt):
    data = stream(4000, DTYPES[dtype], size=(32, 16), span=100_000)
    data["t"] -= data["t"][0]  # Tonic counts from 0
    settings = {"target_size": (8, 4), "downsampling_method": method, "dt": dt, "noise_threshold": threshold}
    theirs = tonic.transforms.EventDownsampling((32, 16, 2), differentiator_time_bins=bins, **settings)(data.copy())
    ours = EventDownsampling((32, 16, 2), differentiator_time_bins=bins, **settings)(data)
    end = int(data["t"][-1] // (dt * 1000) - 1) * dt * 1000
    expected = [row for row in rows(theirs) if row[2] < end]
    assert len(expected) > 50
    assert [row for row in rows(ours) if row[2] < end] == expected


def test_a_threshold_of_zero_makes_tonic_invent_events():
    data = stream(10, DTYPES["nmnist"], size=(8, 8), span=3000)
    settings = {"target_size": (4, 4), "downsampling_method": "integrator", "dt": 1.0}
    assert len(tonic.transforms.EventDownsampling((8, 8, 2), noise_threshold=0, **settings)(data)) > 30
    with pytest.raises(ConfigError, match="noise_threshold is 0"):
        EventDownsampling((8, 8, 2), noise_threshold=0, **settings)
    assert len(EventDownsampling((8, 8, 2), **settings)(data)) <= 10


@pytest.mark.parametrize("method", ["integrator", "differentiator"])
@pytest.mark.parametrize("n", [0, 1, 300])
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_form_and_account(method, n, dtype):
    data = stream(n, dtype, first=50)
    before = data.copy()
    counted = EventDownsampling(SIZE, (6, 4), method, dt=3.0, noise_threshold=2).counted(data)
    assert counted.result.dtype == dtype and np.array_equal(before, data)
    assert counted.events == n == counted.kept + counted.dropped["integrated"]
    assert counted.kept == len(counted.result)
    recording = EventDownsampling(None, (6, 4), method, dt=3.0, noise_threshold=2)(Events(data, SIZE))
    assert recording.sensor_size == (6, 4, 2) and rows(recording.data) == rows(counted.result)


def test_refusals():
    with pytest.raises(ConfigError, match="downsampling_method is 'naive'"):
        EventDownsampling(SIZE, (2, 2), "naive")
    with pytest.raises(ConfigError, match="dt is 0"):
        EventDownsampling(SIZE, (2, 2), dt=0)
    with pytest.raises(EventError, match="does not fit the sensor"):
        EventDownsampling(SIZE, (48, 2))(stream(3))
    data = stream(9)
    data["x"][4] = 30
    with pytest.raises(EventError, match="event 4 has x = 30"):
        EventDownsampling(SIZE, (2, 2))(data)
