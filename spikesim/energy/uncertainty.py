"""How sure a figure is: samples drawn again, constants drawn between their published bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spikesim.energy.charges import Side, bill
from spikesim.energy.comparison import BASELINES, Setting
from spikesim.energy.ledger import Ledger
from spikesim.energy.means import Floats, Means, Quantity, mean_counts, resampled_counts
from spikesim.energy.prices import Distribution, central_prices, drawn_prices
from spikesim.errors import ConfigError

_BLOCK = 2_000_000  # resampling weights in memory at a time


@dataclass(frozen=True)
class Spread:
    """Median and bounds of an interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Uncertainty:
    """Spread of energies (joules per inference) and of ratios (network over baseline, ``ratio_...``).

    Args:
        samples: that were counted; they are resampled whole, with all their layers and steps, and the same ones for the
            network and the ANN.
        draws: resamplings, and draws of the constants.
        seed: of both.
        distribution: of the constants between low and high.
        counts: 95 % intervals over samples; None with one sample or without counts per sample.
        constants: 90 % intervals over constants; None if the profile gives no range for any that is used.
        both: 90 % intervals over both together.
        wins: probability that the network needs less than each baseline, over both together; None if nothing varies.
        layers: 95 % intervals over samples of each layer of the network, as ``counts``.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report
        >>> report = energy_report(torch.nn.Linear(8, 2), torch.ones(1, 8), input="analog")
        >>> report.uncertainty.counts is None, report.uncertainty.wins is None
        (True, True)
    """

    samples: int
    draws: int
    seed: int
    distribution: str
    counts: Mapping[str, Spread] | None
    constants: Mapping[str, Spread] | None
    both: Mapping[str, Spread]
    wins: Mapping[str, float] | None
    layers: Mapping[str, Spread] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def spread_of(
    setting: Setting, ledger: Ledger, ann: Ledger, draws: int, seed: int, distribution: Distribution
) -> Uncertainty:
    """Resample and draw.

    Args:
        setting: what is priced how.
        ledger: counts of the network.
        ann: counts of the ANN, on the same samples in the same order.
        draws: at least 2.
        seed: the same seed gives the same numbers.
        distribution: of the constants.

    Raises:
        ConfigError: too few draws, or a distribution of another name.
        PricingError: see :func:`spikesim.energy.prices.drawn_prices`.
    """
    if draws < 2:
        raise ConfigError(f"draws is {draws}, but it takes at least 2 for an interval")
    if distribution not in ("triangular", "log-uniform"):
        raise ConfigError(f"distribution is {distribution!r}, but it must be 'triangular' or 'log-uniform'")
    rng = np.random.default_rng(seed)
    prices = drawn_prices(setting.profile, rng.random(draws), distribution)
    central = central_prices(setting.profile)
    fixed = mean_counts(ledger), mean_counts(ann)
    by_constants = _evaluate(setting, *fixed, prices)
    counted: list[dict[str, Floats]] = []
    layered: list[dict[str, Floats]] = []
    joint: list[dict[str, Floats]] = []
    for start, weights in _resamplings(rng, ledger.samples, draws):
        own = resampled_counts(ledger, weights)
        theirs = own if ann is ledger else resampled_counts(ann, weights)
        if own is None or theirs is None:
            break
        size = len(weights)
        part = {name: p[start : start + size] if np.ndim(p) else p for name, p in prices.items()}  # type: ignore[index]
        counted.append(_arrays(_evaluate(setting, own, theirs, central), size))
        joint.append(_arrays(_evaluate(setting, own, theirs, part), size))
        layered.append(_arrays(_by_layer(setting, own, central), size))
    constants = _arrays(by_constants, draws)
    figures = setting.profile.figures()
    ranges = any(figures[name].is_range for name in setting.used(*fixed))
    both = _joined(joint) if joint else constants
    sure = counted or ranges
    return Uncertainty(
        ledger.samples,
        draws,
        seed,
        distribution,
        _spreads(_joined(counted), 0.95) if counted else None,
        _spreads(constants, 0.9) if ranges else None,
        _spreads(both, 0.9),
        _wins(both) if sure and setting.profile.has_baseline and ann is not ledger else None,
        _spreads(_joined(layered), 0.95) if layered else None,
    )


def _resamplings(rng: np.random.Generator, samples: int, draws: int) -> Any:
    """Yield (first draw, how often each sample was drawn ``[draws of this block, samples]``); none for one sample."""
    block = max(1, _BLOCK // samples)
    for start in range(0, draws if samples > 1 else 0, block):
        size = min(block, draws - start)
        yield start, rng.multinomial(samples, np.full(samples, 1 / samples), size=size).astype(np.float64)


def _evaluate(setting: Setting, own: Means, theirs: Means, prices: Mapping[str, Quantity]) -> dict[str, Quantity]:
    energies = {**setting.network(own, prices), **setting.baselines(theirs, prices)}
    if setting.profile.has_baseline:
        for baseline, (_, compared) in BASELINES.items():
            if np.all(np.asarray(energies[baseline]) > 0):
                energies[f"ratio_{baseline}"] = energies[compared] / energies[baseline]
    return energies


def _by_layer(setting: Setting, own: Means, prices: Mapping[str, Quantity]) -> dict[str, Quantity]:
    layers: dict[str, Quantity] = {}
    made = bill(own, setting.profile, setting.include, Side(), setting.include.latency)
    for charge in made.charges:
        layers[charge.layer] = layers.get(charge.layer, 0.0) + charge.quantity * prices[charge.constant]
    return layers


def _arrays(values: Mapping[str, Quantity], size: int) -> dict[str, Floats]:
    return {name: np.broadcast_to(np.asarray(value, dtype=np.float64), (size,)) for name, value in values.items()}


def _joined(blocks: list[dict[str, Floats]]) -> dict[str, Floats]:
    kept = [name for name in blocks[0] if all(name in block for block in blocks)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in kept}


def _spreads(values: Mapping[str, Floats], level: float) -> dict[str, Spread]:
    ends = [0.5, (1 - level) / 2, (1 + level) / 2]
    return {name: Spread(*(float(q) for q in np.quantile(drawn, ends))) for name, drawn in values.items()}


def _wins(values: Mapping[str, Floats]) -> dict[str, float]:
    return {name: float((values[compared] < values[name]).mean()) for name, (_, compared) in BASELINES.items()}
