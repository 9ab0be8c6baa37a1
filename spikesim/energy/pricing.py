"""Energy is a pure function of a ledger and a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from spikesim.energy.charges import TERMS, Bill, Side, bill
from spikesim.energy.included import Included, check_included
from spikesim.energy.ledger import Ledger
from spikesim.energy.means import Quantity, mean_counts
from spikesim.energy.prices import central_prices, with_bits
from spikesim.energy.profile import Profile

__all__ = ["TERMS", "Priced", "itemise", "price", "total_of"]


@dataclass(frozen=True)
class Priced:
    """Energy in joules, per inference.

    Args:
        layers: layer -> term -> joules.
        unpriced: columns with counts but no constant in the profile, with their totals.

    Example:
        >>> from spikesim.energy import Priced
        >>> priced = Priced({"conv": {"mac": 0.5, "bias": 0.25}, "fc": {"mac": 0.125}})
        >>> priced.total, priced.layer("conv"), priced.term("mac")
        (0.875, 0.75, 0.625)
    """

    layers: Mapping[str, Mapping[str, float]]
    unpriced: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """All layers and terms together, in joules."""
        return sum(self.layer(name) for name in self.layers)

    def layer(self, name: str) -> float:
        """All terms of one layer, in joules."""
        return sum(self.layers[name].values())

    def term(self, term: str) -> float:
        """One term over all layers, in joules."""
        return sum(terms.get(term, 0.0) for terms in self.layers.values())


def price(
    ledger: Ledger,
    profile: Profile,
    *,
    zero_skipping: bool = False,
    include: Included | None = None,
    side: Side | None = None,
) -> Priced:
    """Price a ledger.

    Args:
        ledger: counts of at least one sample.
        profile: energies of the operations.
        zero_skipping: charge only the multiply-accumulates whose input is not zero.
        include: memory traffic and static power; by default none.
        side: how the network computes, in more detail than ``zero_skipping``, which it replaces.

    Returns:
        Joules per inference (mean over the samples of the ledger).

    Raises:
        PricingError: the profile may not be applied to these counts.

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger, load_profile, price
        >>> ledger = Ledger.record(torch.nn.Linear(4, 10, bias=False), torch.ones(2, 4), input="analog")
        >>> round(price(ledger, load_profile("horowitz45-fp32")).total * 1e12, 6)
        184.0
    """
    include = include or Included()
    check_included(profile, include, mean_counts(ledger))
    return itemise(ledger, profile, side or Side(zero_skipping), include, include.latency)


def itemise(
    ledger: Ledger,
    profile: Profile,
    side: Side,
    include: Included,
    seconds: float | None,
) -> Priced:
    """Price a ledger without asking whether the profile may be applied; baselines do not run where the network runs.

    Args:
        ledger: counts of at least one sample.
        profile: energies of the operations.
        side: how the network computes.
        include: memory tiers, clock and chips.
        seconds: latency for static power, None to leave it out.
    """
    prices = central_prices(profile)
    if side.bits is not None:
        prices = with_bits(prices, side.bits)
    made = bill(mean_counts(ledger), profile, include, side, seconds)
    layers: dict[str, dict[str, float]] = {name: {} for name in ledger.layers}
    for charge in made.charges:
        terms = layers.setdefault(charge.layer, {})
        joules = float(charge.quantity * prices[charge.constant])
        if joules:
            terms[charge.term] = terms.get(charge.term, 0.0) + joules
    unpriced = {column: round(float(count) * ledger.samples) for column, count in made.unpriced.items()}
    return Priced(layers, unpriced)


def total_of(made: Bill, prices: Mapping[str, Quantity]) -> Quantity:
    """Joules per inference of a bill; one number, or one per resampling or draw."""
    total: Quantity = 0.0
    for charge in made.charges:
        total = total + charge.quantity * prices[charge.constant]
    return total


def price_steps(ledger: Ledger, profile: Profile) -> torch.Tensor:
    """What a network has spent when it is read after the first, second, ..., last step.

    Args:
        ledger: counts of at least one sample.
        profile: energies of the operations.

    Returns:
        Joules per inference, float64 ``[T]``; what runs once for all steps is spent at the first.

    Raises:
        PricingError: the profile may not be applied to these counts.

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger, load_profile, price_steps
        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import Network
        >>> net = Network(torch.nn.Sequential(torch.nn.Linear(10, 100, bias=False), IF()))
        >>> ledger = Ledger.record(net, torch.eye(10).reshape(2, 5, 10), input="events")
        >>> [round(joules * 1e12) for joules in price_steps(ledger, load_profile("horowitz45-fp32")).tolist()]
        [270, 540]
    """
    spent = [price(ledger.until(t), profile).total for t in range(1, ledger.timesteps + 1)]
    return torch.tensor(spent, dtype=torch.float64)
