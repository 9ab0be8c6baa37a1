"""Norms of tokens, softmax and smooth activations: the arithmetic is counted, the functions inside are listed.

What can be done with multiplications, additions and comparisons is counted as such (a multiply-accumulate is one of
each). Exponentials, error functions and reciprocal roots have no constant in any profile: they stay unpriced, and the
ledger says how many there are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from spikesim.energy.edges import Edge
from spikesim.energy.rules_shape import first_activation

if TYPE_CHECKING:
    from spikesim.energy.recorder import Op, Recorder

# Multiplications, additions and exponentials (or error functions) for each value.
_SMOOTH = {"gelu": (2, 1, 1), "silu": (1, 1, 1)}


def _layer_norm(recorder: Recorder, op: Op) -> list[Edge]:
    """Mean, variance, scaling; a root for each row of values that are normalised together."""
    tensor, edge = first_activation(recorder, op)
    values = tensor.numel()
    rows = values // max(1, math.prod(op["normalized_shape"]))
    affine = (op["weight"] is not None, op.get("bias") is not None)
    recorder.seen(edge, op.name)
    centred = op.name == "native_layer_norm"
    recorder.constant("op_add", values * (1 + 2 * centred + affine[1]), edge)
    recorder.constant("op_mul", values * (2 + affine[0]) + rows * (1 + centred), edge)
    recorder.unknown(op.name, rows)
    return [edge.analog(edge.axis)]


def _softmax(recorder: Recorder, op: Op) -> list[Edge]:
    """Largest value, differences to it, exponentials, their sum, scaling."""
    tensor, edge = first_activation(recorder, op)
    values = tensor.numel()
    recorder.seen(edge, op.name)
    recorder.constant("op_cmp", values, edge)
    recorder.constant("op_add", 2 * values, edge)
    recorder.constant("op_mul", values, edge)
    recorder.unknown(op.name, values)
    return [edge.analog(edge.axis)]


def _smooth(recorder: Recorder, op: Op) -> list[Edge]:
    tensor, edge = first_activation(recorder, op)
    values = tensor.numel()
    multiplied, added, functions = _SMOOTH[op.name]
    recorder.seen(edge, op.name)
    recorder.constant("op_mul", values * multiplied, edge)
    recorder.constant("op_add", values * added, edge)
    recorder.unknown(op.name, values * functions)
    return [edge.analog(edge.axis)]


def _lookup(recorder: Recorder, op: Op) -> list[Edge]:
    """Rows of a table: memory, no arithmetic."""
    indices: torch.Tensor = op["indices"]
    edge = recorder.edges.get(indices)
    if edge is None:
        return [first_activation(recorder, op)[1].analog(None)]
    recorder.seen(edge, op.name)
    return [edge.analog(edge.axis)]


RULES = {
    "native_layer_norm": _layer_norm,
    "_fused_rms_norm": _layer_norm,
    "_softmax": _softmax,
    "_safe_softmax": _softmax,
    "gelu": _smooth,
    "silu": _smooth,
    "embedding": _lookup,
}
