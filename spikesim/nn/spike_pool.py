"""Max-pooling that lets the busiest neuron of a window speak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from spikesim.dynamics import Stateful
from spikesim.errors import ConfigError, ShapeError


class SpikeMaxPool2d(Stateful):
    """Pass on the spikes of the neuron that has fired most so far in each window.

    ``nn.MaxPool2d`` on binary spikes is a logical OR, cheaper and fused with the neuron; it fires more often than any
    neuron of its window. This one fires as the busiest does, so that its rate is the maximum of the rates, which is
    what an ANN's max-pool computes. Source: Rueckauer et al., "Conversion of Continuous-Valued Deep Networks to
    Efficient Event-Driven Networks for Image Classification", Frontiers in Neuroscience 2017. The gradient goes to
    the neuron that spoke.

    Args:
        kernel_size: height and width of the windows.
        stride: between windows; kernel_size if None.

    Shape:
        ``[T, N, C, H, W] -> [T, N, C, H', W']``; rows inside a Network.

    Raises:
        ConfigError: a size is out of range.
        ShapeError: the input is no image.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).reshape(3, 1, 1, 1, 2)
        >>> x = torch.cat([x, torch.zeros_like(x)], dim=3)
        >>> SpikeMaxPool2d(2)(x).flatten()  # OR would fire three times
        tensor([1., 1., 0.])
    """

    static: ClassVar[bool] = True

    def __init__(self, kernel_size: int, stride: int | None = None) -> None:
        super().__init__()
        stride = kernel_size if stride is None else stride
        for name, size in (("kernel_size", kernel_size), ("stride", stride)):
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise ConfigError(f"SpikeMaxPool2d: {name} is {size!r}, but it must be a whole number of at least 1")
        self.kernel_size, self.stride = kernel_size, stride

    def state_names(self) -> tuple[str, ...]:
        """Spikes so far."""
        return ("count",)

    def run_steps(
        self, x: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Count, choose, pass on."""
        if x.dim() != 5:
            raise ShapeError(f"{self._label()} takes [T, N, C, H, W], but received {tuple(x.shape)} (with time apart)")
        before = self.carried(state, "count", x[0], torch.float32 if x.dtype.itemsize < 4 else x.dtype)
        spikes = x.detach().to(before.dtype)
        if mask is not None:
            spikes = spikes * mask.reshape(*mask.shape, 1, 1, 1)
        counts = before + spikes.cumsum(0)
        rows = counts.flatten(0, 1)
        _, busiest = functional.max_pool2d(rows, self.kernel_size, self.stride, return_indices=True)
        out = x.flatten(0, 1).flatten(2).gather(2, busiest.flatten(2)).reshape(busiest.shape)
        return out.reshape(*x.shape[:2], *out.shape[1:]), {"count": counts[-1]}

    def extra_repr(self) -> str:
        """Sizes in the module's printed form."""
        return f"{self.kernel_size}, stride={self.stride}"
