"""Voxel grids, time surfaces and HATS against loops, and against Tonic where Tonic is right."""

import numpy as np
import pytest
import tonic
from hypothesis import given
from hypothesis import strategies as st
from oracles.streams import DTYPES, stream

from spikesim.datasets import Events
from spikesim.datasets.transforms import ToAveragedTimesurface, ToTimesurface, ToVoxelGrid
from spikesim.errors import ConfigError, EventError

SIZE = (24, 16, 2)


def signed(data):
    """The same in the one dtype that Tonic treats right."""
    return data.astype([(name, "i8") for name in data.dtype.names])


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("n", [2, 60, 900])
def test_a_voxel_grid_is_tonics_but_for_the_last_event(n, dtype):
    data = stream(n, dtype, first=100)
    data["t"][-1] += 1  # the only one at the end
    expected = tonic.transforms.ToVoxelGrid(SIZE, 10)(signed(data))
    expected[-1, 0, data["y"][-1], data["x"][-1]] += 1 if data["p"][-1] else -1
    assert np.allclose(ToVoxelGrid(SIZE, 10)(data), expected, atol=1e-5)


def test_boolean_polarity_has_two_signs():
    # In Tonic False stays 0 and then becomes True: a recording of darker events sums to a positive number.
    data = stream(500)
    data["p"] = False
    assert tonic.transforms.ToVoxelGrid(SIZE, 5)(data).sum() > 0
    assert ToVoxelGrid(SIZE, 5)(data).sum() < -400


@given(st.integers(1, 100), st.integers(1, 9), st.integers(1, 300), st.integers(0, 99))
def test_centres_conserve_polarity_and_are_the_published_kernel(n, bins, span, seed):
    data = stream(n, span=span, seed=seed)
    found = ToVoxelGrid(SIZE, bins, span="centres")(data)
    t = data["t"] - data["t"].min()
    place = (bins - 1) * t / max(t.max(), 1)
    expected = np.zeros(found.shape)
    for i in range(n):
        for b in range(bins):
            share = max(0.0, 1 - abs(b - place[i]))
            expected[b, 0, data["y"][i], data["x"][i]] += share * (1 if data["p"][i] else -1)
    assert np.allclose(found, expected, atol=1e-4)


def test_a_voxel_grid_of_one_time_or_none_is_finite():
    data = stream(5, span=1)
    assert ToVoxelGrid(SIZE, 4)(data)[0].sum() == 2 * data["p"].sum() - 5
    assert not ToVoxelGrid(SIZE, 4)(data[:0]).any()


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("n", [1, 60, 900])
def test_a_time_surface_is_tonics(n, dtype):
    data = stream(n, dtype, first=100)
    expected = tonic.transforms.ToTimesurface(SIZE, dt=1000, tau=3000)(signed(data))
    found = ToTimesurface(SIZE, dt=1000, tau=3000)(data)
    assert found.shape == expected.shape and np.allclose(found, expected, rtol=1e-4)


def test_time_surfaces_of_odd_recordings():
    assert ToTimesurface(SIZE, dt=1000)(stream(0)).shape == (1, 2, 16, 24)
    late = stream(100)[::-1].copy()
    assert np.array_equal(ToTimesurface(SIZE, dt=9000)(late), ToTimesurface(SIZE, dt=9000)(late[::-1].copy()))
    counted = ToTimesurface(SIZE, dt=30_000).counted(stream(500))
    assert counted.dropped["remainder"] == (stream(500)["t"] >= stream(500)["t"][0] + 90_000).sum()
    whole = ToTimesurface(SIZE, dt=30_000, include_incomplete=True).counted(stream(500))
    assert whole.result.shape[0] == 4 and whole.dropped["remainder"] == 0


def averaged(data, surface, cell, window, tau, decay):
    """HATS pair by pair."""
    width, height, _ = SIZE
    wide, high, reach = -(-width // cell), -(-height // cell), surface // 2
    out, counts = np.zeros((wide * high, 2, surface, surface)), np.zeros((wide * high, 2))
    for i, e in enumerate(data):
        x, y, t, p = int(e["x"]), int(e["y"]), int(e["t"]), int(e["p"])
        which = (y // cell) * wide + x // cell, p
        counts[which] += 1
        out[which][reach, reach] += 1
        for o in data[:i]:
            dx, dy, age = int(o["x"]) - x, int(o["y"]) - y, t - int(o["t"])
            same = int(o["x"]) // cell == x // cell and int(o["y"]) // cell == y // cell and int(o["p"]) == p
            if same and max(abs(dx), abs(dy)) <= reach and age <= window:
                out[which][dy + reach, dx + reach] += np.exp(-age / tau) if decay == "exp" else 1 - age / (3 * tau)
    return out / np.maximum(counts, 1)[..., None, None]


@given(
    st.integers(0, 90), st.sampled_from([(1, 1), (3, 4), (5, 7), (7, 10)]), st.integers(1, 4000), st.integers(1, 900),
    st.sampled_from(["exp", "lin"]), st.integers(0, 99),
)  # fmt: skip
def test_hats_is_the_sum_over_pairs(n, sizes, window, tau, decay, seed):
    data = stream(n, span=5000, seed=seed)
    settings = (*sizes, window, tau, decay)
    assert np.allclose(ToAveragedTimesurface(SIZE, *settings)(data), averaged(data, *settings), atol=1e-5)


@pytest.mark.parametrize("decay", ["exp", "lin"])
@pytest.mark.parametrize("window", [300, 5000])
def test_hats_is_tonics(decay, window):
    data = stream(800, span=20_000)
    expected = tonic.transforms.ToAveragedTimesurface(SIZE, 5, 10, window, 700, decay)(signed(data))
    assert np.allclose(ToAveragedTimesurface(SIZE, 5, 10, window, 700, decay)(data), expected, atol=2e-5)


def test_hats_after_a_long_time_is_exact():
    # float32 times, as in Tonic, do not tell these apart.
    data = stream(300, span=3000)
    late = data.copy()
    late["t"] += 10**12
    hats = ToAveragedTimesurface(SIZE, 3, 8, 1000, 200)
    assert np.array_equal(hats(late), hats(data))


@pytest.mark.parametrize("transform", [ToVoxelGrid(SIZE), ToTimesurface(SIZE), ToAveragedTimesurface(SIZE)])
def test_an_event_outside_is_named(transform):
    data = stream(20)
    data["x"][3] = 24
    with pytest.raises(EventError, match="event 3 has x = 24"):
        transform(data)
    assert type(transform)()(Events(stream(20), SIZE)).ndim == 4


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ToVoxelGrid(SIZE, 0), "n_time_bins is 0"),
        (lambda: ToVoxelGrid(SIZE, 3, span="tonic"), "bins"),
        (lambda: ToTimesurface(SIZE, dt=0), "dt is 0"),
        (lambda: ToTimesurface(SIZE, tau=-1), "tau is -1"),
        (lambda: ToAveragedTimesurface(SIZE, surface_size=4), "odd"),
        (lambda: ToAveragedTimesurface(SIZE, surface_size=11), "cell_size"),
        (lambda: ToAveragedTimesurface(SIZE, decay="log"), "exp"),
    ],
)
def test_settings_that_make_no_sense(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
