"""The per-layer table as numbers, whatever it is written for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikesim.energy.columns import EVENT_KINDS

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport

COUNTED = {
    "events in": tuple(f"events_in_{kind}" for kind in EVENT_KINDS),
    "synops": tuple(f"synops_{kind}" for kind in EVENT_KINDS),
    "MACs": ("mac_dense",),
    "updates": ("neuron_updates",),
    "spikes": ("spikes_out",),
}


@dataclass(frozen=True)
class LayerLine:
    """One layer, or all of them.

    Args:
        name: of the layer.
        input: kinds of its inputs.
        counts: per inference, one for each entry of :data:`COUNTED`.
        energy: joules per inference.
        share: of the network's energy, None where that is zero.
    """

    name: str
    input: str
    counts: tuple[float, ...]
    energy: float
    share: float | None


def layer_lines(report: EnergyReport) -> list[LayerLine]:
    """Layers that count or cost something, in order of execution, and the total last.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report
        >>> from spikesim.energy.lines import layer_lines
        >>> *layers, total = layer_lines(energy_report(torch.nn.Linear(10, 5), torch.ones(2, 10), input="analog"))
        >>> [(line.name, line.counts[2]) for line in layers], total.name, total.share
        ([('(root)', 50.0)], 'total', 1.0)
    """
    ledger, priced = report.ledger, report.priced
    whole, totals = priced.total, ledger.total()
    found = []
    for name in priced.layers:
        energy, layer = priced.layer(name), ledger.layers.get(name)
        counts = tuple(sum(layer[c] for c in columns) if layer else 0 for columns in COUNTED.values())
        if energy or any(counts):  # others move or fold values only
            kind = layer.input_type if layer else ""
            per_inference = tuple(count / ledger.samples for count in counts)
            found.append(LayerLine(name, kind, per_inference, energy, energy / whole if whole else None))
    summed = tuple(sum(totals[c] for c in columns) / ledger.samples for columns in COUNTED.values())
    return [*found, LayerLine("total", "", summed, whole, 1.0 if whole else None)]
