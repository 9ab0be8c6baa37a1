"""Operations with weights: convolutions, matrix products, attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from spikesim.energy.edges import Edge
from spikesim.energy.fanout import spatial_fan_out
from spikesim.energy.geometry import Geometry
from spikesim.energy.layout import exact_sum
from spikesim.energy.reach import reached
from spikesim.energy.rules_neuron import charge_accumulators
from spikesim.energy.rules_shape import first_activation, viewed_axis
from spikesim.energy.tally import Tally

if TYPE_CHECKING:
    from spikesim.energy.recorder import Op, Recorder

_CHUNK = 16  # rows that are multiplied with their fan-out at once


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
    stride, padding, dilation, extra = (
        _spread(op[name], dims) for name in ("stride", "padding", "dilation", "output_padding")
    )
    transposed, groups = bool(op["transposed"]), int(op["groups"])
    spatial = spatial_fan_out(tuple(x.shape[2:]), kernel, stride, padding, dilation, transposed, extra)
    pad = edge.pad[: 2 * dims]
    per_group = op.out.shape[1] // groups
    in_range = int(_crop(spatial, pad).sum()) * x.shape[0] * x.shape[1] * per_group
    if transposed:
        padded = x.numel() * per_group * math.prod(kernel)
    else:
        padded = op.out.numel() * weight.shape[1] * math.prod(kernel)
    how = (list(stride), list(padding), list(dilation), transposed, list(extra), groups)
    counted = recorder.tally(x, edge)
    if recorder.pruned or counted is None:
        fan = recorder.fans.of(weight, x.shape[2:], how) if recorder.pruned else spatial * per_group
        fan = _crop(fan, pad).to(x.device)
        live = int(fan.sum()) * x.shape[0] * (1 if recorder.pruned else x.shape[1])
        events = _crop(recorder.events(x, edge) if edge.is_spikes else x != 0, edge.pad)
        work = _weighted(recorder, events, fan, edge)
        arrived = recorder.per_step(events, edge)
    else:
        live = in_range
        places = _crop(counted.places.view(x.shape[0], *x.shape[2:]), pad).flatten(1)
        work = recorder.per_row(Tally(places, counted.messages).through(_crop(spatial, pad)) * per_group, edge)
        arrived = recorder.per_row(places.sum(1, dtype=torch.int64), edge)
    _charge(recorder, edge, arrived, work, live, in_range, padded, op.out)
    rows = recorder.layout.samples if edge.once else recorder.layout.rows
    recorder.layers[recorder.layer].geometry = Geometry(
        x.numel() // rows, op.out.numel() // rows, x.shape[1], op.out.shape[1], kernel, stride
    )
    if edge.is_spikes:
        recorder.add("driven_neurons", recorder.per_row(_driven(recorder, x, edge, weight, op.out, how), edge))
    if bias is not None:
        recorder.constant("bias_adds", op.out.numel(), edge)
    return [edge.analog(edge.axis)]


def _weighted(recorder: Recorder, events: torch.Tensor, fan: torch.Tensor, edge: Edge) -> torch.Tensor:
    """Events times the connections of their place, per step; a few rows at a time, since the products are wide."""
    if edge.axis != 0 or events.shape[0] <= _CHUNK:
        return recorder.per_step(events * fan, edge)
    parts = [exact_sum(part * fan, list(range(1, part.dim()))) for part in torch.split(events, _CHUNK)]
    return recorder.per_row(torch.cat(parts), edge)


def _driven(
    recorder: Recorder, x: torch.Tensor, edge: Edge, weight: torch.Tensor, out: torch.Tensor, how: Any
) -> torch.Tensor:
    """Outputs of a convolution that at least one event reaches, ``[rows]``."""
    groups, outputs = how[-1], weight.shape[1] if how[3] else weight.shape[0] // how[-1]
    counted = recorder.tally(x, edge)
    if recorder.pruned:
        arrives, mask, each = (recorder.events(x, edge) != 0).float(), (weight != 0).float(), 1
    elif groups == 1 and counted is not None:
        # Every channel of an output sees every channel of the input.
        return reached(counted.places, x.shape[2:], out.shape[2:], weight.shape[2:], how) * outputs
    else:
        grouped = (recorder.events(x, edge) != 0).reshape(x.shape[0], groups, -1, *x.shape[2:])
        arrives = grouped.any(2).float()
        mask, each = torch.ones((groups, 1, *weight.shape[2:]), device=x.device), outputs
    touched = torch.ops.aten.convolution(arrives, mask, None, *how)
    return exact_sum(touched > 0.5, list(range(1, touched.dim()))) * each


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
    arrived: torch.Tensor,
    work: torch.Tensor,
    live: int,
    synapses: int,
    padded: int,
    out: torch.Tensor,
) -> None:
    """Book a layer with weights.

    Args:
        recorder: the books.
        edge: type of its input.
        arrived: events (or non-zeros) that reached it, per step.
        work: the same times their connections.
        live: connections that count, whatever crosses them.
        synapses: connections, zero weights too.
        padded: the same with zero padding.
        out: what it returned.
    """
    recorder.constant("synapses", synapses, edge)
    recorder.constant("synapses_padded", padded, edge)
    if edge.is_spikes:
        recorder.add(f"events_in_{edge.kind}", arrived)
        recorder.add(f"synops_{edge.kind}", work)
        recorder.add("weight_fetches", work)
        charge_accumulators(recorder, work, 8 * max(out.dtype.itemsize, 4))
    else:
        recorder.constant("mac_dense", live, edge)
        recorder.constant("weight_fetches", live, edge)
        recorder.add("mac_effective", work)


def _product(recorder: Recorder, op: Op, a: torch.Tensor, b: torch.Tensor) -> Edge:
    """``a [..., m, k] @ b [..., k, n]``, either or both of them activations."""
    first, second = recorder.edges.get(a), recorder.edges.get(b)
    last = a.dim() - 1
    if first is not None and second is not None:
        recorder.seen(first, op.name)
        recorder.seen(second, op.name)
        _pairs(recorder, a, first, b, second)
        joined = Edge(axis=first.axis, once=first.once and second.once, held=first.held and second.held)
        return joined if first.axis != last else joined.analog(None)
    edge = first or second
    if edge is None:
        return Edge()
    # Outputs that a value reaches, in the layout of the values.
    values, weights, along = (a, b, -1) if first is not None else (b, a, -2)
    recorder.seen(edge, op.name)
    connections = values.numel() * weights.shape[along]
    counted = recorder.tally(values, edge)
    if recorder.pruned or counted is None:
        events = recorder.events(values, edge) if edge.is_spikes else values != 0
        fan = (weights != 0).sum(along).unsqueeze(-1 - along - 2) if recorder.pruned else weights.shape[along]
        live = int((torch.ones_like(values, dtype=torch.int64) * fan).sum()) if recorder.pruned else connections
        arrived, work = recorder.per_step(events, edge), recorder.per_step(events * fan, edge)
    else:
        arrived, live = recorder.per_row(counted.rows, edge), connections
        work = arrived * weights.shape[along]
    _charge(recorder, edge, arrived, work, live, connections, connections, op.out)
    rows = recorder.layout.samples if edge.once else recorder.layout.rows
    recorder.layers[recorder.layer].geometry = Geometry(
        values.numel() // rows, op.out.numel() // rows, a.shape[-1] if values is a else b.shape[-2], op.out.shape[-1]
    )
    if edge.is_spikes:
        recorder.add("driven_neurons", _reached(recorder, a, b, values, edge))
    contracted = last if first is not None else b.dim() - 2
    return edge.analog(edge.axis if edge.axis != contracted else None)


def _reached(recorder: Recorder, a: torch.Tensor, b: torch.Tensor, values: torch.Tensor, edge: Edge) -> torch.Tensor:
    """Outputs of a matrix product that at least one event reaches, per step."""
    counted = recorder.tally(values, edge)
    if counted is not None and values is a and a.dim() == 2 and not recorder.pruned:
        return recorder.per_row((counted.rows > 0).to(torch.int64), edge) * b.shape[-1]
    arrives = recorder.events(values, edge) != 0
    if recorder.pruned:
        left = (arrives if values is a else a != 0).float()
        right = (arrives if values is b else b != 0).float()
        return recorder.per_step(left @ right > 0.5, edge)
    if values is a:
        return recorder.per_step(arrives.any(-1, keepdim=True), edge) * b.shape[-1]
    return recorder.per_step(arrives.any(-2, keepdim=True), edge) * a.shape[-2]


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
        kind = next(k for k in ("multibit", "graded", "signed", "binary") if k in kinds)
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
    return [_product(recorder, op, a, b)]


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
    return [_product(recorder, op, rows, column)]


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
