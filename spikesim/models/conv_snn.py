"""A three-layer convolutional spiking network for small event-camera recordings.

| layer (width w, sensor s)       | output              | parameters       | w=32, s=34, 2 polarities |
|---------------------------------|---------------------|------------------|--------------------------|
| Conv 3x3 + BN + LIF + MaxPool 2 | w, s/2, s/2         | 18w + 2w         | 640                      |
| Conv 3x3 + BN + LIF + MaxPool 2 | 2w, s/4, s/4        | 18w^2 + 4w       | 18 560                   |
| Conv 3x3 + BN + LIF + MaxPool 2 | 2w, s/8, s/8        | 36w^2 + 4w       | 36 992                   |
| Linear, mean over T             | classes             | 2w(s/8)^2 c + c  | 10 250                   |
| all                             |                     |                  | 66 442                   |

Usual T: 10 frames of equal duration or equal event count. The plan (convolution, batch-norm, spikes,
pooling, repeated; one linear layer; mean over time) follows the N-MNIST network of Fang et al.,
"Incorporating Learnable Membrane Time Constant to Enhance Learning of Spiking Neural Networks"
(ICCV 2021, section 5), made narrower so that it trains in minutes on two CPU cores.
"""

from __future__ import annotations

import torch
from torch import nn

from spikesim.errors import ConfigError
from spikesim.neurons import LIF
from spikesim.nn import Mean, Network

_HALVINGS = 3


class ConvSNN(nn.Module):
    """The module inside :func:`conv_snn`: plain torch layers whose activations are LIF neurons.

    Max-pooling stands after the spikes, where it is a logical OR: what leaves it is binary again.

    Args:
        channels: input channels; 2 for the two polarities of an event camera.
        classes: outputs.
        size: height and width of the sensor in pixels, at least 8.
        width: channels of the first convolution; the others have twice as many.
        tau: membrane time constant in time steps.

    Raises:
        ConfigError: a size below 8, or no channel, class or width.

    Shape:
        ``[T*N, channels, size, size]`` to ``[T*N, classes]`` (time is folded into the batch by ``Network``).
    """

    def __init__(self, channels: int = 2, classes: int = 10, size: int = 34, width: int = 32, tau: float = 2.0) -> None:
        super().__init__()
        if size < 2**_HALVINGS:
            raise ConfigError(
                f"conv_snn halves its input {_HALVINGS} times and needs a size of at least "
                f"{2**_HALVINGS} pixels, given {size}"
            )
        if min(channels, classes, width) < 1:
            raise ConfigError(
                f"conv_snn needs positive sizes, given channels={channels}, classes={classes}, width={width}"
            )
        self.features = nn.Sequential(
            *_stage(channels, width, tau), *_stage(width, 2 * width, tau), *_stage(2 * width, 2 * width, tau)
        )
        side = size // 2**_HALVINGS
        self.classifier = nn.Linear(2 * width * side * side, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give one row of class scores per time step and sample."""
        features: torch.Tensor = self.features(x)
        scores: torch.Tensor = self.classifier(features.flatten(1))
        return scores


def _stage(inputs: int, outputs: int, tau: float) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),  # batch-norm brings the bias
        nn.BatchNorm2d(outputs),
        LIF(tau=tau),
        nn.MaxPool2d(2),
    ]


def conv_snn(channels: int = 2, classes: int = 10, size: int = 34, width: int = 32, tau: float = 2.0) -> Network:
    """Build the network: event frames ``[T, N, channels, size, size]`` in, scores ``[N, classes]`` out.

    Weights are in channels-last order, which is the faster one for convolutions on the CPU and on
    tensor cores. Arguments and errors are those of :class:`ConvSNN`.

    Example:
        >>> import torch
        >>> from spikesim.models import conv_snn
        >>> net = conv_snn(width=4)
        >>> net(torch.zeros(3, 2, 2, 34, 34)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in conv_snn().parameters())
        66442
    """
    module = ConvSNN(channels, classes, size, width, tau)
    return Network(module.to(memory_format=torch.channels_last), readout=Mean())  # type: ignore[call-overload]
