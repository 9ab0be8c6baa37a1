"""Dropout whose mask is drawn once per recording and held over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from spikesim.dynamics import Stateful
from spikesim.errors import ConfigError


class HeldDropout(Stateful):
    """Drop the same neurons at every step of a recording, in training.

    A mask drawn anew at each step would be averaged away by the membrane; held, it removes neurons as dropout does in
    an ANN. Source: Lee et al., "Enabling Spike-Based Backpropagation for Training Deep Neural Network
    Architectures", Frontiers in Neuroscience 2020. What a stream carries is the mask.

    Args:
        p: probability with which a neuron is dropped, 0 to 1; what is left is scaled by 1/(1 - p).
        channels: drop whole channels (axis 1 of a sample row) instead of single neurons.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``; rows inside a Network.

    Raises:
        ConfigError: p is out of range.

    Example:
        >>> y = HeldDropout(0.5)(torch.ones(5, 2, 8))
        >>> bool((y == y[:1]).all()), sorted(set(y.flatten().tolist()))
        (True, [0.0, 2.0])
    """

    static: ClassVar[bool] = True

    def __init__(self, p: float = 0.5, channels: bool = False) -> None:
        super().__init__()
        if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p < 1:
            raise ConfigError(f"HeldDropout: p is {p!r}, but it must be a probability, 0 or more and below 1")
        self.p, self.channels = float(p), channels

    def state_names(self) -> tuple[str, ...]:
        """The mask, in training."""
        return ("kept",) if self.training and self.p else ()

    def run_steps(
        self, x: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Scale or drop."""
        if not self.state_names():
            return x, {}
        like = x.new_empty(x.shape[1:3] if self.channels else x.shape[1:])
        if state is None:
            kept = torch.bernoulli(torch.full_like(like, 1.0 - self.p)) / (1.0 - self.p)
        else:
            kept = self.carried(state, "kept", like)
        return x * kept.reshape(*kept.shape, *[1] * (x.dim() - 1 - kept.dim())), {"kept": kept}

    def extra_repr(self) -> str:
        """The probability in the module's printed form."""
        return f"p={self.p:g}" + (", channels=True" if self.channels else "")
