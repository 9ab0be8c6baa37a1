"""MobileNetV2: depthwise convolutions in inverted residuals (Sandler et al., CVPR 2018)."""

from __future__ import annotations

from torch import Tensor, nn

from spikesim.errors import ConfigError

_PLAN = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks and stride of each stage (table 2 of the paper)."""


def _conv(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outside)]


class InvertedResidual(nn.Module):
    """Widen by a 1 x 1, filter each channel by a 3 x 3, narrow by a 1 x 1 without activation.

    Args:
        inside: channels that come in.
        outside: channels that go out.
        stride: of the 3 x 3; without it and with as many channels the input is added.
        expansion: how many times wider it is inside.

    Shape:
        ``[N, inside, H, W]`` to ``[N, outside, H / stride, W / stride]``.
    """

    def __init__(self, inside: int, outside: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inside * expansion
        widen = [*_conv(inside, middle, 1), nn.ReLU6()] if expansion > 1 else []
        filter_ = [*_conv(middle, middle, 3, stride, groups=middle), nn.ReLU6()]
        self.layers = nn.Sequential(*widen, *filter_, *_conv(middle, outside, 1))
        self.adds = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        """Run the three convolutions."""
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


def mobilenet_v2(classes: int = 10, channels: int = 3, width: float = 1.0, small: bool = True) -> nn.Module:
    """MobileNetV2.

    Args:
        classes: outputs.
        channels: of the input.
        width: factor on all channels.
        small: halve the size three times, for 32 x 32 pixels; False: five times, for 224 x 224.

    Shape:
        ``[N, channels, H, W]`` to ``[N, classes]``.

    Raises:
        ConfigError: a size is not positive.

    Example:
        >>> import torch
        >>> from spikesim.models import mobilenet_v2
        >>> mobilenet_v2(width=0.25).eval()(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    if min(classes, channels) < 1 or not width > 0:
        raise ConfigError(f"mobilenet_v2 needs positive sizes, given {classes=}, {channels=}, {width=}")

    def wide(count: int) -> int:
        return max(4, round(count * width))

    inside = wide(32)
    parts: list[nn.Module] = [*_conv(channels, inside, 3, 1 if small else 2), nn.ReLU6()]
    for stage, (expansion, outside, blocks, stride) in enumerate(_PLAN):
        stride = 1 if small and stage == 1 else stride
        for k in range(blocks):
            parts.append(InvertedResidual(inside, wide(outside), stride if k == 0 else 1, expansion))
            inside = wide(outside)
    last = wide(1280)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(last, classes)]
    return nn.Sequential(*parts, *_conv(inside, last, 1), nn.ReLU6(), *head)
