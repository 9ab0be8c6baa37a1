"""Arithmetic between activations and constants, element by element."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from spikesim.energy.edges import Edge, EdgeKind, same_scale
from spikesim.energy.rules_shape import activations, first_activation, viewed_axis

if TYPE_CHECKING:
    from spikesim.energy.recorder import Op, Recorder

# Operations per output element on analog values, by column.
_PER_ELEMENT: dict[str, dict[str, int]] = {
    "relu": {"op_cmp": 1},
    "threshold": {"op_cmp": 1},
    "leaky_relu": {"op_cmp": 1, "op_mul": 1},
    "_prelu_kernel": {"op_cmp": 1, "op_mul": 1},
    "clamp_min": {"op_cmp": 1},
    "clamp_max": {"op_cmp": 1},
    "hardtanh": {"op_cmp": 2},
    "maximum": {"op_cmp": 1},
    "minimum": {"op_cmp": 1},
    "gt": {"op_cmp": 1}, "ge": {"op_cmp": 1}, "lt": {"op_cmp": 1}, "le": {"op_cmp": 1},
    "eq": {"op_cmp": 1}, "ne": {"op_cmp": 1},
    # Signs, selections and casts move bits.
    "neg": {}, "abs": {}, "where": {}, "masked_fill": {}, "fill": {}, "zero": {},
    "native_batch_norm": {"op_mul": 1, "op_add": 1}, "cudnn_batch_norm": {"op_mul": 1, "op_add": 1},
    "miopen_batch_norm": {"op_mul": 1, "op_add": 1},
    "_native_batch_norm_legit_no_training": {"op_mul": 1, "op_add": 1},
}  # fmt: skip

# What a network calls its activations: those of NeuroBench's sparsity.
_ACTIVATIONS = frozenset({"relu", "threshold", "leaky_relu", "_prelu_kernel", "hardtanh"})


def _elementwise(recorder: Recorder, op: Op) -> list[Edge]:
    tensor, edge = first_activation(recorder, op)
    out = op.out[0] if isinstance(op.out, (tuple, list)) else op.out
    recorder.seen(edge, op.name)
    for column, each in _PER_ELEMENT[op.name].items():
        recorder.constant(column, out.numel() * each, edge)
    result = _analog(tensor, edge, out)
    if op.name in _ACTIVATIONS and isinstance(out, torch.Tensor):
        recorder.constant("activations", out.numel(), edge)
        counted = recorder.tally(out, result)
        if counted is None or counted.messages is None:
            recorder.add("activations_nonzero", recorder.per_step(out != 0, result))
        else:
            recorder.add("activations_nonzero", recorder.per_row(counted.messages, result))
    return [result]


def _clamp(recorder: Recorder, op: Op) -> list[Edge]:
    tensor, edge = first_activation(recorder, op)
    recorder.seen(edge, op.name)
    bounds = sum(op[side] is not None for side in ("min", "max"))
    recorder.constant("op_cmp", op.out.numel() * bounds, edge)
    return [_analog(tensor, edge, op.out)]


def _analog(tensor: torch.Tensor, edge: Edge, out: torch.Tensor) -> Edge:
    if edge.axis is None:
        return edge.analog(None)
    # Broadcasting adds axes on the left.
    axis = edge.axis + max(0, out.dim() - tensor.dim())
    fits = axis < out.dim() and out.shape[axis] == tensor.shape[edge.axis]
    return edge.analog(axis if fits else viewed_axis(tensor.shape, edge.axis, out.shape))


def _sum(recorder: Recorder, op: Op) -> list[Edge]:
    """``add`` and ``sub``: a bias, a residual, or two spike trains that meet."""
    pairs = activations(recorder, op)
    (first, edge), (second, other) = pairs[0], pairs[-1]
    if len(pairs) == 1:
        recorder.seen(edge, op.name)
        recorder.constant("bias_adds", op.out.numel(), edge)
        return [_analog(first, edge, op.out)]
    edges = (edge, other)
    for e in edges:
        recorder.seen(e, op.name)
    if all(e.is_spikes for e in edges):
        return [_merged(recorder, op, pairs)]
    analog = next(t for t, e in pairs if not e.is_spikes)
    for tensor, e in pairs:
        if e.is_spikes:
            # Event-driven: one addition per spike, none where nothing arrives.
            recorder.add("residual_adds", recorder.arriving(tensor, e))
            return [_analog(analog, recorder.edges.get(analog) or edge, op.out)]
    recorder.constant("residual_adds", op.out.numel(), edge)
    wide = first if first.numel() >= second.numel() else second
    return [
        replace(
            _analog(wide, edge if wide is first else other, op.out),
            once=edge.once and other.once,
            held=edge.held and other.held,
        )
    ]


def _merged(recorder: Recorder, op: Op, pairs: list[tuple[torch.Tensor, Edge]]) -> Edge:
    """Two spike trains on one line: integers, each unit an event; nothing is added before the weights."""
    (first, edge), (second, other) = pairs
    kind: EdgeKind = "signed" if op.name == "sub" or "signed" in (edge.kind, other.kind) else "graded"
    kind = "multibit" if "multibit" in (edge.kind, other.kind) else kind
    merged = replace(edge, kind=kind, levels=None, pad=(), axis=_analog(first, edge, op.out).axis)
    plain = same_scale((edge, other)) and op.get("alpha", 1) == 1 and first.shape == second.shape
    if plain and kind == "graded":
        return merged
    counts = recorder.events(first, edge).to(torch.int64) + recorder.events(second, other).to(torch.int64)
    return replace(merged, counts=counts)


def _scale(recorder: Recorder, op: Op) -> list[Edge]:
    """``mul`` and ``div``: constants fold into the scale of spikes."""
    pairs = activations(recorder, op)
    (tensor, edge) = pairs[0]
    for _, e in pairs:
        recorder.seen(e, op.name)
    if len(pairs) == 2:
        return [_gate(recorder, op, pairs)]
    divided = op.name == "div" and op["self"] is not tensor
    if not edge.is_spikes or divided:
        recorder.constant("op_mul", op.out.numel(), edge)
        return [_analog(tensor, edge, op.out)]
    constant = op["other"] if op["self"] is tensor else op["self"]
    axis = _analog(tensor, edge, op.out).axis
    factor = float(constant) if not isinstance(constant, torch.Tensor) or constant.numel() == 1 else None
    if factor is not None and op.name == "div":
        factor = 1.0 / factor if factor else math.inf
    if factor is not None and edge.counts is None and factor and math.isfinite(factor):
        return [replace(edge, scale=edge.scale * factor, axis=axis)]
    # One constant per channel: the events stay, each channel has weights of its own.
    counts = recorder.events(tensor, edge).expand(op.out.shape)
    if isinstance(constant, torch.Tensor):
        counts = counts * (constant != 0)
    return [replace(edge, counts=counts, axis=axis, pad=())]


def _gate(recorder: Recorder, op: Op, pairs: list[tuple[torch.Tensor, Edge]]) -> Edge:
    (first, edge), (second, other) = pairs
    spikes = [(t, e) for t, e in pairs if e.is_spikes]
    result = _analog(first if first.numel() >= second.numel() else second, edge, op.out)
    if len(spikes) == 2 and edge.levels == other.levels == 1 and edge.kind == other.kind == "binary":
        recorder.constant("op_cmp", op.out.numel(), edge)
        if edge.counts is None and other.counts is None:
            return replace(edge, scale=edge.scale * other.scale, axis=result.axis, pad=())
    elif spikes:
        # A product with a spike happens only where the spike is.
        tensor, e = spikes[0]
        recorder.add("op_mul", recorder.arriving(tensor, e))
    else:
        recorder.constant("op_mul", op.out.numel(), edge)
    return result


RULES = {
    **dict.fromkeys(_PER_ELEMENT, _elementwise),
    "clamp": _clamp,
    "add": _sum,
    "sub": _sum,
    "rsub": _sum,
    "mul": _scale,
    "div": _scale,
}
