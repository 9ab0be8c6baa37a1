"""Residual networks of basic blocks (He et al., CVPR 2016)."""

from __future__ import annotations

from torch import Tensor, nn

from spikesim.errors import ConfigError

PLANS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Blocks of each of the four stages, by the number of layers with weights."""


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with batch-norm, and a shortcut that is added before the last ReLU.

    Args:
        inside: channels that come in.
        outside: channels that go out.
        stride: of the first convolution; with it, or with other channels, the shortcut is a 1 x 1 convolution.

    Shape:
        ``[N, inside, H, W]`` to ``[N, outside, H / stride, W / stride]``.
    """

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions make of ``x`` to its shortcut."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.shortcut(x)
        return self.relu(y)


class ResNet(nn.Module):
    """The module that :func:`resnet` builds.

    Args:
        blocks: of each of the four stages.
        classes: outputs.
        channels: of the input.
        width: channels of the first stage; each later stage has twice as many as the one before.
        small: whether the stem keeps the size, for 32 x 32 pixels; else it quarters it.

    Shape:
        ``[N, channels, H, W]`` to ``[N, classes]``.
    """

    def __init__(self, blocks: tuple[int, ...], classes: int, channels: int, width: int, small: bool) -> None:
        super().__init__()
        kernel, stride = (3, 1) if small else (7, 2)
        stem = [nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        self.stem = nn.Sequential(*stem, *([] if small else [nn.MaxPool2d(3, 2, 1)]))
        parts, inside = [], width
        for stage, count in enumerate(blocks):
            outside = width * 2**stage
            for k in range(count):
                parts.append(BasicBlock(inside, outside, 2 if stage > 0 and k == 0 else 1))
                inside = outside
        self.blocks = nn.Sequential(*parts)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Give class scores ``[N, classes]``."""
        scores: Tensor = self.head(self.blocks(self.stem(x)))
        return scores


def resnet(layers: int = 18, classes: int = 10, channels: int = 3, width: int = 64, small: bool = True) -> nn.Module:
    """A residual network of basic blocks.

    Args:
        layers: 18 or 34.
        classes: outputs.
        channels: of the input.
        width: channels of the first stage.
        small: a stem for 32 x 32 pixels; False for the one of 224 x 224.

    Shape:
        ``[N, channels, H, W]`` to ``[N, classes]``.

    Raises:
        ConfigError: there is no such plan, or a size is not positive.

    Example:
        >>> import torch
        >>> from spikesim.models import resnet
        >>> resnet(18, width=4).eval()(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    if layers not in PLANS:
        raise ConfigError(f"layers is {layers!r}; expected one of {', '.join(map(str, PLANS))}")
    if min(classes, channels, width) < 1:
        raise ConfigError(f"resnet needs positive sizes, given {classes=}, {channels=}, {width=}")
    return ResNet(PLANS[layers], classes, channels, width, small)
