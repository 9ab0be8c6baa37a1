"""An encoder that shares every number among several neurons."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikesim.dynamics import SpikeType
from spikesim.errors import ConfigError, ShapeError
from spikesim.nn.encoders import positive


class Population(nn.Module):
    """Let several neurons, each with a place it likes best, stand for every number.

    Neuron i of n answers ``exp(-(x - c_i)**2 / (2 s**2))``, with centres spread over the range and beyond and the width
    ``s = (high - low) / (beta (n - 2))`` (Bohte et al., Neurocomputing 48, 2002, section 4.1). Another encoder makes
    spikes of the answers.

    Args:
        neurons: n, at least 3.
        encoder: makes spikes of numbers in [0, 1]: ``Latency(T)`` as published, ``Poisson(T)``, or ``Constant(T)`` for
            the answers themselves.
        low: least input.
        high: largest input; inputs outside are answered by the neurons at the ends.
        beta: how narrow the fields are; 1 to 2 in the paper.

    Shape:
        ``[N, C, ...]`` to ``[T, N, C * n, ...]``; the n neurons of a number lie side by side.

    Raises:
        ConfigError: fewer than three neurons, an empty range, or ``beta`` that is no positive number.
        ShapeError: an input without a channel axis.

    >>> import torch
    >>> from spikesim.nn import Latency
    >>> Population(3, Latency(5))(torch.tensor([[0.5]]))[:, 0].argmax(0)
    tensor([3, 0, 3])
    """

    def __init__(
        self, neurons: int, encoder: nn.Module, *, low: float = 0.0, high: float = 1.0, beta: float = 1.5
    ) -> None:
        super().__init__()
        if isinstance(neurons, bool) or not isinstance(neurons, int) or neurons < 3:
            raise ConfigError(f"Population: neurons is {neurons!r}, but it must be a whole number of at least 3")
        if not low < high:
            raise ConfigError(f"Population: low is {low!r} and high {high!r}, but low must be less than high")
        self.encoder = encoder
        self.low, self.high, self.beta = float(low), float(high), positive("Population: beta", beta)
        self.neurons = neurons
        step = (self.high - self.low) / (neurons - 2)
        self.width = step / self.beta
        centres = self.low + (torch.arange(neurons, dtype=torch.float32) - 0.5) * step
        self.register_buffer("centres", centres, persistent=False)

    @property
    def timesteps(self) -> int:
        """T of the encoder that makes the spikes."""
        timesteps: Any = self.encoder.timesteps
        return int(timesteps)

    @property
    def emits(self) -> SpikeType:
        """The type of the encoder that makes the spikes; "analog" where it makes none."""
        declared = getattr(self.encoder, "emits", None)
        return declared if isinstance(declared, SpikeType) else SpikeType("analog")

    def extra_repr(self) -> str:
        """Constructor arguments in the module's printed form."""
        return f"neurons={self.neurons}, low={self.low:g}, high={self.high:g}, beta={self.beta:g}"

    def forward(self, x: Tensor) -> Tensor:
        """Answer, then make spikes of the answers."""
        if x.dim() < 2:
            raise ShapeError(f"Population: the input has shape {tuple(x.shape)}, but it must be [N, C, ...]")
        centres = self.get_buffer("centres").to(x.dtype).reshape(-1, *[1] * (x.dim() - 2))
        answers = torch.exp(-0.5 * ((x.unsqueeze(2) - centres) / self.width) ** 2).flatten(1, 2)
        spikes: Tensor = self.encoder(answers)
        return spikes
