"""The functions of transformers that stay analog: what they are, and how the converted graph holds them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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


ELEMENTWISE = (nn.GELU, nn.SiLU)
ANALOG = (nn.LayerNorm, nn.RMSNorm, nn.Softmax, *ELEMENTWISE, MatMul, Product, Attention)
"""Functions that a converted network evaluates on running means."""

STAYS = "stays analog: exact in the mean, on running means; priced as MACs"
