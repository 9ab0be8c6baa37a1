"""What a layer with weights looks like: for conventions that count by formula."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Geometry:
    """Sizes of a convolution or linear layer, per sample and step.

    Args:
        inputs: values that it reads.
        outputs: values that it writes.
        channels_in: channels (or features) of the input.
        channels_out: channels (or features) of the output.
        kernel: spatial size of the kernel; empty for a linear layer.
        stride: as many.

    Example:
        >>> from spikesim.energy.geometry import Geometry
        >>> g = Geometry(75, 32, 3, 8, (3, 3), (2, 2))
        >>> g.area, g.strided_area
        (9, 4)
    """

    inputs: int
    outputs: int
    channels_in: int
    channels_out: int
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()

    @property
    def area(self) -> int:
        """Positions under the kernel."""
        return math.prod(self.kernel)

    @property
    def strided_area(self) -> int:
        """Outputs that an input reaches per channel, borders ignored."""
        return math.prod(-(-k // s) for k, s in zip(self.kernel, self.stride))
