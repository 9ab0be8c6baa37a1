"""VGG with batch-norm (Simonyan & Zisserman, ICLR 2015), for 32 x 32 pixels and larger."""

from __future__ import annotations

from torch import nn

from spikesim.errors import ConfigError

PLANS: dict[int, tuple[tuple[int, int], ...]] = {
    11: ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512)),
    16: ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)),
    19: ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)),
}
"""Convolutions and channels between one max-pool and the next, by the number of layers with weights."""


def vgg(layers: int = 16, classes: int = 10, channels: int = 3, width: float = 1.0, hidden: int = 512) -> nn.Module:
    """Convolutions of 3 x 3 with batch-norm, five max-pools, two hidden layers.

    Args:
        layers: 11, 16 or 19.
        classes: outputs.
        channels: of the input.
        width: factor on all channels.
        hidden: features of each hidden layer; 4096 in the paper.

    Shape:
        ``[N, channels, H, W]`` with H and W of 32 or more, to ``[N, classes]``.

    Raises:
        ConfigError: there is no such plan, or a size is not positive.

    Example:
        >>> import torch
        >>> from spikesim.models import vgg
        >>> vgg(16, width=0.125).eval()(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    if layers not in PLANS:
        raise ConfigError(f"layers is {layers!r}; expected one of {', '.join(map(str, PLANS))}")
    if min(classes, channels, hidden) < 1 or not width > 0:
        raise ConfigError(f"vgg needs positive sizes, given {classes=}, {channels=}, {width=}, {hidden=}")
    parts: list[nn.Module] = []
    inside = channels
    for count, wanted in PLANS[layers]:
        outside = max(1, round(wanted * width))
        for _ in range(count):
            parts += [nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]
            inside = outside
        parts.append(nn.MaxPool2d(2))
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, hidden), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*parts, *head, nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, classes))


def vgg16(classes: int = 10, channels: int = 3, width: float = 1.0) -> nn.Module:
    """:func:`vgg` with 16 layers.

    Example:
        >>> from spikesim.models import vgg16
        >>> sum(p.numel() for p in vgg16().parameters()) // 1000
        15249
    """
    return vgg(16, classes, channels, width)
