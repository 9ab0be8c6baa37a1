"""Currents that are computed for some samples at a time, whenever they are asked for, and spikes of one byte."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from spikesim.dynamics import SpikeType

PIECE = 2**21
"""Values in flight at once."""


class Lazy:
    """Rows ``[T*N, ...]`` that some operation makes of other rows, never held as a whole.

    What the operation's weights are when it is asked decides what it gives.

    Args:
        call: Takes ``given`` for some samples at all steps, time folded into the batch.
        given: Tensors and other lazy rows, in any structure; tensors of another length stay as they are.
        steps: T.
        values: Numbers in one row of the result.
        dtype: Of currents; spikes of one byte are turned into it.

    Example:
        >>> import torch
        >>> from spikesim.converters.lazy import Lazy
        >>> spikes = torch.ones(6, 2, dtype=torch.int8)  # two steps of three samples
        >>> doubled = Lazy(lambda x: 2 * x, spikes, steps=2, values=2, dtype=torch.float32)
        >>> doubled.of(slice(0, 2)).shape, doubled.whole().sum()
        (torch.Size([2, 2, 2]), tensor(24.))
    """

    def __init__(self, call: Callable[[Any], Tensor], given: Any, steps: int, values: int, dtype: torch.dtype) -> None:
        self.call, self.given, self.steps, self.dtype = call, given, steps, dtype
        leaves = [leaf for leaf in pytree.tree_leaves(given) if isinstance(leaf, (Tensor, Lazy))]
        sizes = [leaf.samples * steps if isinstance(leaf, Lazy) else len(leaf) if leaf.dim() else 0 for leaf in leaves]
        self.rows: int = max(sizes, default=0)
        self.samples: int = self.rows // steps
        beneath = [leaf.values if isinstance(leaf, Lazy) else math.prod(leaf.shape[1:]) for leaf in leaves]
        self.values: int = max([values, *beneath])

    def of(self, some: slice) -> Tensor:
        """Some samples at all steps, ``[T, n, ...]``."""

        def cut(leaf: Any) -> Any:
            if isinstance(leaf, Lazy):
                return leaf.of(some).flatten(0, 1)
            if not isinstance(leaf, Tensor) or not leaf.dim() or len(leaf) != self.rows:
                return leaf
            leaf = unfolded(leaf, self.steps)[:, some].flatten(0, 1)
            return leaf.to(self.dtype) if leaf.dtype == torch.int8 else leaf

        return unfolded(self.call(pytree.tree_map(cut, self.given)), self.steps)

    def slices(self) -> Iterator[slice]:
        """Samples, a piece at a time."""
        most = max(1, PIECE // (self.steps * self.values))
        return (slice(start, start + most) for start in range(0, self.samples, most))

    def whole(self) -> Tensor:
        """All rows, ``[T*N, ...]``."""
        return collected(self, self.of)


def collected(rows: Lazy, part: Callable[[slice], Tensor]) -> Tensor:
    """Put ``part``, ``[T, n, ...]`` for every piece of ``rows``, together, ``[T*N, ...]``."""
    found: Tensor | None = None
    for some in rows.slices():
        values = part(some)
        if found is None:
            found = values.new_empty(rows.steps, rows.samples, *values.shape[2:])
        found[:, some] = values
    return part(slice(0, 0)).flatten(0, 1) if found is None else found.flatten(0, 1)


def unfolded(rows: Tensor, steps: int) -> Tensor:
    """``[T*N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.lazy import unfolded
        >>> unfolded(torch.zeros(6, 4), 2).shape
        torch.Size([2, 3, 4])
    """
    return rows.reshape(steps, len(rows) // steps, *rows.shape[1:])


def compact(neuron: nn.Module, sent: Tensor) -> Tensor:
    """Spikes that are whole numbers and fit into a byte, in a byte; anything else as it is.

    Example:
        >>> import torch
        >>> from spikesim.converters.lazy import compact
        >>> from spikesim.neurons import IF
        >>> compact(IF(), torch.ones(2)).dtype
        torch.int8
    """
    emits = getattr(neuron, "emits", SpikeType("analog"))
    return sent.to(torch.int8) if emits.is_spike and emits.bits <= 7 and emits.scale == 1.0 else sent


def values_of(node: fx.Node) -> int:
    """Numbers in one sample of what a node gives, as far as its shape is known."""
    return math.prod(node.meta.get("shape") or (1,))
