"""Energy is a pure function of a ledger and a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from spikesim.energy.ledger import Ledger
from spikesim.energy.profile import ConstantName, Profile

# Term of the report -> columns and the constant that prices each.
TERMS: dict[str, dict[str, ConstantName]] = {
    "synops": {"synops_binary": "synop", "synops_signed": "synop", "synops_graded": "synop"},
    "mac": {"mac_dense": "mac"},
    "neuron": {"update_add": "add", "update_mul": "mul", "update_cmp": "cmp"},
    "bias": {"bias_adds": "add"},
    "residual": {"residual_adds": "add"},
    "other": {"op_add": "add", "op_mul": "mul", "op_cmp": "cmp"},
}


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


def price(ledger: Ledger, profile: Profile, *, zero_skipping: bool = False) -> Priced:
    """Price a ledger.

    Args:
        ledger: counts of at least one sample.
        profile: energies of the operations.
        zero_skipping: charge only the multiply-accumulates whose input is not zero.

    Returns:
        Joules per inference (mean over the samples of the ledger).

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger, load_profile, price
        >>> ledger = Ledger.record(torch.nn.Linear(4, 10, bias=False), torch.ones(2, 4), input="analog")
        >>> round(price(ledger, load_profile("horowitz45-fp32")).total * 1e12, 6)
        184.0
    """
    energies = {name: constant.joules for name, constant in profile.constants.items()}
    layers: dict[str, dict[str, float]] = {}
    unpriced: dict[str, int] = {}
    for name, layer in ledger.layers.items():
        terms = layers[name] = {}
        for term, columns in TERMS.items():
            for column, constant in columns.items():
                counted = "mac_effective" if zero_skipping and column == "mac_dense" else column
                count = layer[counted]
                if count and constant not in energies:
                    unpriced[counted] = unpriced.get(counted, 0) + count
                elif count:
                    terms[term] = terms.get(term, 0.0) + count * energies[constant] / ledger.samples
    return Priced(layers, unpriced)


def price_steps(ledger: Ledger, profile: Profile) -> torch.Tensor:
    """What every time step costs; the sum over all is what :func:`price` says.

    Args:
        ledger: counts of at least one sample.
        profile: energies of the operations; columns without a constant count nothing, see :func:`price`.

    Returns:
        Joules per inference, float64 ``[T]``. What runs once for all steps stands at the first.

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger, load_profile, price_steps
        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import Network
        >>> net = Network(torch.nn.Sequential(torch.nn.Linear(10, 100, bias=False), IF()))
        >>> ledger = Ledger.record(net, torch.eye(10).reshape(2, 5, 10), input="events")
        >>> [round(joules * 1e12) for joules in price_steps(ledger, load_profile("horowitz45-fp32")).tolist()]
        [270, 270]
    """
    energies = {name: constant.joules for name, constant in profile.constants.items()}
    steps = torch.zeros(ledger.timesteps, dtype=torch.float64)
    for columns in TERMS.values():
        for column, constant in columns.items():
            if constant in energies:
                steps += ledger.per_step(column).double() * (energies[constant] / ledger.samples)
    return steps
