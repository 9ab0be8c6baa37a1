"""Read events off values, and check the values against their declared type while doing so."""

from __future__ import annotations

import torch

from spikesim.energy.edges import Edge
from spikesim.energy.tally import events_of, illegal_values
from spikesim.errors import LedgerError

INPUT = "(input)"  # stands for a layer where the network input is checked


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
        if edge.counts is None and not sound:
            self.note(layer, illegal_values(values, edge), edge)
        return events_of(values, edge)

    def note(self, layer: str, illegal: torch.Tensor, edge: Edge) -> None:
        """Keep a verdict, a bool scalar, until the end of the run."""
        self._verdicts.append((layer, illegal, edge))

    def finish(self) -> None:
        """Raise for the first layer whose values broke their declared type.

        Raises:
            LedgerError: names the layer, the type and the remedy.
        """
        for layer, illegal, edge in self._verdicts:
            if bool(illegal):
                allowed = "whole numbers of 0 or more" + (f", at most {edge.levels}" if edge.levels else "")
                if edge.takes_signs:
                    allowed = f"whole numbers from -{edge.levels} to {edge.levels}" if edge.levels else "whole numbers"
                if edge.levels == 1:
                    allowed = "{-1, 0, 1}" if edge.takes_signs else "{0, 1}"
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
