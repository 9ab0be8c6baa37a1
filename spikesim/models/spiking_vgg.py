"""VGG with LIF neurons in place of ReLUs, and the VGGSNN of the event-camera literature.

| network (width 1, 2 channels, 10 classes) | convolutions                               | parameters | usual T |
|-------------------------------------------|--------------------------------------------|------------|---------|
| `spiking_vgg` (11), as its twin `vgg(11)` | 64 p 128 p 256 256 p 512 512 p 512 512 p   | 9 753 098  | 4 to 10 |
| `vggsnn`, 48 x 48 pixels                  | 64 128 p 256 256 p 512 512 p 512 512 p     | 9 271 498  | 10      |

Every convolution is 3 x 3 with batch-norm and a LIF neuron; p halves the size. `spiking_vgg` is Simonyan &
Zisserman's plan (ICLR 2015) with max-pools and two hidden linear layers. `vggsnn` is the network of Deng et al.,
"Temporal Efficient Training of Spiking Neural Network via Gradient Re-weighting", ICLR 2022: convolutions with bias,
average pools, one linear layer.
"""

from __future__ import annotations

import torch
from torch import nn

from spikesim.errors import ConfigError
from spikesim.models.vgg import PLANS
from spikesim.neurons import LIF
from spikesim.nn import HeldDropout, Mean, Network

_SNN_PLAN = ((64, 128), (256, 256), (512, 512), (512, 512))


def _wide(channels: int, width: float) -> int:
    return max(1, round(channels * width))


def spiking_vgg(
    layers: int = 11,
    classes: int = 10,
    channels: int = 2,
    width: float = 1.0,
    hidden: int = 512,
    tau: float = 2.0,
    dropout: float = 0.5,
) -> Network:
    """A spiking VGG: frames ``[T, N, channels, H, W]``, 32 pixels or more, to scores ``[N, classes]``.

    Its twin with ReLUs is :func:`spikesim.models.vgg`, whose weights fit.

    Args:
        layers: 11, 16 or 19.
        classes: outputs.
        channels: of the input.
        width: factor on all channels.
        hidden: features of each hidden layer.
        tau: membrane time constant in time steps.
        dropout: probability, held over time.

    Raises:
        ConfigError: there is no such plan, or a size is not positive.

    Example:
        >>> spiking_vgg(11, width=0.125)(torch.zeros(2, 3, 2, 32, 32)).shape
        torch.Size([3, 10])
    """
    if layers not in PLANS:
        raise ConfigError(f"layers is {layers!r}; expected one of {', '.join(map(str, PLANS))}")
    if min(classes, channels, hidden) < 1 or not width > 0:
        raise ConfigError(f"spiking_vgg needs positive sizes, given {classes=}, {channels=}, {width=}, {hidden=}")
    parts: list[nn.Module] = []
    inside = channels
    for count, wanted in PLANS[layers]:
        for _ in range(count):
            parts += [nn.Conv2d(inside, _wide(wanted, width), 3, padding=1, bias=False)]
            parts += [nn.BatchNorm2d(_wide(wanted, width)), LIF(tau)]
            inside = _wide(wanted, width)
        parts.append(nn.MaxPool2d(2))
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, hidden), LIF(tau), HeldDropout(dropout)]
    parts += [nn.Linear(hidden, hidden), LIF(tau), HeldDropout(dropout), nn.Linear(hidden, classes)]
    module = nn.Sequential(*parts).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Network(module, readout=Mean())


def vggsnn(channels: int = 2, classes: int = 10, size: int = 48, width: float = 1.0, tau: float = 2.0) -> Network:
    """The VGGSNN: event frames ``[T, N, channels, size, size]`` to scores ``[N, classes]``.

    Args:
        channels: of the input.
        classes: outputs.
        size: height and width in pixels, at least 16.
        width: factor on all channels.
        tau: membrane time constant in time steps; its leak of 1/2 is tau = 2 with an unscaled input.

    Raises:
        ConfigError: a size is out of range.

    Example:
        >>> sum(p.numel() for p in vggsnn().parameters())
        9271498
    """
    if min(channels, classes) < 1 or not width > 0 or size < 16:
        raise ConfigError(f"vggsnn needs positive sizes, 16 pixels or more, given {channels=}, {classes=}, {size=}")
    parts: list[nn.Module] = []
    inside = channels
    for group in _SNN_PLAN:
        for wanted in group:
            parts += [nn.Conv2d(inside, _wide(wanted, width), 3, padding=1), nn.BatchNorm2d(_wide(wanted, width))]
            parts.append(LIF(tau, scale_input=False, reset="zero"))
            inside = _wide(wanted, width)
        parts.append(nn.AvgPool2d(2))
    side = size // 2 ** len(_SNN_PLAN)
    parts += [nn.Flatten(), nn.Linear(inside * side * side, classes)]
    module = nn.Sequential(*parts).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Network(module, readout=Mean())
