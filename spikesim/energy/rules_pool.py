"""Pooling and sums: averages of spikes fold into the next weights, maxima are comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from spikesim.energy.edges import Edge
from spikesim.energy.fanout import adaptive_window_sizes, window_sizes
from spikesim.energy.layout import exact_sum
from spikesim.energy.rules_shape import first_activation
from spikesim.energy.tally import Tally

if TYPE_CHECKING:
    from spikesim.energy.recorder import Op, Recorder


def _each(values: Sequence[int], dims: int, otherwise: Sequence[int] | int) -> list[int]:
    given = list(values) if values else otherwise
    if isinstance(given, int):
        given = [given]
    return list(given) * dims if len(given) == 1 else list(given)


def _windows(op: Op, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Real positions per window, for the operations of this file that slide a window."""
    if "adaptive" in op.name:
        dims = len(op["output_size"])
        return adaptive_window_sizes(x.shape[-dims:], out.shape[-dims:])
    dims = int(op.name[op.name.index("pool") + 4])
    kernel = _each(op["kernel_size"], dims, 1)
    return window_sizes(
        x.shape[-dims:],
        kernel,
        _each(op["stride"], dims, kernel),
        _each(op["padding"], dims, 0),
        _each(op.get("dilation"), dims, 1),
        out.shape[-dims:],
    )


def _average(recorder: Recorder, op: Op) -> list[Edge]:
    x, edge = first_activation(recorder, op)
    windows = _windows(op, x, op.out)
    outputs = op.out.numel()
    recorder.seen(edge, op.name)
    if not edge.is_spikes:
        added = int((windows - 1).clamp(min=0).sum()) * (outputs // windows.numel())
        recorder.constant("op_add", added, edge)
        recorder.constant("op_mul", outputs, edge)
        return [edge.analog(edge.axis)]
    # What a window divides by follows from the average of ones.
    ones = torch.ones((1, 1, *x.shape[-windows.dim() :]), dtype=torch.float64)
    averaged = op.call(**{k: ones if v is x else v for k, v in op.named.items()})[0, 0]
    divisor = (windows / averaged).nan_to_num()
    uniform = bool((divisor == divisor.flatten()[0]).all())
    pooled = replace(edge, levels=None, pad=())
    if uniform and not edge.takes_signs and edge.counts is None:
        folded = replace(pooled, scale=edge.scale / float(divisor.flatten()[0]))
        known = recorder.edges.tally(x, edge)
        if known is not None and edge.axis == 0 and x.dim() == windows.dim() + 2:
            # The map of the pooled spikes is the pooled map: the spikes need not be read again.
            places = known.places.view(x.shape[0], 1, *x.shape[2:]).double()
            sums = op.call(**{k: places if v is x else v for k, v in op.named.items()}) * float(divisor.flatten()[0])
            recorder.edges.keep(op.out, folded, Tally(sums.round().to(torch.int64).flatten(1), None))
        return [folded]
    counts = recorder.events(x, edge).double()
    sums = op.call(**{k: counts if v is x else v for k, v in op.named.items()}) * divisor.to(counts.device)
    return [replace(pooled, counts=sums.round().to(torch.int64))]


def _maximum(recorder: Recorder, op: Op) -> list[Edge]:
    x, edge = first_activation(recorder, op)
    out = op.out[0] if isinstance(op.out, (tuple, list)) else op.out
    windows = _windows(op, x, out)
    recorder.seen(edge, op.name)
    recorder.constant("op_cmp", int((windows - 1).clamp(min=0).sum()) * (out.numel() // windows.numel()), edge)
    # The maximum of spikes is one of them; where events cannot be read off the values it is analog.
    kept = edge.moved(edge.axis) if edge.is_spikes and edge.counts is None else edge.analog(edge.axis)
    return [kept, edge.analog(edge.axis)] if out is not op.out else [kept]


def _total(recorder: Recorder, op: Op) -> list[Edge]:
    """Sums and means over axes; over the rows only where there is one time step."""
    x, edge = first_activation(recorder, op)
    asked = op.get("dim")
    dims = sorted(d % max(x.dim(), 1) for d in (asked if asked else range(x.dim())))
    recorder.seen(edge, op.name)
    axis = edge.axis
    if axis is not None:
        axis = None if axis in dims else axis - (0 if op["keepdim"] else sum(d < axis for d in dims))
    folds = edge.is_spikes and axis is not None
    per_output = x.numel() // max(op.out.numel(), 1)
    if folds:
        summed = replace(edge, levels=None, axis=axis, pad=())
        if not edge.takes_signs and edge.counts is None:
            return [replace(summed, scale=edge.scale / (per_output if op.name == "mean" else 1))]
        counts = exact_sum(recorder.events(x, edge), dims, keepdim=op["keepdim"])
        return [replace(summed, counts=counts)]
    recorder.constant("op_add", x.numel() - op.out.numel(), edge)
    if op.name == "mean":
        recorder.constant("op_mul", op.out.numel(), edge)
    return [edge.analog(axis)]


RULES = {
    **dict.fromkeys(
        ("avg_pool1d", "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d"), _average
    ),
    **dict.fromkeys(
        (
            "max_pool1d",
            "max_pool2d",
            "max_pool2d_with_indices",
            "max_pool3d_with_indices",
            "adaptive_max_pool2d",
            "adaptive_max_pool3d",
        ),
        _maximum,
    ),
    "sum": _total,
    "mean": _total,
}
