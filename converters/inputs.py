"""One input tensor or several: the few things that conversion does to the inputs of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

Inputs: TypeAlias = Tensor | tuple[Tensor, ...] | dict[str, Tensor]
"""What a model takes: a tensor ``[N, ...]``, or several as a tuple or by the names of its arguments."""


def each(function: Callable[[Tensor], Any], x: Any) -> Any:
    """Apply a function to every tensor of a structure; what is no tensor stays.

    Example:
        >>> import torch
        >>> from spikesim.converters.inputs import each
        >>> each(len, {"a": torch.zeros(3, 1), "b": None})
        {'a': 3, 'b': None}
    """
    return pytree.tree_map_only(Tensor, function, x)


def as_given(x: Any, like: Tensor) -> Any:
    """Inputs in the dtype and on the device of ``like``; where that is whole (tokens), fractions stay what they are.

    Example:
        >>> import torch
        >>> from spikesim.converters.inputs import as_given
        >>> mixed = (torch.tensor([3], dtype=torch.int32), torch.rand(1))
        >>> [t.dtype for t in as_given(mixed, torch.zeros(0, dtype=torch.int64))]
        [torch.int64, torch.float32]
    """
    whole = not like.is_floating_point()
    return each(lambda t: t.to(like.device if whole and t.is_floating_point() else like), x)


def tensors_of(x: Any) -> list[Tensor]:
    """The tensors of a structure, in order.

    Example:
        >>> import torch
        >>> from spikesim.converters.inputs import tensors_of
        >>> len(tensors_of((torch.zeros(1), {"b": torch.ones(1)}, None)))
        2
    """
    return [leaf for leaf in pytree.tree_leaves(x) if isinstance(leaf, Tensor)]


def count(x: Any) -> int:
    """Number of samples.

    Example:
        >>> import torch
        >>> from spikesim.converters.inputs import count
        >>> count((torch.zeros(3, 1), torch.zeros(3, 2)))
        3
    """
    return len(tensors_of(x)[0])


def first(x: Any, samples: int) -> Any:
    """The first samples.

    Example:
        >>> import torch
        >>> from spikesim.converters.inputs import count, first
        >>> count(first((torch.zeros(3, 1), torch.zeros(3, 2)), 2))
        2
    """
    return each(lambda t: t[:samples], x)


def pieces(x: Any, rows: int) -> Iterator[Any]:
    """Batches of at most so many samples.

    Example:
        >>> import torch
        >>> from spikesim.converters.inputs import count, pieces
        >>> [count(piece) for piece in pieces(torch.zeros(5, 1), 2)]
        [2, 2, 1]
    """
    for start in range(0, count(x), rows):
        yield each(lambda t, start=start: t[start : start + rows], x)  # type: ignore[misc]


def joined(parts: Sequence[Any], axis: int = 0) -> Any:
    """Structures put together along an axis of their tensors.

    Example:
        >>> import torch
        >>> from spikesim.converters.inputs import joined
        >>> joined([{"a": torch.zeros(2, 1)}, {"a": torch.zeros(3, 1)}])["a"].shape
        torch.Size([5, 1])
    """
    leaves, structure = zip(*(pytree.tree_flatten(part) for part in parts))
    merged = [torch.cat(same, axis) if isinstance(same[0], Tensor) else same[0] for same in zip(*leaves)]
    return pytree.tree_unflatten(merged, structure[0])


def every_step(x: Any, timesteps: int) -> Any:
    """The same input at every step, with time folded into the batch: ``[N, ...] -> [T*N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.inputs import every_step
        >>> every_step(torch.tensor([[1.0], [2.0]]), 2).flatten().tolist()
        [1.0, 2.0, 1.0, 2.0]
    """
    return each(lambda t: t.expand(timesteps, *t.shape).flatten(0, 1), x)


def sample_shapes(x: Any) -> Any:
    """The shape of one sample, in the structure of the inputs.

    Example:
        >>> import torch
        >>> from spikesim.converters.inputs import sample_shapes
        >>> sample_shapes((torch.zeros(3, 1), torch.zeros(3, 2, 4)))
        ((1,), (2, 4))
    """
    return each(lambda t: tuple(t.shape[1:]), x)
