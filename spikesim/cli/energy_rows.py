"""Energy per layer of a network beside its two baselines, row by row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikesim.energy import EnergyReport


@dataclass(frozen=True)
class EnergyRow:
    """One layer; energies in joules per inference, spikes per inference.

    Args:
        layer: its name, with underscores for dots.
        spikes: spikes that it emits.
        network: energy in the spiking network.
        dense_ann: energy in the ANN.
        zero_skipping_ann: energy in an ANN that multiplies only non-zero activations.
    """

    layer: str
    spikes: float
    network: float
    dense_ann: float
    zero_skipping_ann: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def energy_rows(report: EnergyReport) -> list[EnergyRow]:
    """Match the layers of a network and its baseline by name; layers that cost nothing are left out.

    A converted network names its layers as the ANN does, with underscores for dots.

    Args:
        report: a network beside its baselines.
    """
    from spikesim.energy.pricing import price

    ledger, ann = report.ledger, report.ann_ledger
    dense = price(ann, report.profile)
    skipping = price(ann, report.profile, zero_skipping=True)
    network = {_key(name): report.priced.layer(name) for name in ledger.layers}
    spikes = {_key(name): layer["spikes_out"] / ledger.samples for name, layer in ledger.layers.items()}
    baselines = {_key(name): (dense.layer(name), skipping.layer(name)) for name in ann.layers}
    rows = [
        EnergyRow(key, spikes.get(key, 0.0), network.get(key, 0.0), *baselines.get(key, (0.0, 0.0)))
        for key in dict.fromkeys([*network, *baselines])
    ]
    return [row for row in rows if row.spikes or row.network or row.dense_ann or row.zero_skipping_ann]


def _key(name: str) -> str:
    return name.replace(".", "_")
