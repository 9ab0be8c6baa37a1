"""What is counted how: printed with every report, because the same network costs differently elsewhere."""

from __future__ import annotations

from spikesim.energy.included import Included
from spikesim.energy.profile import Profile

CONVENTIONS = {
    "padding": "zero padding is not counted, in the network and in all baselines alike",
    "weights": "every weight counts as a connection, zero or not",
    "bias": "one addition per output and step in which it is added",
    "input": "an analog input costs multiply-accumulates, dense unless zero-skipping; a constant one is computed once "
    "(analog_once) where the network does so, else at every step; each unit of an event input is one addition per "
    "connection",
    "pooling": "average pooling of spikes folds into the next weights: each spike is one event (once per window where "
    "windows overlap); max-pooling is comparisons",
    "residual": "spikes added to spikes stay as many events; a spike added to an analog value is one addition",
    "neurons": "the operations of an update follow the neuron's equations, for every neuron at every real step; a "
    "reset by subtraction is one addition per spike",
    "readout": "one addition per output value (or spike) and real step; a constant divisor is folded",
    "masked steps": "count nothing",
    "capacity-matched": "the ANN with activations of ceil(log2(L + 1)) bits, skipping zeros, L being the steps that "
    "the readout takes into account times the largest spike; a product costs no more than that many additions, nor "
    "than a full multiply-accumulate; the layer that reads an analog input stays at full precision; scaling between "
    "layers is folded",
    "layers": "a layer is compared with the layer of the same name in the ANN",
}


def conventions(include: Included, profile: Profile, connections: str = "all") -> dict[str, str]:
    """The conventions of one report.

    Args:
        include: memory traffic and static power.
        profile: the prices.
        connections: of the ledger: "all" weights, or only those that are not zero ("nonzero").

    Example:
        >>> from spikesim.energy import Included, load_profile
        >>> from spikesim.energy.conventions import conventions
        >>> conventions(Included(), load_profile("horowitz45-fp32"))["left out"]
        'weight traffic, potential traffic, communication, control and static power'
    """
    found = dict(CONVENTIONS)
    if connections == "nonzero":
        found["weights"] = "a weight that is zero is no connection"
    if profile.model == "lemaire":
        found["memory"] = "every access as the model counts it; no reuse in registers"
        left_out = "communication, control and static power"
    elif profile.model == "crossbar":
        found["memory"] = "weights lie in the crossbars; buffers as the model counts them"
        left_out = "communication between tiles and static power"
    elif profile.scope == "all-in":
        found["memory"] = "inside the all-in figure"
        left_out = "nothing that the chip does; what is outside it"
    else:
        moved = [
            f"{what} from {tier}"
            for what, tier in (("weights", include.weights), ("potentials", include.potentials))
            if tier is not None
        ]
        if moved:
            found["memory"] = f"{' and '.join(moved)}, charged by the bit; no other activations are moved"
        left_out = include.left_out()
    if include.latency is not None and profile.static is not None:
        found["static power"] = f"of {include.chips} chip(s) for {include.latency:g} s per inference"
    return {**found, "left out": left_out}
