"""A small multilayer perceptron, spiking and with ReLUs, and the ReLU twin of the small convolutional network.

| layer (hidden h = 256, N-MNIST) | parameters  |         |
|---------------------------------|-------------|---------|
| Linear + LIF (ReLU)             | inputs h + h | 592 128 |
| Linear                          | h c + c     | 2 570   |
| all                             |             | 594 698 |

Usual T: 10. The spiking one is snnTorch's first tutorial network (Eshraghian et al., Proc. IEEE 2023) with an analog
output, whose mean over time is the score. `conv_ann` is :func:`spikesim.models.conv_snn` with ReLUs: equal
parameters, equal names of layers.
"""

from __future__ import annotations

import torch
from torch import nn

from spikesim.errors import ConfigError
from spikesim.models.conv_snn import ConvSNN
from spikesim.neurons import LIF
from spikesim.nn import Mean, Network


def _layers(inputs: int, classes: int, hidden: int, activation: nn.Module) -> nn.Sequential:
    if min(inputs, classes, hidden) < 1:
        raise ConfigError(f"a perceptron needs positive sizes, given {inputs=}, {classes=}, {hidden=}")
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), activation, nn.Linear(hidden, classes))


def mlp(inputs: int = 784, classes: int = 10, hidden: int = 256) -> nn.Sequential:
    """A perceptron with one hidden layer of ReLUs: ``[N, ...]`` with ``inputs`` values to ``[N, classes]``.

    Raises:
        ConfigError: a size is not positive.

    Example:
        >>> mlp(4, 2)(torch.rand(3, 1, 2, 2)).shape
        torch.Size([3, 2])
    """
    return _layers(inputs, classes, hidden, nn.ReLU())


def spiking_mlp(inputs: int = 2 * 34 * 34, classes: int = 10, hidden: int = 256, tau: float = 2.0) -> Network:
    """A perceptron with one hidden layer of LIF neurons: ``[T, N, ...]`` to ``[N, classes]``.

    Args:
        inputs: values of one sample and step.
        classes: outputs.
        hidden: neurons.
        tau: membrane time constant in time steps.

    Raises:
        ConfigError: a size is not positive.

    Example:
        >>> spiking_mlp()(torch.zeros(10, 2, 2, 34, 34)).shape
        torch.Size([2, 10])
    """
    return Network(_layers(inputs, classes, hidden, LIF(tau)), readout=Mean())


def conv_ann(channels: int = 2, classes: int = 10, size: int = 34, width: int = 32) -> nn.Module:
    """The twin of :func:`spikesim.models.conv_snn` with ReLUs: ``[N, channels, size, size]`` to ``[N, classes]``.

    Arguments and errors are those of :class:`spikesim.models.ConvSNN`.

    Example:
        >>> sum(p.numel() for p in conv_ann().parameters())
        66442
    """
    twin = ConvSNN(channels, classes, size, width)
    twin.features = nn.Sequential(*(nn.ReLU() if isinstance(m, LIF) else m for m in twin.features))
    module: nn.Module = twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module
