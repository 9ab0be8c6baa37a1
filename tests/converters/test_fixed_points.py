"""Iterated thresholds: against scalar loops, the published table, and each other."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikesim.converters import (
    Histogram,
    gaussian_threshold,
    lloyd_threshold,
    ltb_threshold,
    mse_threshold,
)
from spikesim.errors import ConfigError


def histogram_of(values: torch.Tensor) -> Histogram:
    histogram = Histogram(1)
    histogram.update(values.reshape(-1, 1))
    return histogram


@pytest.fixture(scope="module")
def normal() -> Histogram:
    return histogram_of(torch.randn(400_000, generator=torch.Generator().manual_seed(0)).clamp(min=0))


# Ranges of least error for N(0, 1), by dense search over the exact integral.
@pytest.mark.parametrize(("levels", "range_"), [(1, 1.224), (4, 2.135), (32, 3.286)])
def test_all_three_find_the_best_range_of_a_normal_distribution(normal: Histogram, levels: int, range_: float) -> None:
    assert gaussian_threshold(normal, levels).item() == pytest.approx(range_, rel=0.01)
    assert lloyd_threshold(normal, levels).item() == pytest.approx(range_, rel=0.02)
    assert mse_threshold(normal, levels).item() == pytest.approx(range_, rel=0.01)


@settings(deadline=None, max_examples=20)
@given(
    values=st.lists(st.floats(0.015625, 100, width=32), min_size=1, max_size=40),
    zeros=st.integers(0, 20),
    updates=st.integers(1, 30),
)
def test_ltb_is_the_loop_up_to_the_width_of_a_bin(values: list[float], zeros: int, updates: int) -> None:
    theta, count = 0.0, len(values) + zeros
    for _ in range(updates):
        theta += 2 * sum(max(v - theta, 0.0) for v in values) / count
    found = ltb_threshold(histogram_of(torch.tensor(values + [0.0] * zeros)), updates).item()
    assert found == pytest.approx(theta, rel=0.05)


@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.floats(0.015625, 100, width=32), min_size=2, max_size=40), levels=st.integers(1, 16))
def test_lloyd_ends_where_no_step_fits_its_own_levels_better(values: list[float], levels: int) -> None:
    histogram = histogram_of(torch.tensor(values))
    step = lloyd_threshold(histogram, levels).item() / levels
    level = [min(math.floor(v / step + 0.5), levels) for v in values]
    near_a_border = any(abs(v / step + 0.5 - round(v / step + 0.5)) < 0.04 * levels for v in values)
    if not near_a_border and max(level) > 0:
        best = sum(k * v for k, v in zip(level, values)) / sum(k * k for k in level)
        assert step == pytest.approx(best, rel=0.02)


def test_channels_do_not_depend_on_each_other_and_dead_ones_get_zero() -> None:
    generator = torch.Generator().manual_seed(1)
    both = Histogram(3)
    x = torch.rand(500, 3, generator=generator) * torch.tensor([1.0, 20.0, 0.0])
    both.update(x)
    for rule in (lambda h: lloyd_threshold(h, 4), lambda h: gaussian_threshold(h, 4), lambda h: ltb_threshold(h, 9)):
        found = rule(both)
        assert found[2] == 0 and found[0] > 0
        alone = Histogram(1)
        alone.update(x[:, 1:2])
        assert rule(alone).item() == pytest.approx(found[1].item(), rel=1e-6)


def test_bad_numbers(normal: Histogram) -> None:
    for rule in (lloyd_threshold, gaussian_threshold):
        with pytest.raises(ConfigError, match="levels is 0"):
            rule(normal, 0)
    with pytest.raises(ConfigError, match="updates is 0"):
        ltb_threshold(normal, 0)
