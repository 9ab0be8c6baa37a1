"""A Spikformer-like transformer: spikes as patches, attention without softmax.

| part (features D, size s)                                   | output             | D=256, depth 2, 2 channels |
|-------------------------------------------------------------|--------------------|----------------------------|
| 4 x (Conv 3x3 + BN + LIF + MaxPool 3/2): D/8, D/4, D/2, D   | D, s/16, s/16      | 388 608 parameters         |
| Conv 3x3 + BN + LIF, added (position)                       | D, s/16, s/16      | 590 336                    |
| depth x (x + attention(x), x + MLP(x)), MLP with 4 D hidden | D, (s/16)^2 tokens | 2 x 792 576                |
| mean over tokens, Linear                                    | classes            | 2 570                      |
| all                                                         |                    | 2 566 666                  |

T is 16 for CIFAR10-DVS and DVS128 Gesture (128 x 128). Source: Zhou et al., "Spikformer: When Spiking Neural Network
Meets Transformer", ICLR 2023 (Spikformer-2-256, 2.57 M parameters there).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from spikesim.errors import ConfigError
from spikesim.neurons import LIF
from spikesim.nn import Mean, Network, SpikingSelfAttention


def _neuron() -> LIF:
    return LIF(2.0, reset="zero", detach_reset=True)


def _image(inside: int, outside: int) -> list[nn.Module]:
    return [nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), _neuron()]


def _tokens(inside: int, outside: int) -> list[nn.Module]:
    return [nn.Conv1d(inside, outside, 1), nn.BatchNorm1d(outside), _neuron()]


class Block(nn.Module):
    """Attention and MLP, each with a residual connection: ``[T*N, features, tokens]``."""

    def __init__(self, features: int, heads: int, ratio: int, scale: float) -> None:
        super().__init__()
        self.attention = SpikingSelfAttention(features, heads, scale)
        self.mlp = nn.Sequential(*_tokens(features, ratio * features), *_tokens(ratio * features, features))

    def forward(self, x: Tensor) -> Tensor:
        """Add what each of the two makes."""
        x = x + self.attention(x)
        y: Tensor = x + self.mlp(x)
        return y


class Spikformer(nn.Module):
    """The module inside :func:`spikformer`.

    Args:
        channels: of the input.
        classes: outputs.
        features: D, divisible by 8 and by heads.
        depth: blocks.
        heads: of the attention.
        ratio: hidden features of the MLP, in D.
        scale: of the attention.

    Shape:
        ``[T*N, channels, H, W]``, 16 pixels or more, to ``[T*N, classes]``.
    """

    def __init__(
        self, channels: int, classes: int, features: int, depth: int, heads: int, ratio: int, scale: float
    ) -> None:
        super().__init__()
        sizes = [channels, features // 8, features // 4, features // 2, features]
        stem: list[nn.Module] = []
        for inside, outside in pairwise(sizes):
            stem += [*_image(inside, outside), nn.MaxPool2d(3, 2, 1)]
        self.stem = nn.Sequential(*stem)
        self.position = nn.Sequential(*_image(features, features))
        self.blocks = nn.Sequential(*(Block(features, heads, ratio, scale) for _ in range(depth)))
        self.head = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Give one row of class scores per time step and sample."""
        x = self.stem(x)
        x = (x + self.position(x)).flatten(2)
        scores: Tensor = self.head(self.blocks(x).mean(2))
        return scores


def spikformer(
    channels: int = 2,
    classes: int = 10,
    features: int = 256,
    depth: int = 2,
    heads: int = 16,
    ratio: int = 4,
    scale: float = 0.25,
) -> Network:
    """A Spikformer: frames ``[T, N, channels, H, W]``, 16 pixels or more, to scores ``[N, classes]``.

    Arguments are those of :class:`Spikformer`.

    Raises:
        ConfigError: a size is out of range.

    Example:
        >>> spikformer(features=16, heads=2, depth=1)(torch.zeros(2, 3, 2, 32, 32)).shape
        torch.Size([3, 10])
        >>> sum(p.numel() for p in spikformer().parameters())
        2566666
    """
    if min(channels, classes, features, depth, ratio) < 1 or features % 8:
        raise ConfigError(
            f"spikformer needs positive sizes and features divisible by 8, given {channels=}, {classes=}, {features=}, "
            f"{depth=}, {ratio=}"
        )
    module = Spikformer(channels, classes, features, depth, heads, ratio, scale)
    return Network(module.to(memory_format=torch.channels_last), readout=Mean())  # type: ignore[call-overload]
