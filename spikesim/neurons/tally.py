"""Integrate-and-fire neurons that count what they have sent, and may take it back."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, SpikeType, State, floor, maximum, minimum
from spikesim.neurons.graded import whole
from spikesim.neurons.spiking import SpikingNeuron


class TallyIF(SpikingNeuron):
    """Integrate-and-fire with several spikes in a step, of either sign, whose tally stays within bounds.

    .. code-block:: text

        u(t) = v(t-1) + x(t)
        s(t) = round(u(t) / threshold), kept between -burst and burst
               and so that low <= tally(t-1) + s(t) <= high
        v(t) = u(t) - threshold s(t)
        tally(t) = tally(t-1) + s(t)

    With ``burst=1`` it is :class:`~spikesim.neurons.STBIF`. With more it is a group of neurons whose thresholds are 1,
    2, ... times a step (Lv et al., 2024), or one of several thresholds in powers of two that sends all of its
    bits at once (H-MT, AAAI 2026), with the corrections that a rate needs when its input comes unevenly. Halves round
    upwards; the potential is counted from half a threshold. The gradient of s is 1/threshold where no bound holds it
    and 0 elsewhere.

    Args:
        threshold: potential per spike; one value, or one per channel.
        burst: most spikes in a step.
        high: largest tally.
        low: smallest tally: 0 after a ReLU.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; the reset is "subtract".

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Raises:
        ConfigError: burst is no whole number of at least 1.

    >>> import torch
    >>> TallyIF(burst=3, high=4)(torch.tensor([[1.7], [9.0], [-6.0], [-9.0]])).flatten()
    tensor([ 2.,  2.,  0., -3.])
    """

    states = {"v": State(), "tally": State()}
    params = {"threshold": Param(1.0, min=1e-6), "high": Param(15.0, min=0.0), "low": Param(0.0, max=0.0)}
    resets = ("subtract",)
    unused = ("surrogate", "strict", "width")

    def __init__(
        self,
        threshold: float | Tensor = 1.0,
        burst: int = 1,
        high: float | Tensor = 15.0,
        low: float | Tensor = 0.0,
        **flags: Any,
    ) -> None:
        self.burst = whole("TallyIF: burst", burst)
        self.emits = SpikeType("signed", bits=self.burst.bit_length())
        super().__init__(threshold=threshold, high=high, low=low, **flags)

    def step(self, x: Any, *, v: Any, tally: Any, threshold: Any, high: Any, low: Any) -> tuple[Any, dict[str, Any]]:
        """Integrate, round within the bounds, subtract."""
        u = v + x
        most = minimum(high - tally, float(self.burst))
        least = maximum(low - tally, -float(self.burst))
        s = self.hush(maximum(minimum(floor(u / threshold + 0.5), most), least))
        return s, {"v": self.reset(u, s, threshold), "tally": tally + s}
