"""Energy per layer of a network beside its baselines, and where spiking loses."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spikesim.energy.breakeven import firing_rate, spikes_per_synapse
from spikesim.energy.charges import Side
from spikesim.energy.comparison import BASELINES
from spikesim.energy.pairing import Pair, plain
from spikesim.energy.pricing import itemise

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport


@dataclass(frozen=True)
class EnergyRow:
    """One layer beside its counterpart; energies in joules per inference, spikes per inference.

    Args:
        layer: its name, with underscores for dots; several layers that were made from one go by the name of that one.
        layers: of the network, by their names in it.
        ann_layers: their counterparts in the baseline, likewise.
        spikes: spikes that it emits.
        firing_rate: spikes per neuron and step that it emits.
        spikes_per_synapse: synaptic operations per connection and inference.
        network: energy in the spiking network.
        network_zero_skipping: the same where analog inputs skip zeros.
        dense_ann: energy in the ANN.
        zero_skipping_ann: energy in an ANN that multiplies only non-zero activations.
        capacity_matched: energy in the quantised ANN.
        loses_to: baselines whose counterpart needs less; empty for a layer that has none.
    """

    layer: str
    layers: tuple[str, ...]
    ann_layers: tuple[str, ...]
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
    """Set the layers of a network beside those of its baselines; layers that cost nothing are left out.

    A converted network knows which layer each of its own was made from, see :mod:`spikesim.energy.pairing`; layers of
    which nothing is known are matched by their names.

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
    energies = _energies(report)
    # Static power and the like belong to no layer.
    rest = dict.fromkeys(name for of_layer in energies.values() for name in of_layer)
    listed = {name for pair in report.pairs for name in (*pair.layers, *pair.ann_layers)}
    alone = [Pair(plain(name), (name,), (name,)) for name in rest if name not in listed]
    rows = []
    for pair in [*report.pairs, *alone]:
        cost = {
            column: sum((of_layer.get(name, 0.0) for name in (pair.layers if column in _OWN else pair.ann_layers)), 0.0)
            for column, of_layer in energies.items()
        }
        lost = [b for b, (_, compared) in BASELINES.items() if cost[b] and cost[compared] > cost[b]]
        own = [name for name in pair.layers if name in ledger.layers]
        spikes = sum(ledger[name]["spikes_out"] for name in own) / ledger.samples
        if not (spikes or any(cost.values())):
            continue
        rates = (firing_rate(ledger, own), spikes_per_synapse(ledger, own))
        beaten = tuple(lost if ann is not ledger else ())
        one = EnergyRow(
            pair.name,
            pair.layers,
            pair.ann_layers,
            spikes,
            *rates,
            cost["network"],
            cost["network_zero_skipping"],
            cost["dense_ann"],
            cost["zero_skipping_ann"],
            cost["capacity_matched"],
            beaten,
        )
        rows.append(one)
    return rows


_OWN = {"network": Side(), "network_zero_skipping": Side(zero_skipping=True)}


def _energies(report: EnergyReport) -> dict[str, dict[str, float]]:
    """Column of a row -> layer -> joules."""
    include, found = report.include, {}
    theirs = {"dense_ann": Side(), "zero_skipping_ann": Side(zero_skipping=True), "capacity_matched": report.matched}
    for column, side in {**_OWN, **theirs}.items():
        found[column] = dict[str, float]()
        if column in _OWN or report.profile.has_baseline:
            counted = report.ledger if column in _OWN else report.ann_ledger
            seconds = include.latency if column in _OWN else include.seconds_of_baseline
            priced = itemise(counted, report.profile, side, include, seconds)
            found[column] = {name: priced.layer(name) for name in priced.layers}
    return found
