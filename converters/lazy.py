"""Currents that are computed for some samples at a time, whenever they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, fx
from torch.utils import _pytree as pytree

from spikesim.converters.rows import Rows, unfolded


class Lazy(Rows):
    """What some operation makes of other rows, never held as a whole.

    What the operation's weights are when it is asked decides what it gives.

    Args:
        call: Takes ``given`` for some samples at all steps, time folded into the batch.
        given: Tensors and other rows, in any structure; tensors of another length stay as they are.
        steps: T.
        values: Numbers in one row of the result.

    Example:
        >>> import torch
        >>> from spikesim.converters.lazy import Lazy
        >>> spikes = torch.ones(6, 2)  # two steps of three samples
        >>> doubled = Lazy(lambda x: 2 * x, spikes, steps=2, values=2)
        >>> doubled.of(slice(0, 2)).shape, doubled.whole().sum()
        (torch.Size([2, 2, 2]), tensor(24.))
    """

    def __init__(self, call: Callable[[Any], Tensor], given: Any, steps: int, values: int) -> None:
        self.call, self.given, self.steps = call, given, steps
        leaves = [leaf for leaf in pytree.tree_leaves(given) if isinstance(leaf, (Tensor, Rows))]
        sizes = [leaf.samples * steps if isinstance(leaf, Rows) else len(leaf) if leaf.dim() else 0 for leaf in leaves]
        self.samples = max(sizes, default=0) // steps
        beneath = [leaf.values if isinstance(leaf, Rows) else math.prod(leaf.shape[1:]) for leaf in leaves]
        self.values = max([values, *beneath])

    def of(self, some: slice) -> Tensor:
        """Some samples at all steps, ``[T, n, ...]``."""

        def cut(leaf: Any) -> Any:
            if isinstance(leaf, Rows):
                return leaf.of(some).flatten(0, 1)
            if not isinstance(leaf, Tensor) or not leaf.dim() or len(leaf) != self.samples * self.steps:
                return leaf
            return unfolded(leaf, self.steps)[:, some].flatten(0, 1)

        return unfolded(self.call(pytree.tree_map(cut, self.given)), self.steps)


def values_of(node: fx.Node) -> int:
    """Numbers in one sample of what a node gives, as far as its shape is known."""
    return math.prod(node.meta.get("shape") or (1,))
