"""How sparse a network would have to be: its own break-even beside limits that others published."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from spikesim.energy.comparison import BASELINES, Setting
from spikesim.energy.layer_counts import LayerCounts
from spikesim.energy.ledger import Ledger
from spikesim.energy.means import SYNOPS, mean_counts
from spikesim.energy.prices import central_prices


class Limit(NamedTuple):
    """A published bound above which spiking does not pay.

    Args:
        quantity: "spikes_per_synapse" (per inference) or "firing_rate" (per neuron and step).
        low: the strictest value.
        high: the most lenient one.
        condition: what it depends on.
        timesteps: the T for which it was published, None for any.
        citation: where.
    """

    quantity: str
    low: float
    high: float
    condition: str
    timesteps: int | None
    citation: str


LIMITS = (
    Limit(
        "spikes_per_synapse",
        1.72,
        1.72,
        "about, with neuron updates",
        None,
        "Davidson and Furber, Front. Neurosci. 2021",
    ),
    Limit(
        "spikes_per_synapse",
        0.15,
        1.38,
        "with memory, by dataflow and reuse",
        None,
        "Dampfhoffer et al., IEEE TETCI 7(3):731, 2023",
    ),
    Limit(
        "firing_rate",
        0.0341,
        0.108,
        "0.057 at typical costs of moving data, beside a quantised ANN",
        5,
        "Yan et al., arXiv 2409.08290 (version 4)",
    ),
)


@dataclass(frozen=True)
class BreakEven:
    """Activity of a network, and the activity at which it would cost as much as each baseline.

    Args:
        timesteps: T.
        firing_rate: spikes per spiking neuron and real step.
        spikes_per_synapse: synaptic operations per connection and inference.
        scale: baseline -> factor on all spikes at which energies are equal; 0 or less if even a silent network costs
            more, None if spikes cost nothing under this profile or there is no baseline.

    Example:
        >>> from spikesim.energy.breakeven import BreakEven
        >>> panel = BreakEven(5, 0.1, 0.5, {"dense_ann": 2.0})
        >>> panel.at("dense_ann"), [beside for _, beside in panel.beside()]
        ((0.2, 1.0), ['below', 'within', 'within'])
    """

    timesteps: int
    firing_rate: float
    spikes_per_synapse: float
    scale: Mapping[str, float | None]

    def at(self, baseline: str) -> tuple[float, float] | None:
        """Firing rate and spikes per synapse at break-even, None if no activity breaks even."""
        scale = self.scale.get(baseline)
        return None if scale is None or scale <= 0 else (scale * self.firing_rate, scale * self.spikes_per_synapse)

    def beside(self) -> list[tuple[Limit, str]]:
        """Each published limit with "below", "within" or "above", or "another T" where it does not apply."""
        found = []
        for limit in LIMITS:
            own = self.spikes_per_synapse if limit.quantity == "spikes_per_synapse" else self.firing_rate
            where = "below" if own < limit.low else "above" if own > limit.high else "within"
            found.append((limit, where if limit.timesteps in (None, self.timesteps) else "another T"))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        ends = {name: self.at(name) for name in self.scale}
        return {
            **asdict(self),
            "at_break_even": {
                name: None if end is None else {"firing_rate": end[0], "spikes_per_synapse": end[1]}
                for name, end in ends.items()
            },
            "published": [{**limit._asdict(), "this_network": where} for limit, where in self.beside()],
        }


def break_even(setting: Setting, ledger: Ledger, ann: Ledger) -> BreakEven:
    """Measure the activity of a network and solve for break-even.

    Energy is a straight line in the number of spikes: what is spent in silence, plus synaptic operations, spikes and
    the weights and potentials that they move. Resets are left as they are.

    Args:
        setting: what is priced how.
        ledger: counts of the network.
        ann: counts of the ANN.
    """
    prices, means = central_prices(setting.profile), mean_counts(ledger)
    loud, silent = setting.network(means, prices), setting.network(means.without_events(), prices)
    baselines = setting.baselines(mean_counts(ann), prices)
    scale: dict[str, float | None] = {}
    for name, (_, compared) in BASELINES.items():
        driven = float(loud[compared] - silent[compared])
        known = driven > 0 and setting.profile.has_baseline and ann is not ledger
        scale[name] = float(baselines[name] - silent[compared]) / driven if known else None
    return BreakEven(ledger.timesteps, firing_rate(ledger), spikes_per_synapse(ledger), scale)


def firing_rate(ledger: Ledger, layers: Collection[str] | None = None) -> float:
    """Spikes per spiking neuron and real step, of some layers or of all; 0 without spiking neurons."""
    spiking = [counts for counts in _chosen(ledger, layers) if "spikes_out" in counts.counts]
    updates = sum(counts["neuron_updates"] for counts in spiking)
    return sum(counts["spikes_out"] for counts in spiking) / updates if updates else 0.0


def spikes_per_synapse(ledger: Ledger, layers: Collection[str] | None = None) -> float:
    """Synaptic operations per connection and inference, of some layers or of all that receive events."""
    driven = [counts for counts in _chosen(ledger, layers) if counts.inputs - {"analog"}]
    crossed = sum(counts[column] for counts in driven for column in SYNOPS)
    steps = int(ledger.active.sum()) / ledger.samples
    connections = sum(counts["synapses"] for counts in driven) / steps if steps else 0.0  # of all samples
    return crossed / connections if connections else 0.0


def _chosen(ledger: Ledger, layers: Collection[str] | None) -> list[LayerCounts]:
    return [counts for name, counts in ledger.layers.items() if layers is None or name in layers]
