"""The block that transformers are made of: attention and two layers of each token, each added to what it reads."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from spikesim.errors import ConfigError


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al., NeurIPS 2017).

    Args:
        features: of a token.
        heads: a divisor of ``features``.
        causal: whether a token sees only itself and those before it.

    Shape:
        ``[N, L, features]`` to the same.

    Raises:
        ConfigError: ``heads`` does not divide ``features``.

    Example:
        >>> import torch
        >>> from spikesim.models.attention import Attention
        >>> Attention(8, 2)(torch.rand(1, 5, 8)).shape
        torch.Size([1, 5, 8])
    """

    def __init__(self, features: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        if features < 1 or heads < 1 or features % heads:
            raise ConfigError(f"{heads} heads do not divide {features} features; choose a divisor")
        self.heads, self.causal = heads, causal
        self.qkv, self.project = nn.Linear(features, 3 * features), nn.Linear(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        rows, length, features = x.shape
        qkv = self.qkv(x).reshape(rows, length, 3, self.heads, features // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        projected: Tensor = self.project(y.transpose(1, 2).reshape(rows, length, features))
        return projected


class Block(nn.Module):
    """Pre-norm transformer block (Xiong et al., ICML 2020): ``x + attention(norm(x))``, then ``x + layers(norm(x))``.

    Args:
        features: of a token.
        heads: of the attention.
        expansion: how many times wider the two layers are between them.
        causal: see :class:`Attention`.

    Shape:
        ``[N, L, features]`` to the same.

    Example:
        >>> import torch
        >>> from spikesim.models.attention import Block
        >>> Block(8, 2)(torch.rand(1, 5, 8)).shape
        torch.Size([1, 5, 8])
    """

    def __init__(self, features: int, heads: int, expansion: int = 4, causal: bool = False) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(features), Attention(features, heads, causal)
        self.norm2 = nn.LayerNorm(features)
        wide = features * expansion
        self.layers = nn.Sequential(nn.Linear(features, wide), nn.GELU(), nn.Linear(wide, features))

    def forward(self, x: Tensor) -> Tensor:
        """Attend, then transform each token."""
        x = x + self.attention(self.norm1(x))
        y: Tensor = x + self.layers(self.norm2(x))
        return y
