"""Typed edges: what kind of message each activation carries, declared and never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from spikesim.dynamics.declarations import SpikeKind, SpikeType


@dataclass(frozen=True)
class Edge:
    """The type of one activation.

    Args:
        kind: "binary", "signed", "graded" or "analog".
        scale: value of one event; a constant that the next weights absorb.
        levels: largest number of events in one value; None for no limit (pooled or added spikes).
        counts: events per value where they cannot be read off the values (signed sums, mixed scales).
        axis: axis of the rows (time steps and samples); None once it was mixed with another.
        once: whether the rows are the N samples alone, computed once for all steps.
        pad: zero padding around the values, as ``torch.nn.functional.pad`` takes it; not counted.
    """

    kind: SpikeKind = "analog"
    scale: float = 1.0
    levels: int | None = None
    counts: torch.Tensor | None = None
    axis: int | None = 0
    once: bool = False
    pad: tuple[int, ...] = ()

    @property
    def is_spikes(self) -> bool:
        """Whether values are events rather than analog numbers."""
        return self.kind != "analog"

    def analog(self, axis: int | None) -> Edge:
        """What is left of the type after an operation that makes values analog."""
        return Edge(axis=axis, once=self.once)

    def moved(self, axis: int | None) -> Edge:
        """The same messages with the rows on another axis."""
        return replace(self, axis=axis, pad=())

    @classmethod
    def declared(cls, declared: SpikeType, once: bool = False) -> Edge:
        """The edge of a declared type."""
        levels = {"binary": 1, "signed": 2**declared.bits - 1, "graded": 2**declared.bits - 1}.get(declared.kind)
        return cls(declared.kind, declared.scale, levels, once=once)


Key = tuple[int, tuple[int, ...], tuple[int, ...]]


class EdgeTable:
    """Edges of living tensors.

    Keyed by storage and view rather than by object: torch wraps views anew below autograd, and a view
    that nobody tagged (a slice that is being filled) still finds the edge of its storage.
    """

    def __init__(self) -> None:
        # The weak reference keeps the address from being used again, not the memory.
        self._storages: dict[int, tuple[StorageWeakRef, dict[Key | None, Edge]]] = {}
        self._sound: dict[int, int] = {}  # version of each storage when its values were last checked

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
        self._sound.pop(tensor.untyped_storage()._cdata, None)

    def _views(self, tensor: torch.Tensor) -> dict[Key | None, Edge]:
        storage = tensor.untyped_storage()
        return self._storages.setdefault(storage._cdata, (StorageWeakRef(storage), {}))[1]  # type: ignore[no-untyped-call]


def _key(tensor: torch.Tensor) -> Key:
    return (int(tensor.storage_offset()), tuple(tensor.shape), tuple(tensor.stride()))


def same_scale(edges: Sequence[Edge]) -> bool:
    """Whether all edges are spikes whose events can be read off the values with one scale."""
    first = edges[0]
    return all(e.is_spikes and e.counts is None and e.scale == first.scale for e in edges)
