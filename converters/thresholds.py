r"""Thresholds from histograms: pure functions ``Histogram -> theta``, one value per channel.

An IF neuron with threshold :math:`\theta`, soft reset, potential :math:`\theta / 2` at the start and an even input
:math:`z` answers after T steps with

.. math:: Q(z) = \frac{\theta}{T}\, \mathrm{clip}\left(\left\lfloor \frac{T z}{\theta} + \frac12 \right\rfloor, 0, T\right),

so that the choice of a threshold is the choice of a clipped uniform quantiser (Bu et al., AAAI 2022; Li et al.,
ICML 2021).
"""  # noqa: E501 - one formula

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from spikesim.converters.fixed_points import check_levels, gaussian_threshold, lloyd_threshold, ltb_threshold
from spikesim.converters.histogram import Histogram, bin_edges
from spikesim.converters.quantiser import best_range
from spikesim.errors import ConfigError

Threshold = Callable[[Histogram], Tensor]


def maximum_threshold(histogram: Histogram) -> Tensor:
    """The largest activation seen: nothing is clipped, steps are coarse (Diehl et al., IJCNN 2015).

    Args:
        histogram: Activations per channel.

    Returns:
        Float64 ``[C]``; 0 for dead channels, see :func:`safe_thresholds`.

    Example:
        >>> import torch
        >>> from spikesim.converters import Histogram
        >>> from spikesim.converters.thresholds import maximum_threshold
        >>> h = Histogram(2); h.update(torch.tensor([[1.0, 0.0], [2.5, 0.0]]))
        >>> maximum_threshold(h).tolist()
        [2.5, 0.0]
    """
    return histogram.maximum.clone()


def percentile_threshold(histogram: Histogram, p: float = 99.9) -> Tensor:
    """The p-th percentile of the positive activations (Rueckauer et al., 2017), linear inside a bin.

    Args:
        histogram: Activations per channel.
        p: Percentile, above 0 and at most 100.

    Returns:
        Float64 ``[C]``.

    Raises:
        ConfigError: ``p`` is out of range.

    Example:
        >>> import torch
        >>> from spikesim.converters import Histogram
        >>> from spikesim.converters.thresholds import percentile_threshold
        >>> h = Histogram(1); h.update(torch.linspace(0, 1, 10001).reshape(-1, 1))
        >>> round(percentile_threshold(h, 90.0).item(), 3)
        0.9
    """
    if not 0 < p <= 100:
        raise ConfigError(f"the percentile is {p}, but it must be above 0 and at most 100")
    edges, counts = bin_edges(), histogram.counts.double()
    wanted = counts.sum(1, keepdim=True) * (p / 100)
    below = counts.cumsum(1)
    place = torch.searchsorted(below, wanted).clamp(max=counts.shape[1] - 1)
    inside = wanted - (below.gather(1, place) - counts.gather(1, place))
    part = (inside / counts.gather(1, place).clamp(min=1)).clamp(0, 1)
    place = place.squeeze(1)
    value = edges[place] + part.squeeze(1) * (edges[place + 1] - edges[place])
    return torch.minimum(value, histogram.maximum)


def mse_threshold(histogram: Histogram, levels: int) -> Tensor:
    """The range with the least mean squared error of ``Q``, per channel.

    The error is integrated in closed form with values spread evenly inside each bin, see
    :func:`spikesim.converters.quantiser.best_range`.

    Args:
        histogram: Activations per channel.
        levels: steps from zero to the range, at least 1: T for an IF neuron.

    Returns:
        Float64 ``[C]``, at most the maximum; 0 for dead channels, see :func:`safe_thresholds`.

    Raises:
        ConfigError: ``levels`` is below 1.

    Example:
        >>> import torch
        >>> from spikesim.converters import Histogram
        >>> from spikesim.converters.thresholds import mse_threshold
        >>> h = Histogram(1); h.update(torch.rand(20000, 1, generator=torch.Generator().manual_seed(0)))
        >>> bool(abs(mse_threshold(h, 4).item() - 8 / 9) < 0.02)
        True
    """
    check_levels(levels)
    used, theta = histogram.counts.sum(0).nonzero().flatten(), torch.zeros(histogram.channels, dtype=torch.float64)
    alive = ~histogram.dead
    if bool(alive.any()):
        low, high = int(used[0]), int(used[-1]) + 1
        counts, edges = histogram.counts[alive, low:high].double(), bin_edges()[low : high + 1]
        found = best_range(counts.numpy(), edges.numpy(), histogram.maximum[alive].numpy(), levels)
        theta[alive] = torch.from_numpy(found)
    return theta


