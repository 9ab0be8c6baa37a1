"""From counts to what is multiplied with constants: one list of charges, whatever the energy model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


class Line(NamedTuple):
    """What one count of a column costs, in any layer.

    Args:
        term: of the report.
        constant: what is multiplied, a name of the profile or one that it lacks.
        counts: column -> so many of the constant per count.
        product: of an activation and a weight, whose price follows from :meth:`Side.mac`.
        replaced: whether a model of its own takes its place, in the layers that it models.
    """

    term: str
    constant: str
    counts: Mapping[str, float]
    product: bool = False
    replaced: bool = False


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
    made = Bill(formula_charges(means, profile, include, side, seconds))
    modelled, known = modelled_layers(means, profile), profile.figures()
    lines = tariff(profile, include, side.zero_skipping)
    for layer, counts in means.layers.items():
        for line in lines:
            columns = [column for column in line.counts if column in counts]
            if not columns or (line.replaced and layer in modelled):
                continue
            quantity: Quantity = 0.0
            for column in columns:
                quantity = quantity + means.get(layer, column) * line.counts[column]
            if line.constant in known:
                constant = side.mac(layer) if line.product else line.constant
                made.charges.append(Charge(layer, line.term, constant, quantity))
            else:
                made.unpriced[columns[0]] = made.unpriced.get(columns[0], 0.0) + quantity
    return made


def modelled_layers(means: Means, profile: Profile) -> frozenset[str]:
    """Layers that the profile's own model prices by their shape."""
    return frozenset(means.shapes) if profile.model != "operations" else frozenset()


def formula_charges(
    means: Means, profile: Profile, include: Included, side: Side, seconds: float | None
) -> list[Charge]:
    """What is charged otherwise than by the count: a model's own formulas, and static power. See :func:`bill`."""
    made: list[Charge] = []
    if profile.model != "operations":
        quantities = lemaire_quantities if profile.model == "lemaire" else crossbar_quantities
        for layer, term, constant, quantity in quantities(means, profile.parameters, side.zero_skipping):
            made.append(Charge(layer, term, side.mac(layer) if constant == "mac" else constant, quantity))
    if seconds is not None and profile.static is not None:
        made.append(Charge(STATIC, "static", "static.power", seconds * include.chips))
        clock = include.clock_hz or profile.static.clock_hz
        if profile.static.cycle is not None:
            if clock is None:
                raise PricingError(f"profile {profile.name} needs a clock: Included(latency=..., clock_hz=...)")
            made.append(Charge(STATIC, "static", "static.cycle", seconds * include.chips * clock))
    return made


def tariff(profile: Profile, include: Included, zero_skipping: bool) -> list[Line]:
    """What a profile charges by the count.

    Args:
        profile: the constants.
        include: memory tiers.
        zero_skipping: whether multiply-accumulates with a zero are skipped, and their weights not read.

    Example:
        >>> from spikesim.energy import Included, load_profile
        >>> from spikesim.energy.charges import tariff
        >>> lines = tariff(load_profile("loihi1"), Included(), False)
        >>> [(line.term, line.constant, dict(line.counts)) for line in lines][-2:]
        [('other', 'cmp', {'op_cmp': 1.0}), ('spikes', 'spike', {'spikes_out': 1.0})]
    """
    return [*_operations(profile, zero_skipping), *_memory(profile, include, zero_skipping)]


def _operations(profile: Profile, zero_skipping: bool) -> Iterator[Line]:
    own = profile.model != "operations"
    for term, columns in _COLUMNS.items():
        if term in _CARRIED.get(profile.scope, ()):
            continue
        if own and term == "neuron":
            continue  # the model counted them in its own way
        if term == "neuron" and "update" in profile.constants:
            yield Line(term, "update", {"neuron_updates": 1.0})
            continue
        replaced = own and term in ("synops", "mac", "bias")
        for column, constant in columns.items():
            product = column == "mac_dense"
            counted = "mac_effective" if product and zero_skipping else column
            # A model without a price of synaptic operations adds where it has no formula, as in attention.
            charged = "add" if own and constant == "synop" else constant
            yield Line(term, charged, {counted: 1.0}, product, replaced)
    if "spike" in profile.constants:
        yield Line("spikes", "spike", {"spikes_out": 1.0})


def _memory(profile: Profile, include: Included, zero_skipping: bool) -> Iterator[Line]:
    if include.weights is not None:
        tier = profile.memory[include.weights]
        share = (profile.weight_bits or tier.bits) / tier.bits
        skipped = {"mac_dense": -share, "mac_effective": share} if zero_skipping else {}
        yield Line("weight memory", f"memory.{include.weights}", {"weight_fetches": share, **skipped})
    if include.potentials is not None:
        share = 1 / profile.memory[include.potentials].bits
        moved = {"state_reads_bits": share, "state_writes_bits": share}
        yield Line("state memory", f"memory.{include.potentials}", moved)
