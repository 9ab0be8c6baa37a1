"""From counts to what is multiplied with constants: one list of charges, whatever the energy model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from spikesim.energy.crossbar import crossbar_quantities
from spikesim.energy.included import Included
from spikesim.energy.lemaire import lemaire_quantities
from spikesim.energy.means import Means, Quantity
from spikesim.energy.profile import Profile
from spikesim.errors import PricingError

STATIC = "(static)"  # stands for a layer where power is drawn by none

# Term of a report -> what it is spent on.
TERMS: dict[str, str] = {
    "synops": "weights added by spikes",
    "mac": "multiply-accumulates on analog inputs",
    "neuron": "neuron updates",
    "spikes": "spikes handed on",
    "bias": "additions of a bias",
    "residual": "additions of two activations",
    "other": "pooling, norms, ReLU, readout",
    "addressing": "computing addresses",
    "weight memory": "weights and biases read",
    "state memory": "potentials read and written",
    "input memory": "inputs read and outputs written",
    "crossbar": "crossbars and their periphery",
    "static": "static power times latency",
}
_COLUMNS: dict[str, dict[str, str]] = {
    # A number of several bits times a weight is a product, whatever sent it.
    "synops": {
        "synops_binary": "synop",
        "synops_signed": "synop",
        "synops_graded": "synop",
        "synops_multibit": "mac",
    },
    "mac": {"mac_dense": "mac"},
    "neuron": {"update_add": "add", "update_mul": "mul", "update_cmp": "cmp"},
    "bias": {"bias_adds": "add"},
    "residual": {"residual_adds": "add"},
    "other": {"op_add": "add", "op_mul": "mul", "op_cmp": "cmp"},
}
# Terms that such a figure, or the static power beside it, holds already.
_CARRIED = {"all-in": {"neuron", "bias", "residual"}, "affine": {"neuron", "bias", "residual"}}


@dataclass(frozen=True)
class Side:
    """How one side of a comparison computes.

    Args:
        zero_skipping: only multiply-accumulates whose input is not zero.
        bits: of the activations of a quantised network, None for the profile's own precision.
        analog: layers that read the network input, at full precision whatever ``bits``.
    """

    zero_skipping: bool = False
    bits: int | None = None
    analog: frozenset[str] = frozenset()

    def mac(self, layer: str) -> str:
        """The constant that prices a multiply-accumulate of a layer."""
        return "mac" if self.bits is None or layer in self.analog else f"mac@{self.bits}"


class Charge(NamedTuple):
    """So much of a constant, per inference."""

    layer: str
    term: str
    constant: str
    quantity: Quantity


@dataclass
class Bill:
    """Charges, and the columns that nothing prices with their counts per inference."""

    charges: list[Charge] = field(default_factory=list)
    unpriced: dict[str, Quantity] = field(default_factory=dict)


def bill(
    means: Means,
    profile: Profile,
    include: Included,
    side: Side,
    seconds: float | None,
) -> Bill:
    """List what a network is charged for.

    Args:
        means: counts per inference.
        profile: decides what can be charged.
        include: memory tiers, clock and chips.
        side: how the network computes.
        seconds: latency for static power, None to leave it out.

    Raises:
        PricingError: static power that grows with a clock, and no clock.
    """
    made = Bill()
    modelled: frozenset[str] = frozenset()
    if profile.model != "operations":
        quantities = lemaire_quantities if profile.model == "lemaire" else crossbar_quantities
        for layer, term, constant, quantity in quantities(means, profile.parameters, side.zero_skipping):
            made.charges.append(Charge(layer, term, side.mac(layer) if constant == "mac" else constant, quantity))
        modelled = frozenset(means.shapes)
    for layer in means.layers:
        for term, column, constant in _priced_columns(profile, side, layer, layer in modelled):
            count = means.get(layer, column)
            if column not in means.layers[layer]:
                continue
            if constant in profile.constants or constant.startswith("mac@"):
                made.charges.append(Charge(layer, term, constant, count))
            else:
                made.unpriced[column] = made.unpriced.get(column, 0.0) + count
    made.charges.extend(_memory(means, profile, include, side))
    if seconds is not None and profile.static is not None:
        made.charges.append(Charge(STATIC, "static", "static.power", seconds * include.chips))
        clock = include.clock_hz or profile.static.clock_hz
        if profile.static.cycle is not None:
            if clock is None:
                raise PricingError(f"profile {profile.name} needs a clock: Included(latency=..., clock_hz=...)")
            made.charges.append(Charge(STATIC, "static", "static.cycle", seconds * include.chips * clock))
    return made


def _priced_columns(profile: Profile, side: Side, layer: str, modelled: bool) -> Iterator[tuple[str, str, str]]:
    """(term, column, constant) of the operations of one layer."""
    own = profile.model != "operations"
    for term, columns in _COLUMNS.items():
        if term in _CARRIED.get(profile.scope, ()):
            continue
        if own and (term == "neuron" or (modelled and term in ("synops", "mac", "bias"))):
            continue  # the model counted them in its own way
        if term == "neuron" and "update" in profile.constants:
            yield term, "neuron_updates", "update"
            continue
        for column, constant in columns.items():
            if column == "mac_dense":
                yield term, "mac_effective" if side.zero_skipping else column, side.mac(layer)
            else:
                # A model without a price of synaptic operations adds where it has no formula, as in attention.
                yield term, column, "add" if own and constant == "synop" else constant
    if "spike" in profile.constants:
        yield "spikes", "spikes_out", "spike"


def _memory(means: Means, profile: Profile, include: Included, side: Side) -> Iterator[Charge]:
    if include.weights is not None:
        tier = profile.memory[include.weights]
        bits = profile.weight_bits or tier.bits
        for layer in means.layers:
            fetched = means.get(layer, "weight_fetches")
            if side.zero_skipping:
                fetched = fetched - means.get(layer, "mac_dense") + means.get(layer, "mac_effective")
            yield Charge(layer, "weight memory", f"memory.{include.weights}", fetched * (bits / tier.bits))
    if include.potentials is not None:
        tier = profile.memory[include.potentials]
        for layer in means.layers:
            moved = means.get(layer, "state_reads_bits", "state_writes_bits")
            yield Charge(layer, "state memory", f"memory.{include.potentials}", moved * (1 / tier.bits))
