r"""Thresholds that are found by iterating, each as its source has it, on a histogram in place of batches."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from spikesim.converters.histogram import Histogram, bin_edges
from spikesim.errors import ConfigError

Moments = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From borders ``[C, L]`` to the share of values beyond each, and the mean of what is beyond."""

_ROUNDS = 4000
_STILL = 1e-9


def check_levels(levels: int) -> None:
    """Refuse what is no number of levels.

    Example:
        >>> from spikesim.converters.fixed_points import check_levels
        >>> check_levels(4)
    """
    if levels < 1:
        raise ConfigError(f"levels is {levels}, but a tally needs at least 1 level above zero")


def _bins(histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
    """Lower and upper edges ``[C, B]`` of the bins in use, none beyond the maximum, and their counts."""
    used = histogram.counts.sum(0).nonzero().flatten()
    low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
    edges, top = bin_edges()[low : high + 1], histogram.maximum[:, None]
    return torch.minimum(edges[:-1], top), torch.minimum(edges[1:], top), histogram.counts[:, low:high].double()


def _iterate(moments: Moments, start: Tensor, levels: int) -> Tensor:
    """Repeat ``range <- levels E[f(x) x] / E[f(x)^2]`` until it stands still.

    f(x) is the number of middles between levels that x has passed; so both expectations are sums over the middles, of
    what lies beyond each.
    """
    middles = torch.arange(1, levels + 1, dtype=torch.float64) - 0.5
    reach = start
    for _ in range(_ROUNDS):
        share, mean = moments((reach / levels)[:, None] * middles)
        square = (2 * middles * share).sum(1)  # k^2 - (k - 1)^2 = 2 k - 1
        found = torch.where(square > 0, levels * mean.sum(1) / square.clamp(min=1e-300), reach)
        still = bool(((found - reach).abs() <= _STILL * reach).all())
        reach = found
        if still:
            break
    return reach


def lloyd_threshold(histogram: Histogram, levels: int) -> Tensor:
    """The fixed point of Lloyd's iteration for a uniform quantiser: the best range for the levels chosen, and again.

    With level f(x) of each value the best step is ``E[f(x) x] / E[f(x)^2]`` (Lloyd, 1982). It ends in a local minimum
    of the squared error; :func:`~spikesim.converters.mse_threshold` searches for the global one.

    Args:
        histogram: Activations per channel.
        levels: Steps from zero to the range.

    Returns:
        Ranges, float64 ``[C]``; 0 for dead channels.

    Raises:
        ConfigError: ``levels`` is below 1.

    Example:
        >>> import torch
        >>> from spikesim.converters import Histogram, lloyd_threshold
        >>> h = Histogram(1); h.update(torch.rand(20000, 1, generator=torch.Generator().manual_seed(0)))
        >>> bool(abs(lloyd_threshold(h, 4).item() - 8 / 9) < 0.02)
        True
    """
    check_levels(levels)
    low, high, counts = _bins(histogram)

    def beyond(border: Tensor) -> tuple[Tensor, Tensor]:
        # Values are spread evenly inside a bin.
        place = torch.searchsorted(high.contiguous(), border, right=True).clamp(max=high.shape[1] - 1)
        from_, to = low.gather(1, place), high.gather(1, place)
        part = ((to - border) / (to - from_).clamp(min=1e-300)).clamp(0, 1)
        inside = counts.gather(1, place) * torch.where(border < to, part, 0.0)
        share = inside + above.gather(1, place)
        mean = inside * (border.maximum(from_) + to) / 2 + summed.gather(1, place)
        return share, mean

    above = counts.flip(1).cumsum(1).flip(1) - counts
    weighted = counts * (low + high) / 2
    summed = weighted.flip(1).cumsum(1).flip(1) - weighted
    return torch.where(histogram.dead, 0.0, _iterate(beyond, histogram.maximum.clone(), levels))


def ltb_threshold(histogram: Histogram, updates: int = 1000) -> Tensor:
    """Local threshold balancing: from zero, the threshold climbs by twice the mean overflow, again and again.

    Source: Bu et al., CVPR 2025, whose iteration sees a new batch at each update; here each sees all of the
    calibration data. It never comes down, so the number of updates decides: the largest activation is its limit.

    Args:
        histogram: Activations per channel, zeros included.
        updates: How many.

    Returns:
        Thresholds, float64 ``[C]``; 0 for dead channels.

    Raises:
        ConfigError: ``updates`` is below 1.

    Example:
        >>> import torch
        >>> from spikesim.converters import Histogram, ltb_threshold
        >>> h = Histogram(1); h.update(torch.tensor([[1.0], [0.0]]))
        >>> round(ltb_threshold(h, 1).item(), 2), round(ltb_threshold(h, 100).item(), 2)
        (1.0, 1.0)
    """
    if updates < 1:
        raise ConfigError(f"updates is {updates}, but there must be at least 1")
    low, high, counts = _bins(histogram)
    values, total = (low + high) / 2, histogram.total.clamp(min=1).double()
    theta = torch.zeros(histogram.channels, dtype=torch.float64)
    for _ in range(updates):
        overflow = (counts * (values - theta[:, None]).clamp(min=0)).sum(1) / total
        theta = theta + 2 * overflow
        if bool((overflow <= _STILL * theta).all()):
            break
    return theta


def gaussian_threshold(histogram: Histogram, levels: int) -> Tensor:
    r"""Threshold iteration for normally distributed currents (Huang et al., ICML 2025, differential coding).

    The moments of the currents follow from what a ReLU leaves of them: with the share p of positive values and their
    mean m over all, :math:`\alpha = \Phi^{-1}(p)`, :math:`\sigma = m / (\alpha p + \varphi(\alpha))` and
    :math:`\mu = \alpha \sigma`. Then :math:`\theta \leftarrow \theta\, E[f(x) x] / (\theta / n\, E[f(x)^2])`
    with the expectations of a normal distribution.

    Args:
        histogram: Activations per channel, zeros included.
        levels: n, steps from zero to the range.

    Returns:
        Ranges, float64 ``[C]``; 0 for dead channels.

    Raises:
        ConfigError: ``levels`` is below 1.

    Example:
        >>> import torch
        >>> from spikesim.converters import Histogram, gaussian_threshold
        >>> h = Histogram(1)
        >>> h.update(torch.randn(100000, 1, generator=torch.Generator().manual_seed(0)).clamp(min=0))
        >>> bool(abs(gaussian_threshold(h, 4).item() - 2.135) < 0.03)
        True
    """
    check_levels(levels)
    low, high, counts = _bins(histogram)
    total = histogram.total.clamp(min=1).double()
    # A channel that is always or never positive says nothing of the other half.
    positive = (counts.sum(1) / total).clamp(1e-6, 1 - 1e-6)
    alpha = torch.special.ndtri(positive)
    sigma = (counts * (low + high) / 2).sum(1) / total / (alpha * positive + _density(alpha)).clamp(min=1e-12)
    mu, sigma = (alpha * sigma)[:, None], sigma.clamp(min=1e-300)[:, None]

    def beyond(border: Tensor) -> tuple[Tensor, Tensor]:
        z = (border - mu) / sigma
        share = torch.special.ndtr(-z)
        return share, mu * share + sigma * _density(z)

    return torch.where(histogram.dead, 0.0, _iterate(beyond, (mu + 2 * sigma).squeeze(1).clamp(min=1e-12), levels))


def _density(z: Tensor) -> Tensor:
    return torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
