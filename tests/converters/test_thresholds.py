"""Threshold rules against brute force and the Gaussian table."""

from __future__ import annotations

import pytest
import torch
from oracles.conversion import squared_error

from spikesim.converters import Histogram, maximum_threshold, mse_threshold, percentile_threshold
from spikesim.converters.thresholds import parse_threshold, safe_thresholds
from spikesim.errors import ConfigError


@pytest.fixture(scope="module")
def gaussian() -> Histogram:
    histogram = Histogram(1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        histogram.update(torch.randn(500_000, 1, generator=generator).relu())
    return histogram


@pytest.mark.parametrize(("timesteps", "theta"), [(1, 1.224), (4, 2.135), (32, 3.286)])
def test_gaussian_table(gaussian: Histogram, timesteps: int, theta: float) -> None:
    assert mse_threshold(gaussian, timesteps).item() == pytest.approx(theta, rel=0.005)


@pytest.mark.parametrize("timesteps", [1, 2, 3, 8, 16])
def test_mse_is_as_good_as_a_fine_grid_on_the_samples(timesteps: int) -> None:
    values = torch.rand(300, generator=torch.Generator().manual_seed(timesteps)) ** 3 * 7
    histogram = Histogram(1)
    histogram.update(values.reshape(-1, 1))
    found = squared_error(values.tolist(), mse_threshold(histogram, timesteps).item(), timesteps)
    best = min(squared_error(values.tolist(), 7 * i / 400, timesteps) for i in range(20, 401))
    assert found <= 1.05 * best


def test_channels_are_independent() -> None:
    values = torch.rand(400, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0, 0.01])
    together = Histogram(3)
    together.update(values)
    for channel in range(3):
        alone = Histogram(1)
        alone.update(values[:, channel : channel + 1])
        torch.testing.assert_close(mse_threshold(together, 4)[channel], mse_threshold(alone, 4)[0])


def test_one_value_only_is_met_exactly() -> None:
    histogram = Histogram(1)
    histogram.update(torch.full((10, 1), 6.0))
    theta = mse_threshold(histogram, 4).item()
    assert squared_error([6.0] * 10, theta, 4) < 1e-6


def test_percentile_counts_positive_values_only() -> None:
    histogram = Histogram(1)
    histogram.update(torch.cat([torch.zeros(9000), torch.linspace(0.001, 1, 1000)]).reshape(-1, 1))
    assert percentile_threshold(histogram, 50).item() == pytest.approx(0.5, rel=0.03)
    assert percentile_threshold(histogram, 100).item() == maximum_threshold(histogram).item() == 1.0


def test_dead_channels_get_a_safe_threshold() -> None:
    histogram = Histogram(3)
    histogram.update(torch.tensor([[1.0, 0.0, 3.0]]))
    for rule in (maximum_threshold, percentile_threshold, lambda h: mse_threshold(h, 2)):
        theta = safe_thresholds(rule(histogram), histogram)
        assert bool((theta > 0).all()) and theta[1] == theta[[0, 2]].max()


def test_names() -> None:
    assert parse_threshold("max", 4)[0] == "max"
    assert parse_threshold("percentile", 4)[0] == "percentile(99.9)"
    assert parse_threshold("percentile(99.99)", 4)[0] == "percentile(99.99)"
    assert parse_threshold(maximum_threshold, 4) == ("maximum_threshold", maximum_threshold)
    for bad in ("min", "percentile(0)", "percentile(101)", "percentile(1.2.3)"):
        with pytest.raises(ConfigError, match="threshold is"):
            parse_threshold(bad, 4)


def test_ranges(gaussian: Histogram) -> None:
    with pytest.raises(ConfigError):
        mse_threshold(gaussian, 0)
    with pytest.raises(ConfigError, match="percentile"):
        percentile_threshold(gaussian, 0)
