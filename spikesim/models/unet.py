"""U-Net: down, up, and across by concatenation (Ronneberger et al., MICCAI 2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikesim.errors import ConfigError


def _double(inside: int, outside: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for channels in (inside, outside):
        parts += [nn.Conv2d(channels, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]
    return nn.Sequential(*parts)


class UNet(nn.Module):
    """The module that :func:`unet` builds.

    Args:
        classes: channels of the output.
        channels: of the input.
        width: channels of the first level; each deeper level has twice as many.
        depth: how often the size is halved.

    Shape:
        ``[N, channels, H, W]`` with H and W divisible by 2^depth, to ``[N, classes, H, W]``.
    """

    def __init__(self, classes: int, channels: int, width: int, depth: int) -> None:
        super().__init__()
        sizes = [width * 2**k for k in range(depth + 1)]
        self.down = nn.ModuleList(_double(a, b) for a, b in zip([channels, *sizes], sizes[:-1]))
        self.bottom = _double(sizes[-2] if depth else channels, sizes[-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * s, s, 2, stride=2) for s in reversed(sizes[:-1]))
        self.join = nn.ModuleList(_double(2 * s, s) for s in reversed(sizes[:-1]))
        self.pool = nn.AvgPool2d(2)
        self.out = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Give class scores of every pixel, ``[N, classes, H, W]``."""
        kept = []
        for level in self.down:
            x = level(x)
            kept.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for up, join in zip(self.up, self.join):
            x = join(torch.cat([kept.pop(), up(x)], dim=1))
        scores: Tensor = self.out(x)
        return scores


def unet(classes: int = 2, channels: int = 1, width: int = 32, depth: int = 3) -> nn.Module:
    """A U-Net with transposed convolutions, and average pools on the way down.

    Args:
        classes: channels of the output.
        channels: of the input.
        width: channels of the first level.
        depth: how often the size is halved, at least once.

    Shape:
        ``[N, channels, H, W]`` with H and W divisible by 2^depth, to ``[N, classes, H, W]``.

    Raises:
        ConfigError: a size is not positive.

    Example:
        >>> import torch
        >>> from spikesim.models import unet
        >>> unet(width=4, depth=2).eval()(torch.rand(1, 1, 16, 16)).shape
        torch.Size([1, 2, 16, 16])
    """
    if min(classes, channels, width, depth) < 1:
        raise ConfigError(f"unet needs positive sizes, given {classes=}, {channels=}, {width=}, {depth=}")
    return UNet(classes, channels, width, depth)
