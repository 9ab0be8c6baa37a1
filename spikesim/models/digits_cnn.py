"""A small analog CNN for the 8x8 handwritten digits that ship with scikit-learn.

| layer (width w)                         | output    | parameters        | w=32   |
|-----------------------------------------|-----------|-------------------|--------|
| Conv 3x3 + BN + ReLU                    | w, 8, 8   | 9w + 2w           | 352    |
| residual: Conv 3x3 + BN + ReLU, Conv 3x3 + BN, add, ReLU | w, 8, 8 | 18w^2 + 4w | 18 560 |
| AvgPool 2                               | w, 4, 4   | 0                 | 0      |
| Conv 3x3 + BN + ReLU                    | 2w, 4, 4  | 18w^2 + 4w        | 18 560 |
| AvgPool 2                               | 2w, 2, 2  | 0                 | 0      |
| Linear                                  | classes   | 8w c + c          | 2 570  |
| all                                     |           |                   | 40 042 |

It is the ANN of the demo: batch-norm, a residual addition and pooling are what a converter meets in
practice. The residual block is that of He et al., "Deep Residual Learning for Image Recognition"
(CVPR 2016, figure 2).
"""

from __future__ import annotations

import torch
from torch import nn

from spikesim.errors import ConfigError


class DigitsCNN(nn.Module):
    """The module that :func:`digits_cnn` builds.

    Args:
        classes: outputs.
        width: channels of the first stage; the second has twice as many.

    Raises:
        ConfigError: fewer than one class or channel.

    Shape:
        ``[N, 1, 8, 8]`` with intensities in 0 to 1, to ``[N, classes]``.
    """

    def __init__(self, classes: int = 10, width: int = 32) -> None:
        super().__init__()
        if min(classes, width) < 1:
            raise ConfigError(f"digits_cnn needs positive sizes, given classes={classes}, width={width}")
        self.stem = nn.Sequential(*_conv_bn(1, width), nn.ReLU())
        self.residual = nn.Sequential(*_conv_bn(width, width), nn.ReLU(), *_conv_bn(width, width))
        self.relu = nn.ReLU()
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Sequential(*_conv_bn(width, 2 * width), nn.ReLU(), nn.AvgPool2d(2))
        self.classifier = nn.Linear(2 * width * 2 * 2, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give class scores ``[N, classes]``."""
        x = self.stem(x)
        x = self.relu(self.residual(x) + x)
        x = self.head(self.pool(x))
        scores: torch.Tensor = self.classifier(x.flatten(1))
        return scores


def _conv_bn(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),  # batch-norm brings the bias
        nn.BatchNorm2d(outputs),
    ]


def digits_cnn(classes: int = 10, width: int = 32) -> DigitsCNN:
    """Build the network; arguments, shapes and errors are those of :class:`DigitsCNN`.

    Example:
        >>> import torch
        >>> from spikesim.models import digits_cnn
        >>> digits_cnn()(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in digits_cnn().parameters())
        40042
    """
    return DigitsCNN(classes, width).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
