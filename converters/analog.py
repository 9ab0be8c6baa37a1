"""What stays analog: the functions of transformers, and what the user names; how the converted graph holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import _pytree as pytree


class MatMul(nn.Module):
    """The matrix product of two activations.

    Shape:
        ``[N, ..., L, K]`` and ``[N, ..., K, M]`` to ``[N, ..., L, M]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.analog import MatMul
        >>> MatMul()(torch.ones(1, 2, 3), torch.ones(1, 3, 4)).shape
        torch.Size([1, 2, 4])
    """

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Multiply."""
        return a @ b


class Product(nn.Module):
    """The product of two activations, element by element, as in gated units.

    Example:
        >>> import torch
        >>> from spikesim.converters.analog import Product
        >>> Product()(torch.tensor([[2.0]]), torch.tensor([[3.0]])).item()
        6.0
    """

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Multiply."""
        return a * b


class Attention(nn.Module):
    """``softmax(scale q k^T + mask) v``.

    Args:
        scale: None for one over the square root of the features.
        causal: whether a position sees only itself and those before it.
        mask: what is added to the scores, ``[..., L, S]``, its shape alone, or None.

    Shape:
        ``[N, ..., L, E]``, ``[N, ..., S, E]`` and ``[N, ..., S, V]`` to ``[N, ..., L, V]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.analog import Attention
        >>> Attention(causal=True)(torch.zeros(1, 2, 1), torch.zeros(1, 2, 1), torch.tensor([[[1.0], [3.0]]])).tolist()
        [[[1.0], [2.0]]]
    """

    mask: Tensor | None

    def __init__(
        self, scale: float | None = None, causal: bool = False, mask: Tensor | Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.scale, self.causal = scale, causal
        if mask is not None and not isinstance(mask, Tensor):
            mask = torch.zeros(tuple(mask))
        self.register_buffer("mask", mask)

    @property
    def mask_shape(self) -> tuple[int, ...] | None:
        """Of the mask."""
        return None if self.mask is None else tuple(self.mask.shape)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend."""
        return F.scaled_dot_product_attention(q, k, v, self.mask, is_causal=self.causal, scale=self.scale)


@dataclass(frozen=True)
class Slot:
    """The place of a tensor among the arguments of an operation."""

    place: int


class Kept(nn.Module):
    """One operation of the ANN as it was written, on tensors ``[N, ...]``.

    Args:
        operation: A module, a function, or the name of a method of tensors.
        args: Its arguments, with a :class:`Slot` for each tensor: those that depend on the input first, then
            ``constants``.
        kwargs: The same by name.
        constants: Tensors that do not depend on the input.
        writes: Whether it overwrites its first tensor.

    Example:
        >>> import torch
        >>> from spikesim.converters.analog import Kept, Slot
        >>> Kept(torch.add, (Slot(0), Slot(1)), constants=[torch.tensor(2.0)])(torch.tensor([[1.0]])).item()
        3.0
    """

    def __init__(
        self,
        operation: Any,
        args: Sequence[Any],
        kwargs: dict[str, Any] | None = None,
        constants: Sequence[Tensor] = (),
        writes: bool = False,
    ) -> None:
        super().__init__()
        self.operation, self.writes = operation, writes
        self.arguments: tuple[tuple[Any, ...], dict[str, Any]] = tuple(args), dict(kwargs or {})
        self.constants = len(constants)
        for place, constant in enumerate(constants):
            self.register_buffer(f"constant_{place}", constant)

    def extra_repr(self) -> str:
        """What it does."""
        return self.label

    @property
    def label(self) -> str:
        """The operation by the name that a user knows."""
        if isinstance(self.operation, nn.Module):
            return type(self.operation).__name__
        return str(getattr(self.operation, "__name__", self.operation)).strip("_")

    def forward(self, *live: Tensor) -> Tensor:
        """Apply the operation."""
        tensors = [*live, *(getattr(self, f"constant_{place}") for place in range(self.constants))]
        if self.writes:
            tensors[0] = tensors[0].clone()
        args, kwargs = pytree.tree_map_only(Slot, lambda slot: tensors[slot.place], self.arguments)
        result: Tensor
        if isinstance(self.operation, str):
            result = getattr(args[0], self.operation)(*args[1:], **kwargs)
        else:
            result = self.operation(*args, **kwargs)
        return result


ELEMENTWISE = (nn.GELU, nn.SiLU)
ANALOG = (nn.LayerNorm, nn.RMSNorm, nn.Softmax, *ELEMENTWISE, MatMul, Product, Attention, Kept)
"""Functions that a converted network evaluates on running means."""

STAYS = "stays analog: exact in the mean, on running means; its arithmetic is priced, and what has no price is listed"
