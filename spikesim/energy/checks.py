"""Read events off values, and check the values against their declared type while doing so."""

from __future__ import annotations

import torch

from spikesim.energy.edges import Edge
from spikesim.errors import LedgerError

INPUT = "(input)"  # stands for a layer where the network input is checked
TOLERANCE = 1e-3  # of one event: scaled and pooled values carry float rounding


class Checks:
    """Verdicts on declared types, collected on the device and read once at the end of a run."""

    def __init__(self) -> None:
        self._verdicts: list[tuple[str, torch.Tensor, Edge]] = []

    def events(self, values: torch.Tensor, edge: Edge, layer: str, sound: bool = False) -> torch.Tensor:
        """Events per value, whole numbers of any dtype, in the shape of ``values``.

        Args:
            values: what the edge carries.
            edge: its declared type.
            layer: name for error messages.
            sound: whether the values were checked before and cannot have changed since.
        """
        if edge.counts is not None:
            return edge.counts
        unit = values if edge.scale == 1.0 else values / edge.scale
        counts = unit if edge.scale == 1.0 else unit.round()
        if not sound:
            self._verdicts.append((layer, _illegal(unit, edge), edge))
        return counts.abs() if edge.kind == "signed" else counts

    def finish(self) -> None:
        """Raise for the first layer whose values broke their declared type.

        Raises:
            LedgerError: names the layer, the type and the remedy.
        """
        for layer, illegal, edge in self._verdicts:
            if bool(illegal):
                allowed = "whole numbers of 0 or more" + (f", at most {edge.levels}" if edge.levels else "")
                if edge.kind == "signed":
                    allowed = f"whole numbers from -{edge.levels} to {edge.levels}" if edge.levels else "whole numbers"
                if edge.levels == 1:
                    allowed = "{-1, 0, 1}" if edge.kind == "signed" else "{0, 1}"
                if layer == INPUT:
                    raise LedgerError(
                        f"the network input is declared as {edge.kind} events of scale {edge.scale:g}, but x holds "
                        f"values that are not {allowed} times that scale; correct x, or declare it as input='analog' "
                        "if it holds analog values"
                    )
                raise LedgerError(
                    f"layer {layer!r}: values declared as {edge.kind} spikes of scale {edge.scale:g} are not {allowed} "
                    "times that scale; correct the neuron's `emits`"
                )
        self._verdicts.clear()


def _illegal(unit: torch.Tensor, edge: Edge) -> torch.Tensor:
    """Whether any value, in units of one event, breaks the type of its edge; a bool scalar."""
    if edge.levels == 1 and edge.scale == 1.0:
        # Only 0 and 1 (and -1, of which the sign is dropped) equal their squares.
        return (unit * unit != (unit.abs() if edge.kind == "signed" else unit)).any()
    counts = unit.round()
    wrong = ((unit - counts).abs() > TOLERANCE * counts.abs().clamp(min=1.0)).any()
    least, most = counts.aminmax()
    if edge.kind != "signed":
        wrong |= least < 0
    if edge.levels is not None:
        wrong |= (most > edge.levels) | (least < -edge.levels)
    return wrong | ~(most - least).isfinite()
