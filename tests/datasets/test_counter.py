"""Random numbers of a counter: their distributions, and that each follows from its key and counter alone."""

import numpy as np
import pytest
from scipy import stats

from spikesim.datasets.counter import _EDGES, _HEIGHTS, key_of, normal_at, uniform_at
from spikesim.datasets.transforms import Draw

N = 400_000


@pytest.fixture(scope="module")
def normal():
    return Draw(1, 7).normal(N)


def test_layers_of_the_ziggurat_have_one_area():
    areas = _EDGES[1:256] * np.diff(_HEIGHTS[1:])
    base = _EDGES[1] * _HEIGHTS[1] + np.sqrt(2 * np.pi) * stats.norm.sf(_EDGES[1])
    assert np.allclose(areas, base, rtol=1e-8)


def test_normal_numbers_are_normal(normal):
    edges = stats.norm.ppf(np.linspace(0, 1, 129))
    counts = np.histogram(normal, edges)[0]
    assert stats.chisquare(counts).pvalue > 1e-4
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((normal**power).mean() - moment) < 5 * np.sqrt(spread / N)


def test_the_tail_is_the_tail(normal):
    beyond = normal[np.abs(normal) > _EDGES[1]]
    assert abs(len(beyond) - 2 * stats.norm.sf(_EDGES[1]) * N) < 5 * np.sqrt(len(beyond) + 1)
    past = stats.norm.sf(np.abs(beyond)) / stats.norm.sf(_EDGES[1])  # uniform, if they are normal
    assert stats.kstest(past, "uniform").pvalue > 1e-4 and (beyond > 0).any() and (beyond < 0).any()


def test_a_number_follows_from_key_and_counter():
    key = key_of(1, 7, 1)
    assert [normal_at(key, np.uint64(k)) for k in (5, 3, 5)] == Draw(1, 7).normal(6)[[5, 3, 5]].tolist()
    assert 0 <= uniform_at(key, np.uint64(0)) < 1 and uniform_at(key, np.uint64(0)) != uniform_at(key, np.uint64(1))