_RULES: dict[str, str] = {
    "mse": "least squared error for as many levels as there are",
    "lloyd": "the fixed point of Lloyd's iteration",
    "gaussian": "the same for currents that are normally distributed",
    "ltb": "local threshold balancing",
    "max": "the largest activation",
    "percentile": "of the positive activations",
}
_NUMBERS = {"percentile": (99.9, 100.0), "ltb": (1000.0, 1e6)}


def parse_threshold(spec: str | Threshold, levels: int) -> tuple[str, Threshold]:
    """A threshold rule by name.

    Args:
        spec: ``"mse"``, ``"lloyd"``, ``"gaussian"``, ``"ltb"`` or ``"ltb(updates)"``, ``"max"``, ``"percentile"`` or
            ``"percentile(99.99)"``, or a function of a histogram.
        levels: how many the tally of a neuron has above zero; T for an IF neuron.

    Returns:
        Its full name, and the function.

    Raises:
        ConfigError: The name is unknown, or its number makes no sense.

    Example:
        >>> from spikesim.converters.thresholds import parse_threshold
        >>> parse_threshold("percentile(99)", 8)[0], parse_threshold("mse", 8)[0]
        ('percentile(99)', 'mse(8 levels)')
    """
    if callable(spec):
        return getattr(spec, "__name__", "custom"), spec
    match = re.fullmatch(r"([a-z]+)(?:\((\d+(?:\.\d+)?)\))?", str(spec))
    name = match[1] if match else ""
    if match is None or name not in _RULES or (match[2] is not None and name not in _NUMBERS):
        raise ConfigError(
            f"threshold is {spec!r}; expected one of {', '.join(_RULES)}, 'percentile(p)', 'ltb(updates)', or a "
            "function of a Histogram"
        )
    if name == "max":
        return name, maximum_threshold
    if name not in _NUMBERS:
        by_levels = {"mse": mse_threshold, "lloyd": lloyd_threshold, "gaussian": gaussian_threshold}[name]
        return f"{name}({levels} levels)", partial(by_levels, levels=levels)
    usual, most = _NUMBERS[name]
    number = float(match[2] or usual)
    if not 0 < number <= most:
        raise ConfigError(f"threshold is {spec!r}; expected a number above 0 and at most {most:g}")
    if name == "percentile":
        return f"percentile({number:g})", partial(percentile_threshold, p=number)
    return f"ltb({number:g})", partial(ltb_threshold, updates=int(number))


def checked(rule: Threshold, histogram: Histogram) -> Tensor:
    """What a user's rule gives, if it can be used: a positive number for each channel that is not silent.

    Raises:
        ConfigError: The rule gives no tensor ``[C]``, or values that are no thresholds.

    Example:
        >>> import torch
        >>> from spikesim.converters import Histogram
        >>> from spikesim.converters.thresholds import checked
        >>> h = Histogram(2); h.update(torch.tensor([[1.0, 0.0], [2.5, 0.0]]))
        >>> checked(lambda histogram: histogram.maximum / 2, h).tolist()
        [1.25, 0.0]
    """
    theta: object = rule(histogram)
    expected = f"expected a tensor [{histogram.channels}], positive and finite where a channel is not silent"
    if not isinstance(theta, Tensor):
        raise ConfigError(f"the threshold function gives {theta!r} ({type(theta).__name__}); {expected}")
    if tuple(theta.shape) != (histogram.channels,):
        raise ConfigError(f"the threshold function gives a tensor of shape {tuple(theta.shape)}; {expected}")
    alive = theta.double().cpu()[~histogram.dead.cpu()]
    bad = alive[~(torch.isfinite(alive) & (alive > 0))]
    if len(bad):
        raise ConfigError(f"the threshold function gives {bad[0].item():g} for {len(bad)} channels; {expected}")
    return theta


def safe_thresholds(theta: Tensor, histogram: Histogram) -> Tensor:
    """Give dead channels the largest threshold of their layer, so that they stay silent and nothing divides by 0.

    Args:
        theta: From a rule, ``[C]``, or ``[groups]`` for :meth:`Histogram.grouped`.
        histogram: The layer's activations, ``C`` channels.

    Returns:
        Positive thresholds ``[C]``, float64.

    Example:
        >>> import torch
        >>> from spikesim.converters import Histogram
        >>> from spikesim.converters.thresholds import maximum_threshold, safe_thresholds
        >>> h = Histogram(2); h.update(torch.tensor([[1.0, 0.0], [2.5, 0.0]]))
        >>> safe_thresholds(maximum_threshold(h), h).tolist()
        [2.5, 2.5]
    """
    theta = theta.double().repeat_interleave(histogram.channels // len(theta))
    usable = (theta > 0) & torch.isfinite(theta)
    fill = theta[usable].max() if bool(usable.any()) else torch.tensor(1.0, dtype=torch.float64)
    return torch.where(usable, theta, fill)
