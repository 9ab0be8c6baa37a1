"""The PLIF networks: plain convolutions and neurons that learn their time constant.

| layer (width w = 128)                     | N-MNIST (34)   | CIFAR10-DVS (128) | DVS128 Gesture (128) |
|-------------------------------------------|----------------|-------------------|----------------------|
| Conv 3x3 + BN + PLIF + MaxPool 2, first   | 18w + 2w + 1   | the same          | the same             |
| the same, w to w channels                 | 1 of them      | 3                 | 4                    |
| HeldDropout 0.5, Linear + PLIF            | 8192 to 2048   | 8192 to 512       | 2048 to 512          |
| HeldDropout 0.5, Linear + PLIF, votes     | 2048 to 100    | 512 to 100        | 512 to 110           |
| parameters                                | 17 132 292     | 4 691 206         | 1 698 311            |
| T                                         | 10             | 20                | 20                   |

Linear layers and convolutions have no bias. Ten neurons vote for each class; the readout is the mean over time. Source:
Fang et al., "Incorporating Learnable Membrane Time Constant to Enhance Learning of Spiking Neural Networks", ICCV 2021,
and its code, which differ in the first linear layer of CIFAR10-DVS: 512 features in the paper, here and in
SpikingJelly, 2048 in the code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikesim.errors import ConfigError
from spikesim.neurons import PLIF
from spikesim.nn import HeldDropout, Mean, Network

VOTES = 10


class Vote(nn.Module):
    """The mean of neighbouring outputs: several neurons speak for one class.

    Args:
        voters: per class.

    Shape:
        ``[rows, classes * voters] -> [rows, classes]``.

    Example:
        >>> Vote(2)(torch.tensor([[1.0, 0.0, 1.0, 1.0]]))
        tensor([[0.5000, 1.0000]])
    """

    def __init__(self, voters: int = VOTES) -> None:
        super().__init__()
        self.voters = voters

    def forward(self, x: Tensor) -> Tensor:
        """Average."""
        return x.reshape(x.shape[0], -1, self.voters).mean(2)


def _neuron(tau: float) -> PLIF:
    return PLIF(tau, reset="zero", detach_reset=True)


def plif_net(
    stages: int,
    hidden: int,
    classes: int = 10,
    channels: int = 2,
    size: int = 128,
    width: int = 128,
    tau: float = 2.0,
    dropout: float = 0.5,
) -> Network:
    """A PLIF network of any size: event frames ``[T, N, channels, size, size]`` in, scores ``[N, classes]`` out.

    Args:
        stages: convolutions, each followed by a max-pool of 2.
        hidden: features of the hidden linear layer.
        classes: outputs.
        channels: of the input.
        size: height and width in pixels, at least 2^stages.
        width: channels of every convolution.
        tau: initial time constant in time steps, above 1.
        dropout: probability, held over time.

    Raises:
        ConfigError: a size is not positive, or too small for the pools.

    Example:
        >>> plif_net(2, 16, size=8, width=4)(torch.zeros(3, 2, 2, 8, 8)).shape
        torch.Size([2, 10])
    """
    if min(stages, hidden, classes, channels, width) < 1 or size < 2**stages:
        raise ConfigError(
            f"plif_net needs positive sizes and at least {2**stages} pixels for {stages} max-pools, given {hidden=}, "
            f"{classes=}, {channels=}, {size=}, {width=}"
        )
    layers: list[nn.Module] = []
    for k in range(stages):
        layers += [nn.Conv2d(channels if k == 0 else width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
        layers += [_neuron(tau), nn.MaxPool2d(2)]
    side = size // 2**stages
    layers += [nn.Flatten(), HeldDropout(dropout), nn.Linear(width * side * side, hidden, bias=False), _neuron(tau)]
    layers += [HeldDropout(dropout), nn.Linear(hidden, classes * VOTES, bias=False), _neuron(tau), Vote()]
    module = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Network(module, readout=Mean())


def plif_nmnist(
    channels: int = 2, classes: int = 10, size: int = 34, width: int = 128, tau: float = 2.0, dropout: float = 0.5
) -> Network:
    """The network for N-MNIST; arguments, shapes and errors are those of :func:`plif_net`.

    Example:
        >>> sum(p.numel() for p in plif_nmnist().parameters())
        17132292
    """
    return plif_net(2, 16 * width, classes, channels, size, width, tau, dropout)


def plif_cifar10dvs(
    channels: int = 2, classes: int = 10, size: int = 128, width: int = 128, tau: float = 2.0, dropout: float = 0.5
) -> Network:
    """The network for CIFAR10-DVS; arguments, shapes and errors are those of :func:`plif_net`.

    Example:
        >>> sum(p.numel() for p in plif_cifar10dvs().parameters())
        4691206
    """
    return plif_net(4, 4 * width, classes, channels, size, width, tau, dropout)


def plif_gesture(
    channels: int = 2, classes: int = 11, size: int = 128, width: int = 128, tau: float = 2.0, dropout: float = 0.5
) -> Network:
    """The network for DVS128 Gesture; arguments, shapes and errors are those of :func:`plif_net`.

    Example:
        >>> sum(p.numel() for p in plif_gesture().parameters())
        1698311
    """
    return plif_net(5, 4 * width, classes, channels, size, width, tau, dropout)
