"""Images, sparse tensors, frames of bits and clouds of points."""

import numpy as np
import pytest
import tonic
from hypothesis import given
from hypothesis import strategies as st
from oracles.streams import DTYPES, stream

from spikesim.datasets.transforms import (
    SamplePoints,
    ToBinaRep,
    ToFrame,
    ToImage,
    ToSparseTensor,
    farthest_points,
    nearest_points,
)
from spikesim.errors import ConfigError, ShapeError

SIZE = (24, 16, 2)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_an_image_is_tonics_and_of_nothing_is_black(dtype):
    data = stream(500, dtype)
    assert np.array_equal(ToImage(SIZE)(data), tonic.transforms.ToImage(SIZE)(data.copy()))
    assert ToImage(SIZE)(data[:0]).shape == (2, 16, 24)
    bright = stream(300, size=(1, 1))
    counted = ToImage((1, 1, 1)).counted(bright)
    assert counted.result.max() == 255 and counted.dropped == {"overflow": 45}


@pytest.mark.parametrize("n", [0, 1, 500])
def test_a_sparse_tensor_is_the_frames(n):
    data = stream(n)
    way = {"sensor_size": SIZE, "n_time_bins": 5}
    sparse = ToSparseTensor(**way)(data)
    assert sparse.is_sparse and sparse.is_coalesced()
    assert np.array_equal(sparse.to_dense().numpy(), ToFrame(**way)(data))
    assert ToSparseTensor(**way).counted(data).kept == n


@given(st.integers(1, 3), st.integers(2, 12), st.integers(0, 99))
def test_bits_are_tonics(frames, bits, seed):
    counts = np.random.default_rng(seed).integers(0, 3, (frames * bits, 2, 3, 4))
    expected = tonic.transforms.ToBinaRep(frames, bits)(counts)
    assert np.allclose(ToBinaRep(frames, bits)(counts), expected, atol=1e-6)


def test_frames_of_another_number_are_refused():
    with pytest.raises(ShapeError, match="n_time_bins=16"):
        ToBinaRep(2, 8)(np.zeros((15, 2, 3, 4)))
    with pytest.raises(ConfigError, match="n_bits is 1"):
        ToBinaRep(2, 1)
    with pytest.raises(ConfigError, match="n_bits is 25"):
        ToBinaRep(2, 25)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_farthest_points_are_the_greedy_choice(n, count, seed):
    count = min(count, n)
    points = np.random.default_rng(seed).integers(0, 9, (n, 2)).astype(float)
    chosen = [0]
    distances = ((points[:, None] - points[None]) ** 2).sum(-1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(distances[:, chosen].min(1))))
    assert farthest_points(points, count).tolist() == chosen


@given(st.integers(1, 40), st.integers(0, 9), st.integers(1, 40), st.integers(0, 99))
def test_nearest_points_are_the_sorted_ones(n, m, k, seed):
    k, rng = min(k, n), np.random.default_rng(seed)
    points, queries = rng.integers(0, 9, (n, 3)).astype(float), rng.integers(0, 9, (m, 3)).astype(float)
    distances = ((queries[:, None] - points[None]) ** 2).sum(-1)
    assert np.array_equal(nearest_points(points, queries, k), np.argsort(distances, axis=1, kind="stable")[:, :k])


def test_points_that_are_none_are_refused():
    with pytest.raises(ShapeError, match="finite"):
        farthest_points(np.array([[np.nan]]), 1)
    with pytest.raises(ShapeError, match="5 points"):
        farthest_points(np.zeros((4, 2)), 5)
    with pytest.raises(ShapeError, match="3 neighbours"):
        nearest_points(np.zeros((2, 2)), np.zeros((1, 2)), 3)


@pytest.mark.parametrize("how", ["random", "uniform", "farthest"])
@pytest.mark.parametrize("n", [0, 1, 7, 300])
def test_a_sample_has_its_size_and_order(how, n):
    data = stream(n)
    counted = SamplePoints(20, how, seed=0).counted(data)
    assert len(counted.result) == (20 if n else 0)
    assert counted.events + counted.added == counted.kept + sum(counted.dropped.values())
    assert (np.diff(counted.result["t"]) >= 0).all()
    assert set(counted.result["t"].tolist()) <= set(data["t"].tolist())


def test_far_samples_are_farther_apart_than_random_ones():
    data = stream(500)

    def spread(how):
        found = SamplePoints(15, how, seed=1)(data)
        points = np.stack([found["x"] / 24, found["y"] / 16, found["t"] / 1e5], 1)
        return np.sort(((points[:, None] - points[None]) ** 2).sum(-1), 1)[:, 1].min()

    assert spread("farthest") > 2 * spread("random")
    with pytest.raises(ConfigError, match="how is"):
        SamplePoints(3, "nearest")
