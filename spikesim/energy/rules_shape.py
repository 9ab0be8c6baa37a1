"""Operations that move values without arithmetic: they keep the type of the edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from spikesim.energy.edges import Edge, same_scale

if TYPE_CHECKING:
    from spikesim.energy.recorder import Op, Recorder


def first_activation(recorder: Recorder, op: Op) -> tuple[torch.Tensor, Edge]:
    """The first argument that is an activation, and its edge."""
    return activations(recorder, op)[0]


def activations(recorder: Recorder, op: Op) -> list[tuple[torch.Tensor, Edge]]:
    """Every argument that is an activation, with its edge."""
    tensors = [t for t in tree_leaves(op.named) if isinstance(t, torch.Tensor)]
    pairs = [(t, recorder.edges.get(t)) for t in tensors]
    return [(t, e) for t, e in pairs if e is not None]


def viewed_axis(old: Sequence[int], axis: int | None, new: Sequence[int]) -> int | None:
    """Where the rows are after a view; None if they were mixed with another axis.

    >>> viewed_axis((8, 3, 4), 0, (8, 12)), viewed_axis((8, 3, 4), 0, (2, 4, 12)), viewed_axis((5, 8, 3), 1, (40, 3))
    (0, 0, None)
    """
    if axis is None:
        return None
    before, rows = math.prod(old[:axis]), old[axis]
    for place, size in enumerate(new):
        fits = size % rows == 0 or (size > 1 and rows % size == 0)
        if math.prod(new[:place]) == before and fits:
            return place
    return None


def _same(tensor: torch.Tensor, axis: int, op: Op, out: torch.Tensor) -> int | None:
    return axis


def _view(tensor: torch.Tensor, axis: int, op: Op, out: torch.Tensor) -> int | None:
    return viewed_axis(tensor.shape, axis, out.shape)


def _permute(tensor: torch.Tensor, axis: int, op: Op, out: torch.Tensor) -> int | None:
    order = [d % tensor.dim() for d in op["dims"]]
    return order.index(axis)


def _transpose(tensor: torch.Tensor, axis: int, op: Op, out: torch.Tensor) -> int | None:
    pair = [op.get("dim0", 0) % tensor.dim(), op.get("dim1", 1) % tensor.dim()] if tensor.dim() > 1 else [0, 0]
    return pair[1 - pair.index(axis)] if axis in pair else axis


def _expand(tensor: torch.Tensor, axis: int, op: Op, out: torch.Tensor) -> int | None:
    return axis + out.dim() - tensor.dim()


def _drop(tensor: torch.Tensor, axis: int, op: Op, out: torch.Tensor) -> int | None:
    dim = op["dim"] % tensor.dim()
    return None if dim == axis else axis - (dim < axis)


def _roll(tensor: torch.Tensor, axis: int, op: Op, out: torch.Tensor) -> int | None:
    dims = [d % tensor.dim() for d in op["dims"]] or [axis]
    return None if axis in dims else axis


def _repeat(tensor: torch.Tensor, axis: int, op: Op, out: torch.Tensor) -> int | None:
    place = axis + out.dim() - tensor.dim()
    return place if out.shape[place] == tensor.shape[axis] else None


def _unless_changed(tensor: torch.Tensor, axis: int, op: Op, out: torch.Tensor) -> int | None:
    return axis if out.dim() == tensor.dim() and out.shape[axis] == tensor.shape[axis] else None


_AXIS = {
    "clone": _same, "detach": _same, "alias": _same, "_to_copy": _same, "lift_fresh": _same, "slice": _same,
    "split": _same, "split_with_sizes": _same, "contiguous": _same, "lift": _same,
    "view": _view, "_unsafe_view": _view, "reshape": _view, "_reshape_alias": _view, "unsqueeze": _view,
    "squeeze": _view, "pixel_shuffle": _unless_changed, "pixel_unshuffle": _unless_changed,
    "upsample_nearest1d": _unless_changed, "upsample_nearest2d": _unless_changed,
    "upsample_nearest3d": _unless_changed, "reflection_pad1d": _unless_changed, "reflection_pad2d": _unless_changed,
    "reflection_pad3d": _unless_changed, "replication_pad1d": _unless_changed, "replication_pad2d": _unless_changed,
    "replication_pad3d": _unless_changed, "channel_shuffle": _unless_changed,
    "permute": _permute, "transpose": _transpose, "t": _transpose, "expand": _expand, "select": _drop,
    "unbind": _drop, "flip": _roll, "roll": _roll, "repeat": _repeat,
}  # fmt: skip
_KEEPS_PAD = frozenset({"clone", "detach", "alias", "_to_copy", "lift_fresh", "contiguous", "lift"})


def _keep(recorder: Recorder, op: Op) -> list[Edge]:
    tensor, edge = first_activation(recorder, op)
    outs = [t for t in tree_leaves(op.out) if isinstance(t, torch.Tensor)]
    moved = [edge.moved(None if edge.axis is None else _AXIS[op.name](tensor, edge.axis, op, t)) for t in outs]
    if op.name in _KEEPS_PAD:
        moved = [replace(e, pad=edge.pad) for e in moved]
    if edge.counts is not None:
        counts = tree_leaves(_replayed(op, tensor, edge.counts))
        moved = [replace(e, counts=c) for e, c in zip(moved, counts)]
    return moved


def _replayed(op: Op, tensor: torch.Tensor, counts: torch.Tensor) -> Any:
    """The same movement applied to event counts."""
    if op.name == "_to_copy":
        return counts
    named = {k: counts if v is tensor else v for k, v in op.named.items()}
    dtype = counts.dtype
    if op.name.startswith(("reflection", "replication", "upsample")):  # not defined for integers
        named = {k: v.double() if v is counts else v for k, v in named.items()}
    return tree_map(lambda t: t.to(dtype), op.call(**named))


def _strided(recorder: Recorder, op: Op) -> list[Edge]:
    """``as_strided`` changes strides (pooling to one position does), or makes any view: that is analog."""
    tensor, edge = first_activation(recorder, op)
    if op.out.shape == tensor.shape and edge.counts is None:
        return [edge]
    recorder.seen(edge, op.name)
    recorder.unknown(op.name, op.out.numel())
    return [edge.analog(viewed_axis(tensor.shape, edge.axis, op.out.shape))]


def _pad(recorder: Recorder, op: Op) -> list[Edge]:
    tensor, edge = first_activation(recorder, op)
    pad, value = list(op["pad"]), op.get("value", 0)
    axis = edge.axis
    if axis is not None and len(pad) >= 2 * (tensor.dim() - axis) and op.out.shape[axis] != tensor.shape[axis]:
        axis = None
    if value != 0:
        return [edge.analog(axis)]
    moved = edge.moved(axis)
    if edge.counts is not None:
        moved = replace(moved, counts=torch.nn.functional.pad(edge.counts, pad))
    if min(pad, default=0) >= 0:
        longest = max(len(pad), len(edge.pad))
        both = [[*p, *[0] * (longest - len(p))] for p in (pad, edge.pad)]
        moved = replace(moved, pad=tuple(a + b for a, b in zip(*both)))
    return [moved]


def _join(recorder: Recorder, op: Op) -> list[Edge]:
    """Concatenate or stack; parts that are constants must obey the type of the others."""
    pairs = [(t, recorder.edges.get(t)) for t in op["tensors"]]
    edges = [e for _, e in pairs if e is not None]
    first = edges[0]
    axes = {e.axis for e in edges}
    axis = first.axis if len(axes) == 1 else None
    if op.name == "stack" and axis is not None:
        axis += op["dim"] % op.out.dim() <= axis
    if any(not e.is_spikes for e in edges):
        return [first.analog(axis)]
    kinds = {e.kind for e in edges}
    joined = replace(
        first,
        kind=first.kind if len(kinds) == 1 else "multibit" if "multibit" in kinds else "graded",
        levels=first.levels if len({e.levels for e in edges}) == 1 else None,
        axis=axis,
        pad=(),
    )
    if same_scale(edges) and (len(kinds) == 1 or not kinds & {"signed", "multibit"}):
        return [joined]
    counts = [
        torch.zeros_like(t, dtype=torch.int64) if e is None else recorder.events(t, e).to(torch.int64) for t, e in pairs
    ]
    return [replace(joined, counts=(torch.stack if op.name == "stack" else torch.cat)(counts, op["dim"]))]


def copied(recorder: Recorder, op: Op) -> None:
    """``copy_`` into (part of) a tensor, as circular padding does."""
    edge = recorder.edges.get(op["src"])
    if edge is not None:
        recorder.edges.fill(op.out, edge)


RULES = {
    **dict.fromkeys(_AXIS, _keep),
    "constant_pad_nd": _pad,
    "cat": _join,
    "stack": _join,
    "as_strided": _strided,
}
