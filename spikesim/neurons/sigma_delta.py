"""Sigma-delta neuron: it sends the changes of an activation."""

from __future__ import annotations

import math
from typing import Any

from spikesim.dynamics import Neuron, Param, SpikeType, State, clip, rounded, where
from spikesim.errors import ConfigError


class SigmaDelta(Neuron):
    """Sigma-delta neuron: sums the changes it receives, applies a ReLU, and sends the change of that.

    .. code-block:: text

        sigma(t) = sigma(t-1) + x(t)                              (accumulate=True)
        y(t)     = max(0, sigma(t))                               (rectify=True)
        k(t)     = round((y(t) - sent(t-1)) / threshold), within +-(2^bits - 1)
        sent(t)  = sent(t-1) + threshold k(t)
        emits threshold k(t)

    What it has sent never differs from y by more than half a threshold, once within the range. A static activation
    costs nothing. Source: O'Connor & Welling, Sigma delta quantized networks, ICLR 2017. Unlike Lava's, which
    sends an exact change once it reaches the threshold, it sends whole multiples. The gradient passes the rounding
    unchanged.

    Args:
        threshold: step of the quantisation, one positive number.
        bits: width of a message, sign aside; larger changes follow in later steps.
        accumulate: False for inputs that are values, not changes: an encoder.
        rectify: whether the activation is a ReLU, else the sum itself.
        **flags: ``initial``, see :class:`spikesim.dynamics.Neuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Raises:
        ConfigError: a threshold that is not positive or to be learnt, or bits not from 1 to 16.

    >>> import torch
    >>> values = torch.tensor([[0.52], [0.55], [0.90], [-0.30]])
    >>> SigmaDelta(0.25, accumulate=False)(values).flatten()
    tensor([ 0.5000,  0.0000,  0.5000, -1.0000])
    """

    states = {"sigma": State(), "sent": State()}
    params = {"threshold": Param(0.1)}

    def __init__(
        self, threshold: float = 0.1, bits: int = 8, *, accumulate: bool = True, rectify: bool = True, **flags: Any
    ) -> None:
        number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
        if not number or not (math.isfinite(threshold) and threshold > 0):
            raise ConfigError(f"SigmaDelta: threshold is {threshold!r}, but it must be one positive number")
        if not isinstance(bits, int) or isinstance(bits, bool) or not 1 <= bits <= 16:
            raise ConfigError(f"SigmaDelta: bits is {bits!r}, but it must be a whole number from 1 to 16")
        self.bits = bits
        self.accumulate = accumulate
        self.rectify = rectify
        self.emits = SpikeType("signed", bits=bits, scale=float(threshold))
        if "learnable" in flags:
            raise ConfigError("SigmaDelta: its threshold is the scale of what it emits and cannot be learnt")
        super().__init__(threshold=float(threshold), **flags)

    def step(self, x: Any, *, sigma: Any, sent: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Sum up, rectify, send the change."""
        sigma = sigma + x if self.accumulate else x
        # Not maximum(sigma, 0), whose gradient at 0 is one half: a ReLU's is zero there.
        y = where(sigma > 0.0, sigma, 0.0) if self.rectify else sigma
        most = 2.0**self.bits - 1.0
        change = threshold * clip(rounded((y - sent) / threshold), -most, most)
        return change, {"sigma": sigma, "sent": sent + change}

    def extra_repr(self) -> str:
        """Its settings."""
        return f"{super().extra_repr()}, bits={self.bits}, accumulate={self.accumulate}, rectify={self.rectify}"
