"""Typed edges: what kind of message each activation carries, declared and never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from spikesim.dynamics.declarations import SpikeType

if TYPE_CHECKING:
    from spikesim.energy.tally import Tally

EdgeKind = Literal["binary", "signed", "graded", "multibit", "analog"]
TOLERANCE = 1e-3  # of one event: scaled and pooled values carry float rounding


@dataclass(frozen=True)
class Edge:
    """The type of one activation.

    Args:
        kind: "binary", "signed" (one bit and a sign), "graded" (each unit an event), "multibit" (a signed number of
            several bits in one message) or "analog".
        scale: value of one event; a constant that the next weights absorb.
        levels: largest number of events in one value; None for no limit (pooled or added spikes).
        counts: events per value where they cannot be read off the values (signed sums, mixed scales).
        axis: axis of the rows (time steps and samples); None once it was mixed with another.
        once: whether the rows are the N samples alone, computed once for all steps.
        held: whether the rows of all steps are known to be equal, and are charged at the first step only.
        pad: zero padding around the values, as ``torch.nn.functional.pad`` takes it; not counted.
    """

    kind: EdgeKind = "analog"
    scale: float = 1.0
    levels: int | None = None
    counts: torch.Tensor | None = None
    axis: int | None = 0
    once: bool = False
    held: bool = False
    pad: tuple[int, ...] = ()

    @property
    def is_spikes(self) -> bool:
        """Whether values are events rather than analog numbers."""
        return self.kind != "analog"

    @property
    def takes_signs(self) -> bool:
        """Whether values may be negative."""
        return self.kind in ("signed", "multibit")

    def analog(self, axis: int | None) -> Edge:
        """What is left of the type after an operation that makes values analog."""
        return Edge(axis=axis, once=self.once, held=self.held)

    def moved(self, axis: int | None) -> Edge:
        """The same messages with the rows on another axis."""
        return replace(self, axis=axis, pad=())

    @classmethod
    def declared(cls, declared: SpikeType, once: bool = False, held: bool = False) -> Edge:
        """The edge of a declared type."""
        if declared.kind == "analog":
            return cls(once=once, held=held)
        several = declared.kind == "signed" and declared.bits > 1
        levels = 1 if declared.kind == "binary" else 2**declared.bits - 1
        return cls("multibit" if several else declared.kind, declared.scale, levels, once=once, held=held)


Key = tuple[int, tuple[int, ...], tuple[int, ...]]
Meaning = tuple[str, float, int | None]
_SWEEP = 32  # tags between two searches for tensors that are gone


class EdgeTable:
    """Edges of living tensors.

    Keyed by storage and view rather than by object: torch wraps views anew below autograd, and a view
    that nobody tagged (a slice that is being filled) still finds the edge of its storage.
    """

    def __init__(self) -> None:
        # The weak reference keeps the address from being used again, not the memory.
        self._storages: dict[int, tuple[StorageWeakRef, dict[Key | None, Edge]]] = {}
        self._sound: dict[int, int] = {}  # version of each storage when its values were last checked
        self._tallies: dict[int, dict[tuple[Key, Meaning], tuple[int, Tally]]] = {}
        self._tagged = 0

    def get(self, tensor: torch.Tensor) -> Edge | None:
        """The edge of a tensor, or None for a constant (weights, buffers, literals)."""
        entry = self._storages.get(tensor.untyped_storage()._cdata)
        if entry is None:
            return None
        views = entry[1]
        return views.get(_key(tensor), views.get(None))

    def tag(self, tensor: torch.Tensor, edge: Edge) -> None:
        """Declare the edge of a tensor. Other views of its storage keep theirs: their values are checked on use."""
        self._views(tensor)[_key(tensor)] = edge
        self._tagged += 1
        if self._tagged % _SWEEP == 0:
            self._forget_the_dead()

    def fill(self, target: torch.Tensor, edge: Edge) -> None:
        """Part of a storage was filled with values of ``edge``: the whole is of that type, or analog."""
        views = self._views(target)
        known = views.get(None)
        same = known is None or (known.kind, known.scale, known.levels) == (edge.kind, edge.scale, edge.levels)
        views[None] = replace(edge, pad=()) if same and edge.counts is None else edge.analog(edge.axis)

    def sound(self, tensor: torch.Tensor) -> bool:
        """Whether the values of a tensor were checked and nothing was written to it since."""
        # Inference tensors keep no version: always checked again.
        return not tensor.is_inference() and self._sound.get(tensor.untyped_storage()._cdata) == tensor._version

    def vouch(self, tensor: torch.Tensor) -> None:
        """Note that the values of a tensor obey their type."""
        if not tensor.is_inference():
            self._sound[tensor.untyped_storage()._cdata] = tensor._version

    def doubt(self, tensor: torch.Tensor) -> None:
        """Note that something was written to the storage of a tensor."""
        for table in (self._sound, self._tallies):
            table.pop(tensor.untyped_storage()._cdata, None)

    def tally(self, tensor: torch.Tensor, edge: Edge) -> Tally | None:
        """What was counted of a tensor before, if nothing was written to it since."""
        if tensor.is_inference():
            return None
        known = self._tallies.get(tensor.untyped_storage()._cdata, {}).get((_key(tensor), _meaning(edge)))
        return known[1] if known is not None and known[0] == tensor._version else None

    def keep(self, tensor: torch.Tensor, edge: Edge, counted: Tally) -> None:
        """Remember what was counted of a tensor, for the next reader of the same values."""
        if not tensor.is_inference():
            self._views(tensor)
            storage = self._tallies.setdefault(tensor.untyped_storage()._cdata, {})
            storage[_key(tensor), _meaning(edge)] = (tensor._version, counted)

    def _forget_the_dead(self) -> None:
        for address, (reference, _) in list(self._storages.items()):
            if reference.expired():  # type: ignore[no-untyped-call]
                for table in (self._storages, self._sound, self._tallies):
                    table.pop(address, None)

    def _views(self, tensor: torch.Tensor) -> dict[Key | None, Edge]:
        storage = tensor.untyped_storage()
        return self._storages.setdefault(storage._cdata, (StorageWeakRef(storage), {}))[1]  # type: ignore[no-untyped-call]


def _key(tensor: torch.Tensor) -> Key:
    return (int(tensor.storage_offset()), tuple(tensor.shape), tuple(tensor.stride()))


def _meaning(edge: Edge) -> Meaning:
    return (edge.kind, edge.scale, edge.levels)


def same_scale(edges: Sequence[Edge]) -> bool:
    """Whether all edges are spikes whose events can be read off the values with one scale."""
    first = edges[0]
    return all(e.is_spikes and e.counts is None and e.scale == first.scale for e in edges)
