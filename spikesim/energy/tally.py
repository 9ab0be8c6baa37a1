"""Count and check an activation in one pass over it: what fires at each position, and whether it may.

Fan-out does not depend on the channel, so events are summed over channels first: a convolution then needs only a
small map of its input, and the next layer, a pool or a readout can read the same map again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from spikesim.dynamics.launch import run_blocks
from spikesim.energy.edges import TOLERANCE, Edge

_LARGEST = 2**31 - 1  # sums of the kernels are int32


@dataclass(frozen=True)
class Tally:
    """Events (of analog values: the non-zeros) of a tensor ``[rows, channels, positions ...]``.

    Args:
        places: whole numbers ``[rows, positions]``, summed over channels.
        messages: values that are not zero, int64 ``[rows]``; None where only the map is known.
        illegal: whether a value breaks the declared type, a bool scalar; None if that was not asked.
    """

    places: torch.Tensor
    messages: torch.Tensor | None
    illegal: torch.Tensor | None = None

    @property
    def rows(self) -> torch.Tensor:
        """Events per row, int64."""
        return self.places.sum(1, dtype=torch.int64)

    def through(self, fan: torch.Tensor) -> torch.Tensor:
        """Events times the fan-out of their position, int64 per row; exact below 2**53.

        Args:
            fan: whole numbers, one per position.
        """
        weighted = self.places.double() @ fan.to(self.places.device).double().flatten()
        return weighted.round().to(torch.int64)


def tally(values: torch.Tensor, edge: Edge, check: bool) -> Tally:
    """Count the events of an activation whose rows are its first axis.

    Args:
        values: ``[rows]`` or ``[rows, channels, ...]``.
        edge: its declared type, without counts of its own.
        check: whether values that break the type are to be told.
    """
    shaped = values.unsqueeze(1) if values.dim() == 1 else values
    done = _by_kernel(shaped, edge, check)
    return done if done is not None else _by_torch(shaped, edge, check)


def _by_torch(values: torch.Tensor, edge: Edge, check: bool) -> Tally:
    counts, illegal = events_of(values, edge), illegal_values(values, edge) if check and edge.is_spikes else None
    rows, channels = values.shape[:2]
    dtype = torch.float64 if counts.is_floating_point() else torch.int64
    places = counts.reshape(rows, channels, -1).sum(1, dtype=dtype).to(torch.int64)
    return Tally(places, values.reshape(rows, -1).count_nonzero(1), illegal)


def events_of(values: torch.Tensor, edge: Edge) -> torch.Tensor:
    """Events per value, whole numbers of any dtype, in the shape of ``values``; of analog values, the non-zeros."""
    if edge.counts is not None:
        return edge.counts
    if not edge.is_spikes or edge.kind == "multibit":
        return values != 0
    counts = values if edge.scale == 1.0 else (values / edge.scale).round()
    return counts.abs() if edge.kind == "signed" else counts


def illegal_values(values: torch.Tensor, edge: Edge) -> torch.Tensor:
    """Whether any value, in units of one event, breaks the type of its edge; a bool scalar."""
    unit = values if edge.scale == 1.0 else values / edge.scale
    if edge.levels == 1 and edge.scale == 1.0:
        # Only 0 and 1 (and -1, of which the sign is dropped) equal their squares.
        return (unit * unit != (unit.abs() if edge.takes_signs else unit)).any()
    counts = unit.round()
    wrong = ((unit - counts).abs() > TOLERANCE * counts.abs().clamp(min=1.0)).any()
    least, most = counts.aminmax()
    if not edge.takes_signs:
        wrong |= least < 0
    if edge.levels is not None:
        wrong |= (most > edge.levels) | (least < -edge.levels)
    return wrong | ~(most - least).isfinite()


def _by_kernel(values: torch.Tensor, edge: Edge, check: bool) -> Tally | None:
    """The same in one pass; None for what the kernels do not read."""
    # Compiled only where something is counted: the package imports quickly.
    from spikesim.energy import tally_kernels as kernels

    inner = values.dim() > 2 and not values.is_contiguous()
    dense = values.is_contiguous() or (inner and values.movedim(1, -1).is_contiguous())
    if not values.is_cpu or values.dtype not in (torch.float32, torch.float64) or not dense or not values.numel():
        return None
    rows, channels = values.shape[:2]
    positions = values.numel() // (rows * channels)
    limit = _LARGEST // 2 // channels
    low, high = -math.inf, math.inf
    if edge.levels is not None:
        high = float(edge.levels)
        low = -high
    if not edge.takes_signs:
        low = 0.0
    if not edge.is_spikes:
        mode = kernels.NONZERO
    elif edge.levels == 1 and edge.scale == 1.0:
        mode = kernels.SIGNED if edge.takes_signs else kernels.BINARY
    else:
        mode = kernels.MESSAGES if edge.kind == "multibit" else kernels.UNITS
    flat = values.detach().as_strided((values.numel(),), (1,), values.storage_offset())
    places = torch.empty((rows, positions), dtype=torch.int32)
    messages = torch.empty(rows, dtype=torch.int64)
    status = torch.empty(rows, dtype=torch.uint8)
    sizes = (rows, channels, positions, inner)
    bounds = (mode, *map(flat.numpy().dtype.type, (edge.scale, low, high, limit, TOLERANCE)))
    arrays: Any = (flat.numpy(), *sizes, *bounds, places.numpy(), messages.numpy(), status.numpy())
    run_blocks(kernels.TALLY, arrays, flat.numel())
    worst = int(status.max())
    if worst & kernels.LARGE:
        return None
    return Tally(places, messages, torch.tensor(bool(worst & kernels.ILLEGAL)) if check else None)
