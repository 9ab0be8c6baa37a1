"""Modules that move, cut, join, scale or shift values of samples and compute nothing else; the batch comes first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Permute(nn.Module):
    """Axes of a sample in another order.

    Args:
        order: for each axis of the result, which axis of the sample it was, counted from 0 without the batch.

    Example:
        >>> import torch
        >>> from spikesim.converters.movements import Permute
        >>> Permute((1, 0))(torch.zeros(5, 2, 3)).shape
        torch.Size([5, 3, 2])
    """

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        self.order = tuple(order)

    def forward(self, x: Tensor) -> Tensor:
        """Reorder ``x``."""
        return x.permute(0, *(axis + 1 for axis in self.order))


class Part(nn.Module):
    """A stretch of one axis.

    Args:
        axis: of the sample.
        start: first index.
        length: how many.
        step: distance between them.

    Example:
        >>> import torch
        >>> from spikesim.converters.movements import Part
        >>> Part(0, 1, 2)(torch.arange(4.0)[None]).tolist()
        [[1.0, 2.0]]
    """

    def __init__(self, axis: int, start: int, length: int, step: int = 1) -> None:
        super().__init__()
        self.axis, self.start, self.length, self.step = axis, start, length, step

    def forward(self, x: Tensor) -> Tensor:
        """Cut ``x``."""
        if self.step == 1:
            return x.narrow(self.axis + 1, self.start, self.length)
        end = self.start + self.length * self.step
        return x[(slice(None),) * (self.axis + 1) + (slice(self.start, end, self.step),)]


class Reshape(nn.Module):
    """Samples in another shape.

    Args:
        shape: of one sample.

    Example:
        >>> import torch
        >>> from spikesim.converters.movements import Reshape
        >>> Reshape((2, 2))(torch.zeros(3, 4)).shape
        torch.Size([3, 2, 2])
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        """Reshape ``x``."""
        return x.reshape(x.shape[0], *self.shape)


class MeanOver(nn.Module):
    """Mean over axes of a sample.

    Args:
        axes: of the sample.
        keepdim: leave axes of size 1 in their place.

    Example:
        >>> import torch
        >>> from spikesim.converters.movements import MeanOver
        >>> MeanOver((0,))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])).tolist()
        [[2.0, 3.0]]
    """

    def __init__(self, axes: Sequence[int], keepdim: bool = False) -> None:
        super().__init__()
        self.axes, self.keepdim = tuple(axes), keepdim

    def forward(self, x: Tensor) -> Tensor:
        """Average ``x``."""
        return x.mean([axis + 1 for axis in self.axes], keepdim=self.keepdim)


class _Stored(nn.Module):
    """Holds one tensor, of which the shape is enough to build it again."""

    value: Tensor

    def __init__(self, value: Tensor | Sequence[int]) -> None:
        super().__init__()
        value = value.detach().clone() if isinstance(value, Tensor) else torch.zeros(tuple(value))
        self.register_buffer("value", value)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the stored tensor."""
        return tuple(self.value.shape)


class AddConstant(_Stored):
    """``x + value``: position embeddings, masks.

    Args:
        value: has the shape of a sample, or is broadcast to it; or the shape alone, for zeros.

    Example:
        >>> import torch
        >>> from spikesim.converters.movements import AddConstant
        >>> AddConstant(torch.tensor([1.0, 2.0]))(torch.zeros(1, 2)).tolist()
        [[1.0, 2.0]]
    """

    def forward(self, x: Tensor) -> Tensor:
        """Add to each sample."""
        return x + self.value


class ScaleBy(_Stored):
    """``x * value``.

    Args:
        value: as in :class:`AddConstant`.

    Example:
        >>> import torch
        >>> from spikesim.converters.movements import ScaleBy
        >>> ScaleBy(torch.tensor(2.0))(torch.ones(1, 2)).tolist()
        [[2.0, 2.0]]
    """

    def forward(self, x: Tensor) -> Tensor:
        """Scale each sample."""
        return x * self.value


class FillWhere(nn.Module):
    """A number wherever a fixed mask is set: ``x.masked_fill(mask, value)``.

    Args:
        mask: bool, as in :class:`AddConstant`.
        value: the number.

    Example:
        >>> import torch
        >>> from spikesim.converters.movements import FillWhere
        >>> FillWhere(torch.tensor([True, False]), -1.0)(torch.ones(1, 2)).tolist()
        [[-1.0, 1.0]]
    """

    mask: Tensor
    value: Tensor

    def __init__(self, mask: Tensor | Sequence[int], value: float = 0.0) -> None:
        super().__init__()
        mask = mask.detach().clone() if isinstance(mask, Tensor) else torch.zeros(tuple(mask), dtype=torch.bool)
        self.register_buffer("mask", mask)
        self.register_buffer("value", torch.tensor(float(value)))  # a buffer, for JSON has no infinity

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the mask."""
        return tuple(self.mask.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Fill each sample."""
        return torch.where(self.mask, self.value.to(x), x)


class Extend(_Stored):
    """A fixed tensor before or behind each sample: a class token.

    Args:
        value: ``[...]``, the shape of a sample but for one axis.
        axis: of the sample, along which they are joined.
        before: whether the fixed tensor comes first.

    Example:
        >>> import torch
        >>> from spikesim.converters.movements import Extend
        >>> Extend(torch.tensor([9.0]), 0)(torch.zeros(1, 2)).tolist()
        [[9.0, 0.0, 0.0]]
    """

    def __init__(self, value: Tensor | Sequence[int], axis: int, before: bool = True) -> None:
        super().__init__(value)
        self.axis, self.before = axis, before

    def forward(self, x: Tensor) -> Tensor:
        """Join."""
        value = self.value.expand(x.shape[0], *self.value.shape)
        return torch.cat([value, x] if self.before else [x, value], self.axis + 1)


class TokenEmbedding(nn.Module):
    """Rows of a table by number.

    Args:
        table: ``[tokens, features]``, or its two sizes.

    Shape:
        ``[N, L]``, whole numbers of any dtype, to ``[N, L, features]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.movements import TokenEmbedding
        >>> TokenEmbedding(torch.tensor([[1.0], [5.0]]))(torch.tensor([[1, 0, 1]])).flatten().tolist()
        [5.0, 1.0, 5.0]
    """

    weight: Tensor

    def __init__(self, table: Tensor | Sequence[int]) -> None:
        super().__init__()
        table = table.detach().clone() if isinstance(table, Tensor) else torch.zeros(tuple(table))
        self.register_buffer("weight", table)

    @property
    def shape(self) -> tuple[int, ...]:
        """Tokens and features."""
        return tuple(self.weight.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Look up; numbers may come as floats, as inputs of a network do."""
        return F.embedding(x.long(), self.weight)


LINEAR_MOVES = (Permute, Part, Reshape, MeanOver, ScaleBy)
"""Linear maps: the same for a step as for a mean over steps."""

SHIFTS = (AddConstant, FillWhere, Extend)
"""Maps that bring a constant in."""

MOVES = (*LINEAR_MOVES, *SHIFTS, TokenEmbedding)
