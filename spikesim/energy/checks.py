"""Read events off values, and check the values against their declared type while doing so."""

from __future__ import annotations

import torch

from spikesim.energy.edges import Edge
from spikesim.errors import LedgerError

TOLERANCE = 1e-3  # of one event: scaled and pooled values carry float rounding


class Checks:
    """Verdicts on declared types, collected on the device and read once at the end of a run."""

    def __init__(self) -> None:
        self._verdicts: list[tuple[str, torch.Tensor, Edge]] = []

    def events(self, values: torch.Tensor, edge: Edge, layer: str) -> torch.Tensor:
        """Events per value, bool or int64 of the shape of ``values``."""
        if edge.counts is not None:
            return edge.counts
        if edge.levels == 1 and edge.scale == 1.0:
            fired = values != 0
            legal = (values.abs() if edge.kind == "signed" else values) == fired
            self._verdicts.append((layer, legal.all(), edge))
            return fired
        ratio = values / edge.scale
        counts = ratio.round()
        legal = (ratio - counts).abs() <= TOLERANCE * counts.abs().clamp(min=1.0)
        if edge.kind != "signed":
            legal &= counts >= 0
        if edge.levels is not None:
            legal &= counts.abs() <= edge.levels
        self._verdicts.append((layer, legal.all(), edge))
        return counts.abs().to(torch.int64)

    def finish(self) -> None:
        """Raise for the first layer whose values broke their declared type.

        Raises:
            LedgerError: names the layer, the type and the remedy.
        """
        for layer, legal, edge in self._verdicts:
            if not bool(legal):
                allowed = "whole numbers" + (f" up to {edge.levels}" if edge.levels else "")
                if edge.levels == 1:
                    allowed = "{-1, 0, 1}" if edge.kind == "signed" else "{0, 1}"
                raise LedgerError(
                    f"layer {layer!r}: values declared as {edge.kind} spikes of scale {edge.scale:g} are not {allowed} "
                    "times that scale; correct the neuron's `emits`, or declare the network input as input='analog' "
                    "if it holds analog values"
                )
        self._verdicts.clear()
