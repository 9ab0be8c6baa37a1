"""A small language model: a decoder with causal attention (Radford et al., 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikesim.errors import ConfigError
from spikesim.models.attention import Block


class Decoder(nn.Module):
    """Embedded tokens, learnt positions, causal pre-norm blocks, and scores for the next token at each place.

    Args:
        tokens: in the vocabulary.
        length: largest number of tokens in a sample.
        features: of a token.
        depth: blocks.
        heads: of each attention.

    Shape:
        ``[N, L]``, whole numbers, to ``[N, L, tokens]``.

    Raises:
        ConfigError: a size is not positive, or the heads do not divide the features.

    Example:
        >>> import torch
        >>> from spikesim.models.decoder import Decoder
        >>> Decoder(tokens=9, length=6, features=8, depth=1, heads=2)(torch.tensor([[1, 4, 8]])).shape
        torch.Size([1, 3, 9])
    """

    def __init__(
        self, tokens: int = 256, length: int = 64, features: int = 128, depth: int = 4, heads: int = 4
    ) -> None:
        super().__init__()
        if min(tokens, length, depth) < 1:
            raise ConfigError(f"decoder needs positive sizes, given {tokens=}, {length=}, {depth=}")
        self.embedding, self.positions = nn.Embedding(tokens, features), nn.Embedding(length, features)
        self.blocks = nn.Sequential(*(Block(features, heads, causal=True) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(features), nn.Linear(features, tokens, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the next token."""
        places = torch.arange(x.shape[1], device=x.device)
        hidden = self.embedding(x) + self.positions(places)
        scores: Tensor = self.head(self.norm(self.blocks(hidden)))
        return scores


def decoder(tokens: int = 256, length: int = 64, features: int = 128, depth: int = 4, heads: int = 4) -> nn.Module:
    """A decoder, see :class:`Decoder`.

    Example:
        >>> from spikesim.models import decoder
        >>> len(decoder(depth=2).blocks)
        2
    """
    return Decoder(tokens, length, features, depth, heads)
