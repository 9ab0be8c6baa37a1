"""Spiking residual networks: SEW-ResNet and MS-ResNet, with 18 and 34 layers.

| network (width 64, 1000 classes, 3 channels, large stem) | parameters 18 | 34         | T in the paper |
|-----------------------------------------------------------|---------------|------------|----------------|
| `sew_resnet`: as the ResNet, its twin `resnet`            | 11 689 512    | 21 797 672 | 4              |
| `ms_resnet`: one 1 x 1 shortcut more                      | 11 693 736    | 21 801 896 | 6              |

| stage             | channels | blocks, 18 / 34 | size, large stem | small stem |
|-------------------|----------|-----------------|------------------|------------|
| stem              | w        |                 | 1/4 (1/2 for MS) | 1          |
| 1                 | w        | 2 / 3           | 1/4              | 1          |
| 2, 3, 4           | 2w, 4w, 8w | 2, 2, 2 / 4, 6, 3 | halved in each | halved in each |

SEW: Fang et al., "Deep Residual Learning in Spiking Neural Networks", NeurIPS 2021: spikes meet spikes behind each
block (ADD, AND or IAND). MS: Hu et al., "Advancing Spiking Neural Networks Toward Deep Residual Learning", IEEE TNNLS
2024: potentials pass the blocks, and every convolution but the first sees binary spikes.
"""

from __future__ import annotations

import torch
from torch import nn

from spikesim.errors import ConfigError
from spikesim.models.resnet import PLANS
from spikesim.neurons import IF
from spikesim.nn import Mean, MSBlock, Network, SEWBlock, td_batch_norm
from spikesim.nn.residual import Connect, ms_neuron


def _check(name: str, layers: int, classes: int, channels: int, width: int) -> tuple[int, ...]:
    if layers not in PLANS:
        raise ConfigError(f"{name}: layers is {layers!r}; expected one of {', '.join(map(str, PLANS))}")
    if min(classes, channels, width) < 1:
        raise ConfigError(f"{name} needs positive sizes, given {classes=}, {channels=}, {width=}")
    return PLANS[layers]


def _network(parts: list[nn.Module]) -> Network:
    module = nn.Sequential(*parts).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Network(module, readout=Mean())


def sew_resnet(
    layers: int = 18,
    classes: int = 10,
    channels: int = 2,
    width: int = 64,
    connect: Connect = "add",
    small: bool = True,
) -> Network:
    """A SEW-ResNet: frames ``[T, N, channels, H, W]`` to scores ``[N, classes]``.

    Args:
        layers: 18 or 34.
        classes: outputs.
        channels: of the input.
        width: channels of the first stage.
        connect: how the spikes of branch and shortcut meet: "add", "and" or "iand".
        small: a stem that keeps the size, for 32 to 48 pixels; False for the one of 224 x 224, which quarters it.

    Raises:
        ConfigError: there is no such plan or connection, or a size is not positive.

    Example:
        >>> sew_resnet(18, width=4, connect="iand")(torch.zeros(2, 3, 2, 32, 32)).shape
        torch.Size([3, 10])
    """
    blocks = _check("sew_resnet", layers, classes, channels, width)
    kernel, stride = (3, 1) if small else (7, 2)
    parts: list[nn.Module] = [nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)]
    parts += [nn.BatchNorm2d(width), IF(reset="zero", detach_reset=True), *([] if small else [nn.MaxPool2d(3, 2, 1)])]
    inside = width
    for stage, count in enumerate(blocks):
        outside = width * 2**stage
        for k in range(count):
            parts.append(SEWBlock(inside, outside, 2 if stage > 0 and k == 0 else 1, connect))
            inside = outside
    return _network([*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, classes)])


def ms_resnet(
    layers: int = 18,
    classes: int = 10,
    channels: int = 2,
    width: int = 64,
    threshold: float = 0.5,
    small: bool = True,
) -> Network:
    """An MS-ResNet: frames ``[T, N, channels, H, W]`` to scores ``[N, classes]``.

    Args:
        layers: 18 or 34.
        classes: outputs.
        channels: of the input.
        width: channels of the first stage.
        threshold: of all neurons; the norms begin with it.
        small: a stem that keeps the size, for 32 to 48 pixels; False for the one of 224 x 224, which halves it, as does
            the first stage.

    Raises:
        ConfigError: there is no such plan, or a size is not positive.

    Example:
        >>> ms_resnet(18, width=4)(torch.zeros(2, 3, 2, 32, 32)).shape
        torch.Size([3, 10])
    """
    blocks = _check("ms_resnet", layers, classes, channels, width)
    kernel, stride = (3, 1) if small else (7, 2)
    parts: list[nn.Module] = [nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)]
    parts.append(td_batch_norm(width, threshold))
    inside = width
    for stage, count in enumerate(blocks):
        outside = width * 2**stage
        for k in range(count):
            halves = k == 0 and (stage > 0 or not small)
            parts.append(MSBlock(inside, outside, 2 if halves else 1, threshold=threshold))
            inside = outside
    head = [ms_neuron(threshold), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, classes)]
    return _network([*parts, *head])
