"""Vision transformer (Dosovitskiy et al., ICLR 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikesim.errors import ConfigError
from spikesim.models.attention import Block


class VisionTransformer(nn.Module):
    """Patches as tokens, a class token before them, pre-norm blocks, and a linear layer on the class token.

    Args:
        classes: outputs.
        channels: of the input.
        size: of the input, a multiple of ``patch``.
        patch: pixels along a side of a patch.
        features: of a token.
        depth: blocks.
        heads: of each attention.

    Shape:
        ``[N, channels, size, size]`` to ``[N, classes]``.

    Raises:
        ConfigError: sizes do not fit.

    Example:
        >>> import torch
        >>> from spikesim.models.vit import VisionTransformer
        >>> VisionTransformer(size=8, features=16, depth=1, heads=2)(torch.rand(2, 3, 8, 8)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        classes: int = 10,
        channels: int = 3,
        size: int = 32,
        patch: int = 4,
        features: int = 192,
        depth: int = 12,
        heads: int = 3,
    ) -> None:
        super().__init__()
        if min(classes, channels, size, patch, depth) < 1 or size % patch:
            raise ConfigError(
                f"vit needs positive sizes and whole patches, given {classes=}, {size=}, {patch=}, {depth=}"
            )
        self.patches = nn.Conv2d(channels, features, patch, patch)
        self.class_token = nn.Parameter(torch.randn(1, 1, features) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, features) * 0.02)
        self.blocks = nn.Sequential(*(Block(features, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(features), nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(x.shape[0], -1, -1), tokens], dim=1) + self.positions
        scores: Tensor = self.head(self.norm(self.blocks(tokens))[:, 0])
        return scores


def vit(
    classes: int = 10, channels: int = 3, size: int = 32, patch: int = 4, width: float = 1.0, depth: int = 12
) -> nn.Module:
    """ViT-tiny: 192 features, 3 heads, 12 blocks (Touvron et al., ICML 2021), for small pictures.

    Args:
        classes: outputs.
        channels: of the input.
        size: of the input.
        patch: pixels along a side of a patch.
        width: factor on the 64 features of each head.
        depth: blocks.

    Shape:
        ``[N, channels, size, size]`` to ``[N, classes]``.

    Raises:
        ConfigError: sizes do not fit.

    Example:
        >>> import torch
        >>> from spikesim.models import vit
        >>> vit(width=0.125, depth=2).eval()(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    return VisionTransformer(classes, channels, size, patch, 3 * max(1, round(64 * width)), depth, heads=3)
