"""Counts per inference: of all samples of a ledger, or of many resamplings of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from spikesim.energy.columns import EVENT_KINDS
from spikesim.energy.layer_counts import LayerCounts
from spikesim.energy.ledger import Ledger
from spikesim.energy.shapes import LayerShape, layer_shapes
from spikesim.errors import LedgerError

Floats = npt.NDArray[np.float64]
Quantity = float | Floats
EVENTS = tuple(f"events_in_{kind}" for kind in EVENT_KINDS)
SYNOPS = tuple(f"synops_{kind}" for kind in EVENT_KINDS)


@dataclass(frozen=True)
class Means:
    """Counts per inference; every quantity is one number, or one per resampling ``[B]``.

    Args:
        steps: real time steps of an inference.
        layers: layer -> column -> counts per inference; a column that is absent is 0.
        inputs: layer -> kinds of its inputs.
        once: layers that ran once for all time steps.
        shapes: of the layers with weights.

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger
        >>> from spikesim.energy.means import mean_counts
        >>> means = mean_counts(Ledger.record(torch.nn.Linear(3, 2), torch.ones(4, 3), input="analog"))
        >>> means.get("(root)", "mac_dense"), means.get("(root)", "spikes_out"), means.total("bias_adds")
        (6.0, 0.0, 2.0)
    """

    steps: float
    layers: Mapping[str, Mapping[str, Quantity]]
    inputs: Mapping[str, frozenset[str]]
    once: frozenset[str]
    shapes: Mapping[str, LayerShape]

    def get(self, layer: str, *columns: str) -> Quantity:
        """Sum of columns of one layer."""
        counts = self.layers.get(layer, {})
        total: Quantity = 0.0
        for column in columns:
            total = total + counts.get(column, 0.0)
        return total

    def total(self, *columns: str) -> Quantity:
        """Sum of columns over the layers."""
        total: Quantity = 0.0
        for layer in self.layers:
            total = total + self.get(layer, *columns)
        return total

    def has(self, *columns: str) -> bool:
        """Whether any layer counted any of the columns."""
        return any(column in counts for counts in self.layers.values() for column in columns)

    @property
    def spikes(self) -> bool:
        """Whether there is any neuron or event, and not a plain ANN."""
        return self.has("neuron_updates", *EVENTS)

    def without_events(self) -> Means:
        """The same network if no spike were ever emitted or received: what it costs to stay silent."""
        driven = {*EVENTS, *SYNOPS, "spikes_out"}
        layers: dict[str, dict[str, Quantity]] = {}
        for name, counts in self.layers.items():
            silent = driven | ({"weight_fetches"} if "mac_dense" not in counts else set())
            if "neuron_updates" not in counts:
                silent |= {"state_reads_bits", "state_writes_bits"}  # each of a synaptic operation
            layers[name] = {column: count for column, count in counts.items() if column not in silent}
        return replace(self, layers=layers)


def mean_counts(ledger: Ledger) -> Means:
    """Counts per inference over all samples of a ledger."""
    samples = ledger.samples
    layers: dict[str, dict[str, Quantity]] = {
        name: {column: int(steps.sum()) / samples for column, steps in layer.counts.items() if bool(steps.any())}
        for name, layer in ledger.layers.items()
    }
    return _means(ledger, layers)


def resampled_counts(ledger: Ledger, weights: Floats) -> Means | None:
    """Counts per inference for many resamplings of the samples.

    Args:
        ledger: counts.
        weights: ``[B, samples]``, how often each sample was drawn.

    Returns:
        Quantities ``[B]``, or None if the ledger keeps no counts per sample.
    """
    layers: dict[str, dict[str, Quantity]] = {}
    for name, layer in ledger.layers.items():
        columns = [column for column, steps in layer.counts.items() if bool(steps.any())]
        rows = [_per_sample(layer, column) for column in columns]
        kept = [row for row in rows if row is not None]
        if len(kept) < len(rows):
            return None
        if kept:
            means = weights @ np.stack(kept, axis=1) / ledger.samples
            layers[name] = {column: means[:, place] for place, column in enumerate(columns)}
        else:
            layers[name] = {}
    return _means(ledger, layers)


def _per_sample(layer: LayerCounts, column: str) -> Floats | None:
    """Counts of a column per sample ``[samples]``, or None if they could not be attributed to samples."""
    try:
        return layer.per_sample(column).numpy().astype(np.float64)
    except LedgerError:
        return None


def _means(ledger: Ledger, layers: Mapping[str, Mapping[str, Quantity]]) -> Means:
    return Means(
        float(ledger.active.sum()) / ledger.samples,
        layers,
        {name: layer.inputs for name, layer in ledger.layers.items()},
        frozenset(name for name, layer in ledger.layers.items() if layer.once),
        layer_shapes(ledger),
    )
