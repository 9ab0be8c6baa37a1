"""Operations with weights: convolutions, matrix products, attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from spikesim.energy.edges import Edge
from spikesim.energy.fanout import spatial_fan_out
from spikesim.energy.layout import exact_sum
from spikesim.energy.rules_shape import first_activation, viewed_axis

if TYPE_CHECKING:
    from spikesim.energy.recorder import Op, Recorder


def _convolution(recorder: Recorder, op: Op) -> list[Edge]:
    x, weight, bias = op["input"], op["weight"], op["bias"]
    edge = recorder.edges.get(x)
    if edge is None or recorder.edges.get(weight) is not None:
        _, known = first_activation(recorder, op)
        recorder.seen(known, "convolution")
        recorder.unknown("convolution with computed weights", op.out.numel())
        return [known.analog(known.axis)]
    recorder.seen(edge, "convolution")
    dims, kernel = x.dim() - 2, tuple(weight.shape[2:])
    options = (_spread(op[name], dims) for name in ("stride", "padding", "dilation"))
    fan = spatial_fan_out(
        tuple(x.shape[2:]), kernel, *options, bool(op["transposed"]), _spread(op["output_padding"], dims)
    )
    fan = _crop(fan, edge.pad[: 2 * dims])
    counts = _crop(recorder.events(x, edge) if edge.is_spikes else x != 0, edge.pad)
    per_group = op.out.shape[1] // op["groups"]
    synapses = int(fan.sum()) * counts.shape[0] * counts.shape[1] * per_group
    if op["transposed"]:
        padded = x.numel() * per_group * math.prod(kernel)
    else:
        padded = op.out.numel() * weight.shape[1] * math.prod(kernel)
    if edge.axis == 0:
        # All channels of a position have one fan-out: sum them first.
        counts = exact_sum(counts, [1], keepdim=True)
    _charge(recorder, edge, counts, counts * fan.to(counts.device), per_group, synapses, padded)
    if bias is not None:
        recorder.constant("bias_adds", op.out.numel(), edge)
    return [edge.analog(edge.axis)]


def _crop(counts: torch.Tensor, pad: Sequence[int]) -> torch.Tensor:
    """Leave out zero padding, given as ``torch.nn.functional.pad`` takes it."""
    for place in range(len(pad) // 2):
        dim, before, after = counts.dim() - 1 - place, pad[2 * place], pad[2 * place + 1]
        counts = counts.narrow(dim, before, counts.shape[dim] - before - after)
    return counts


def _spread(values: object, dims: int) -> tuple[int, ...]:
    """Torch takes one value for all axes, or one each."""
    given = tuple(int(v) for v in values)  # type: ignore[attr-defined]
    return given * dims if len(given) == 1 else given


def _charge(
    recorder: Recorder,
    edge: Edge,
    counts: torch.Tensor,
    weighted: torch.Tensor,
    factor: int,
    synapses: int,
    padded: int,
) -> None:
    """Book a layer whose input holds ``counts`` events (or non-zeros), each of ``weighted`` * factor connections."""
    recorder.constant("synapses", synapses, edge)
    recorder.constant("synapses_padded", padded, edge)
    work = recorder.per_step(weighted, edge) * factor
    if edge.is_spikes:
        recorder.arrivals(counts, edge)
        recorder.add(f"synops_{edge.kind}", work)
    else:
        recorder.constant("mac_dense", synapses, edge)
        recorder.add("mac_effective", work)


def _product(recorder: Recorder, a: torch.Tensor, b: torch.Tensor, name: str) -> Edge:
    """``a [..., m, k] @ b [..., k, n]``, either or both of them activations."""
    first, second = recorder.edges.get(a), recorder.edges.get(b)
    rows, columns, last = a.shape[-2], b.shape[-1], a.dim() - 1
    if first is not None and second is not None:
        recorder.seen(first, name)
        recorder.seen(second, name)
        _pairs(recorder, a, first, b, second)
        return Edge(axis=first.axis if first.axis != last else None, once=first.once and second.once)
    edge = first or second
    if edge is None:
        return Edge()
    values, fan = (a, columns) if first is not None else (b, rows)
    recorder.seen(edge, name)
    counts = recorder.events(values, edge) if edge.is_spikes else values != 0
    connections = values.numel() * fan
    _charge(recorder, edge, counts, counts, fan, connections, connections)
    contracted = last if first is not None else b.dim() - 2
    return edge.analog(edge.axis if edge.axis != contracted else None)


def _pairs(recorder: Recorder, a: torch.Tensor, first: Edge, b: torch.Tensor, second: Edge) -> None:
    """A product of two activations, as in attention: work happens where both sides have something."""
    total = a.numel() * b.shape[-1]
    recorder.constant("synapses", total, first)
    recorder.constant("synapses_padded", total, first)
    left = recorder.events(a, first) if first.is_spikes else a != 0
    right = recorder.events(b, second) if second.is_spikes else b != 0
    if first.is_spikes or second.is_spikes:
        if first.is_spikes:
            recorder.arrivals(left, first)
        if second.is_spikes:
            recorder.arrivals(right, second)
        # An analog partner is added whatever its value: the event decides.
        left = left if first.is_spikes else torch.ones_like(left)
        right = right if second.is_spikes else torch.ones_like(right)
        kinds = {e.kind for e in (first, second) if e.is_spikes}
        kind = next(k for k in ("graded", "signed", "binary") if k in kinds)
        column = f"synops_{kind}"
    else:
        recorder.constant("mac_dense", total, first)
        column = "mac_effective"
    # float64 keeps these sums exact; torch has no fast integer product.
    met = left.double() @ exact_sum(right, [right.dim() - 1], keepdim=True).double()
    recorder.add(column, recorder.per_step(met.round().to(torch.int64), first))


def _bias(recorder: Recorder, bias: torch.Tensor, out: torch.Tensor, edge: Edge) -> None:
    recorder.constant("residual_adds" if recorder.edges.get(bias) is not None else "bias_adds", out.numel(), edge)


def _matrix(recorder: Recorder, op: Op) -> list[Edge]:
    a, b = op.get("mat1", op.get("batch1", op.get("self"))), op.get("mat2", op.get("batch2"))
    return [_product(recorder, a, b, op.name)]


def _added_matrix(recorder: Recorder, op: Op) -> list[Edge]:
    edges = _matrix(recorder, op)
    if op["beta"] != 0:
        _bias(recorder, op["self"], op.out, edges[0])
    return edges


def _vector(recorder: Recorder, op: Op) -> list[Edge]:
    """``mv`` and ``dot``, as products of matrices with one row or column."""
    matrix, vector = op["self"], op.get("vec", op.get("tensor"))
    rows, column = (matrix if matrix.dim() == 2 else matrix[None]), vector[:, None]
    for one, other in ((matrix, rows), (vector, column)):
        edge = recorder.edges.get(one)
        if edge is not None and one.dim() == 1:
            recorder.edges.tag(other, edge.moved(viewed_axis(one.shape, edge.axis, other.shape)))
    return [_product(recorder, rows, column, op.name)]


def _attention(recorder: Recorder, op: Op) -> list[Edge]:
    """A fused kernel: count the two products and the softmax of its definition."""
    query = op["query"]
    edge = recorder.edges.get(query) or first_activation(recorder, op)[1]
    with recorder:
        torch.ops.aten._scaled_dot_product_attention_math(
            query, op["key"], op["value"], op.get("attn_mask"), 0.0, bool(op.get("is_causal")), scale=op.get("scale")
        )
    return [edge.analog(edge.axis)]


RULES = {
    "convolution": _convolution,
    "_convolution": _convolution,
    "mm": _matrix,
    "bmm": _matrix,
    "addmm": _added_matrix,
    "baddbmm": _added_matrix,
    "mv": _vector,
    "dot": _vector,
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_cudnn_attention",
            "_scaled_dot_product_fused_attention_overrideable",
        ),
        _attention,
    ),
}
