"""Neurons that emit whole numbers: integer LIF, bursts, and several thresholds."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, SpikeType, State, clip, floor, rounded
from spikesim.errors import ConfigError
from spikesim.neurons.charge import leaky_charge
from spikesim.neurons.spiking import SpikingNeuron


class ILIF(SpikingNeuron):
    """Integer leaky integrate-and-fire (I-LIF): it emits how many thresholds its potential holds.

    .. code-block:: text

        u(t) = v(t-1) - v(t-1)/tau + x(t)
        s(t) = round(clip(u(t) / threshold, 0, levels))
        v(t) = u(t) - threshold s(t)

    The gradient of s is 1/threshold where u lies between 0 and ``levels`` thresholds and 0 elsewhere. Trained so, a
    layer can be run with up to ``levels`` binary spikes in place of one integer. Source: Luo et al., ECCV 2024
    (SpikeYOLO, arXiv:2407.20708), whose decay of 0.25 is the default tau.

    Args:
        tau: membrane time constant in time steps, at least 1; the leak is ``1 - 1/tau`` per step.
        threshold: potential per unit that is emitted.
        levels: largest number that it emits.
        scale_input: whether the input is scaled by 1/tau.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; the reset is "subtract" or "none".

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Raises:
        ConfigError: levels is no whole number of at least 1.

    >>> import torch
    >>> ILIF()(torch.tensor([[0.4], [1.6], [9.0], [-3.0]])).flatten()
    tensor([0., 2., 4., 0.])
    """

    states = {"v": State()}
    params = {"tau": Param(4 / 3, min=1.0), "threshold": Param(1.0, min=1e-6)}
    resets = ("subtract", "none")
    unused = ("surrogate", "strict", "width")

    def __init__(
        self,
        tau: float | Tensor = 4 / 3,
        threshold: float | Tensor = 1.0,
        levels: int = 4,
        *,
        scale_input: bool = False,
        **flags: Any,
    ) -> None:
        self.levels = whole("ILIF: levels", levels)
        self.scale_input = scale_input
        self.emits = SpikeType("graded", bits=self.levels.bit_length())
        super().__init__(tau=tau, threshold=threshold, **flags)

    def step(self, x: Any, *, v: Any, tau: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Charge, round, subtract."""
        u = leaky_charge(x, v, tau, self.scale_input)
        s = self.hush(rounded(clip(u / threshold, 0.0, float(self.levels))))
        return s, {"v": self.reset(u, s, threshold)}


class BurstIF(SpikingNeuron):
    """Integrate-and-fire that may fire several spikes in a step.

    .. code-block:: text

        u(t) = v(t-1) + x(t)
        s(t) = clip(floor(u(t) / threshold), 0, burst)
        v(t) = u(t) - threshold s(t)

    Source: Li & Zeng, IJCAI 2022, where bursts of up to five carry the residue of converted networks. The gradient of s
    is 1/threshold where it emits 0 to ``burst`` and 0 elsewhere.

    Args:
        threshold: potential per spike; one value, or one per channel.
        burst: most spikes in a step.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; the reset is "subtract" or "none".

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Raises:
        ConfigError: burst is no whole number of at least 1.

    >>> import torch
    >>> BurstIF()(torch.tensor([[0.4], [1.7], [9.0], [0.0]])).flatten()
    tensor([0., 2., 5., 4.])
    """

    states = {"v": State()}
    params = {"threshold": Param(1.0, min=1e-6)}
    resets = ("subtract", "none")
    unused = ("surrogate", "strict", "width")

    def __init__(self, threshold: float | Tensor = 1.0, burst: int = 5, **flags: Any) -> None:
        self.burst = whole("BurstIF: burst", burst)
        self.emits = SpikeType("graded", bits=self.burst.bit_length())
        super().__init__(threshold=threshold, **flags)

    def step(self, x: Any, *, v: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Integrate, count, subtract."""
        u = v + x
        s = self.hush(clip(floor(u / threshold), 0.0, float(self.burst)))
        return s, {"v": self.reset(u, s, threshold)}


class MultiThresholdIF(SpikingNeuron):
    """Integrate-and-fire with a ladder of thresholds, each half the one above, for spikes of either sign.

    .. code-block:: text

        u(t)   = v(t-1) + x(t)
        s(t)   = sign(u) 2^-i   for the largest rung with |u(t)| >= 3/4 threshold 2^-i, i = 0 .. levels-1, or 0
        v(t)   = u(t) - threshold s(t)

    Three quarters of a rung lie half-way to the next one below, so that the nearest is emitted. Source: Huang et al.,
    ACM Multimedia 2024 (expectation compensation and multi-threshold neurons), whose units are those of ``threshold``;
    here a spike of the top rung is 1, as that of an IF.

    Args:
        threshold: potential that a spike of 1 takes; one value, or one per channel.
        levels: number of rungs.
        signed: whether it also fires below zero.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; the reset is "subtract" or "none". Each rung has a
            surrogate gradient, weighted by its height above the rung below.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Raises:
        ConfigError: levels is no whole number of at least 1.

    >>> import torch
    >>> MultiThresholdIF(levels=3)(torch.tensor([[0.8], [0.65], [-0.6], [0.0]])).flatten()
    tensor([ 1.0000,  0.5000, -0.5000,  0.0000])
    """

    states = {"v": State()}
    params = {"threshold": Param(1.0, min=1e-6)}
    resets = ("subtract", "none")

    def __init__(self, threshold: float | Tensor = 1.0, levels: int = 4, *, signed: bool = True, **flags: Any) -> None:
        self.levels = whole("MultiThresholdIF: levels", levels)
        self.signed = bool(signed)
        self.emits = SpikeType("signed" if signed else "graded", bits=self.levels, scale=2.0 ** (1 - self.levels))
        super().__init__(threshold=threshold, **flags)

    def step(self, x: Any, *, v: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Integrate, find the rung, subtract."""
        u = v + x
        s = self._rung(u, threshold)
        if self.signed:
            s = s - self._rung(-u, threshold)
        return s, {"v": self.reset(u, s, threshold)}

    def _rung(self, u: Any, threshold: Any) -> Any:
        """Sum of the heights between rungs that u passes: the height of the highest one."""
        lowest = 2.0 ** (1 - self.levels)
        height = lowest * self.fire(u, 0.75 * lowest * threshold)
        for i in range(self.levels - 1):
            rung = 2.0**-i
            height = height + 0.5 * rung * self.fire(u, 0.75 * rung * threshold)
        return height


def whole(name: str, value: int) -> int:
    """The value, if it is a whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{name} is {value!r}, but it must be a whole number of at least 1")
    return value
