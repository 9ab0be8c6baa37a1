"""Energy per layer of a network beside its baselines, and where spiking loses."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spikesim.energy.breakeven import firing_rate, spikes_per_synapse
from spikesim.energy.charges import Side
from spikesim.energy.comparison import BASELINES
from spikesim.energy.pricing import itemise

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport


@dataclass(frozen=True)
class EnergyRow:
    """One layer; energies in joules per inference, spikes per inference.

    Args:
        layer: its name, with underscores for dots.
        spikes: spikes that it emits.
        firing_rate: spikes per neuron and step that it emits.
        spikes_per_synapse: synaptic operations per connection and inference.
        network: energy in the spiking network.
        network_zero_skipping: the same where analog inputs skip zeros.
        dense_ann: energy in the ANN.
        zero_skipping_ann: energy in an ANN that multiplies only non-zero activations.
        capacity_matched: energy in the quantised ANN.
        loses_to: baselines whose layer of that name needs less; empty for a layer that has no counterpart.
    """

    layer: str
    spikes: float
    firing_rate: float
    spikes_per_synapse: float
    network: float
    network_zero_skipping: float
    dense_ann: float
    zero_skipping_ann: float
    capacity_matched: float
    loses_to: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def energy_rows(report: EnergyReport) -> list[EnergyRow]:
    """Match the layers of a network and its baselines by name; layers that cost nothing are left out.

    A converted network names its layers as the ANN does, with underscores for dots.

    Args:
        report: a network beside its baselines.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report, energy_rows
        >>> [row] = energy_rows(energy_report(torch.nn.Linear(10, 10), torch.ones(2, 10), input="analog"))
        >>> row.layer, round(row.dense_ann * 1e12), row.loses_to
        ('(root)', 469, ())
    """
    ledger, ann = report.ledger, report.ann_ledger
    sides = {"network": Side(), "network_zero_skipping": Side(zero_skipping=True)}
    theirs = {"dense_ann": Side(), "zero_skipping_ann": Side(zero_skipping=True), "capacity_matched": report.matched}
    energies: dict[str, dict[str, float]] = {}
    for column, side in {**sides, **theirs}.items():
        own_side = column in sides
        if not own_side and not report.profile.has_baseline:
            energies[column] = {}
            continue
        seconds = report.include.latency if own_side else report.include.seconds_of_baseline
        priced = itemise(ledger if own_side else ann, report.profile, side, report.include, seconds)
        energies[column] = {_key(name): priced.layer(name) for name in priced.layers}
    names = {_key(name): name for name in ledger.layers}
    keys = dict.fromkeys([*energies["network"], *energies["dense_ann"]])
    rows = []
    for key in keys:
        own = names.get(key)
        spikes = ledger[own]["spikes_out"] / ledger.samples if own else 0.0
        cost = {column: of_layer.get(key, 0.0) for column, of_layer in energies.items()}
        lost = [b for b, (_, compared) in BASELINES.items() if cost[b] and cost[compared] > cost[b]]
        if not (spikes or any(cost.values())):
            continue
        rates = (firing_rate(ledger, own), spikes_per_synapse(ledger, own)) if own else (0.0, 0.0)
        rows.append(EnergyRow(key, spikes, *rates, **cost, loses_to=tuple(lost if ann is not ledger else ())))
    return rows


def partners(report: EnergyReport) -> dict[str, str]:
    """Layer of the network -> layer of the same name in the ANN."""
    theirs = {_key(name): name for name in report.ann_ledger.layers}
    return {name: theirs[_key(name)] for name in report.ledger.layers if _key(name) in theirs}


def _key(name: str) -> str:
    return name.replace(".", "_")
