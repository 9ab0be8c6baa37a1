"""What rules count with: columns of the running layer, in int64 per time step and sample."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import torch

from spikesim.energy.checks import INPUT, Checks
from spikesim.energy.edges import Edge, EdgeTable
from spikesim.energy.fanout import FanOuts
from spikesim.energy.geometry import Geometry
from spikesim.energy.layout import Layout
from spikesim.energy.tally import Tally, tally


@dataclass
class Seen:
    """What was seen of one layer: pieces of counts per column, and how it was reached."""

    operations: set[str] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)
    pieces: dict[str, list[torch.Tensor]] = field(default_factory=lambda: defaultdict(list))
    once: bool = False
    state_bytes: int = 0
    geometry: Geometry | None = None
    largest_spike: int = 1
    events: set[float | None] = field(default_factory=set)


class Counting:
    """The books of one run.

    Args:
        fans: fan-outs that are known already, to be shared by the batches of a recording.
        pruned: whether weights that are zero are no connections.
    """

    layout: Layout  # set when the root module receives its input

    def __init__(self, fans: FanOuts | None = None, pruned: bool = False) -> None:
        super().__init__()
        self.edges = EdgeTable()
        self.layers: dict[str, Seen] = defaultdict(Seen)
        self.unpriced: dict[tuple[str, str], int] = defaultdict(int)
        self.checks = Checks()
        self.fans = fans if fans is not None else FanOuts()
        self.pruned = pruned
        self._stack: list[str] = []

    @property
    def layer(self) -> str:
        """Qualified name of the module that is running."""
        return (self._stack[-1] or "(root)") if self._stack else INPUT

    def seen(self, edge: Edge, operation: str) -> Seen:
        """Note that the running layer executed ``operation`` on an input of type ``edge``."""
        layer = self.layers[self.layer]
        layer.operations.add(operation)
        layer.inputs.add(edge.kind)
        layer.once |= edge.held or (edge.once and not self.layout.each)
        return layer

    def add(self, column: str, table: torch.Tensor) -> None:
        """Add int64 counts ``[T, N]`` (``[T]`` where samples cannot be told apart) to a column of the running layer."""
        self.layers[self.layer].pieces[column].append(table)

    def constant(self, column: str, total: int, edge: Edge) -> None:
        """Add a total that is the same for every row."""
        if total:
            self.add(column, self.evenly(total, edge))

    def evenly(self, total: int, edge: Edge) -> torch.Tensor:
        """A total that is the same for every row, spread over them: int64 ``[T, N]``."""
        table = self.layout.constant(total, edge.once, self.layer)
        return self.layout.held(table) if edge.held else table

    def per_step(self, counts: torch.Tensor, edge: Edge) -> torch.Tensor:
        """Sum counts in the layout of ``edge`` to int64 ``[T, N]`` (``[1]``: see :meth:`Layout.per_step`)."""
        table = self.layout.per_step(counts, edge.axis, edge.once, self.layer)
        return self.layout.held(table) if edge.held else table

    def per_row(self, rows: torch.Tensor, edge: Edge) -> torch.Tensor:
        """The same for counts of whole rows, int64 ``[rows]``."""
        return self.per_step(rows, edge.moved(0))

    def arrivals(self, counts: torch.Tensor, edge: Edge) -> torch.Tensor:
        """Count events that reach the running layer; returns them per step."""
        events = self.per_step(counts, edge)
        self.add(f"events_in_{edge.kind}", events)
        return events

    def arriving(self, values: torch.Tensor, edge: Edge) -> torch.Tensor:
        """:meth:`arrivals` of the events that ``values`` hold, in one pass."""
        counted = self.tally(values, edge)
        if counted is None:
            return self.arrivals(self.events(values, edge), edge)
        return self.arrivals(counted.rows, edge.moved(0))

    def unknown(self, operation: str, elements: int) -> None:
        """List an operation that is not priced."""
        self.unpriced[self.layer, operation] += elements

    def events(self, values: torch.Tensor, edge: Edge) -> torch.Tensor:
        """Events per value, whole numbers; the values are checked against their declared type, once."""
        sound = self.edges.sound(values)
        self.edges.vouch(values)
        return self.checks.events(values, edge, self.layer, sound)

    def tally(self, values: torch.Tensor, edge: Edge) -> Tally | None:
        """Events summed over channels, checked and kept for the next reader; None where rows are not the first axis."""
        if edge.counts is not None or edge.axis != 0 or values.dim() == 0 or not values.numel():
            return None
        known = self.edges.tally(values, edge)
        if known is not None:
            return known
        check = edge.is_spikes and not self.edges.sound(values)
        counted = tally(values, edge, check)
        if check and counted.illegal is not None:
            self.checks.note(self.layer, counted.illegal, edge)
            self.edges.vouch(values)
        self.edges.keep(values, edge, counted)
        return counted
