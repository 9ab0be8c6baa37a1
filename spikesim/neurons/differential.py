"""Differential coding: spikes that say how a rate changes, and the neuron that sends them."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, SpikeType, State, where
from spikesim.neurons.graded import whole
from spikesim.neurons.spiking import SpikingNeuron


class DifferentialIF(SpikingNeuron):
    """Integrate-and-fire whose spikes change a rate that is held, up or down, with a ladder of thresholds.

    .. code-block:: text

        u(t)  = v(t-1) + in(t-1) + x(t) - out(t-1)
        s(t)  = +2^k   for the largest k < rungs with  u(t) >= 3/4 threshold 2^k,
                -2^k   for the largest k < rungs with -u(t) >= 3/4 threshold 2^k, that leaves the rate at zero
                       or above: t out(t-1) >= threshold 2^k, or whatever the rate if signed;  0 if there is none
        v(t)  = u(t) - threshold s(t)
        in(t) = in(t-1) + x(t)/t,    out(t) = out(t-1) + threshold s(t)/t           (t = 1, 2, ...)

    Whoever reads it holds the last rate too: a spike at step t counts 1/t. What stays as it is needs no spikes, so that
    the rate ``out`` closes in on the ReLU of ``in`` with ever fewer of them. Source: Huang et al., ICML 2025
    (differential coding for spiking networks), with the units of ``threshold`` at the lowest rung.

    Args:
        threshold: potential that a spike of 1, the lowest rung, takes; one value, or one per channel.
        rungs: number of thresholds, each twice the one below.
        signed: let the rate fall below zero, for values of either sign in place of a ReLU of them.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; the reset is "subtract". Each rung has a surrogate
            gradient, weighted by its height above the rung below.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Raises:
        ConfigError: rungs is no whole number of at least 1.

    >>> import torch
    >>> DifferentialIF(rungs=3)(torch.tensor([[3.4], [0.0], [0.0], [-3.0]])).flatten()  # 3.4, and in the end 2.65
    tensor([ 4., -1.,  0., -4.])
    """

    states = {"v": State(), "given": State(), "sent": State(), "t": State()}
    params = {"threshold": Param(1.0, min=1e-6)}
    potentials = ("v",)
    resets = ("subtract",)

    def __init__(self, threshold: float | Tensor = 1.0, rungs: int = 4, signed: bool = False, **flags: Any) -> None:
        self.rungs, self.signed = whole("DifferentialIF: rungs", rungs), signed
        self.emits = SpikeType("signed", bits=self.rungs)
        super().__init__(threshold=threshold, **flags)

    def step(self, x: Any, *, v: Any, given: Any, sent: Any, t: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Charge with the change, compare with every rung, send what changes."""
        now = t + 1.0
        u = v + given + x - sent
        up, down = 0.0, 0.0
        for k in range(self.rungs):
            height = threshold * 2.0**k
            more = 2.0**k - (2.0 ** (k - 1) if k else 0.0)
            up = up + more * self.fire(u, 0.75 * height)
            # Sums of fractions end a rounding below the rung that they are meant to reach.
            allowed = now * sent > 0.999 * height
            lower = self.fire(-u, 0.75 * height)
            down = down + more * (lower if self.signed else where(allowed, lower, 0.0))
        s = up - down
        state = {"v": self.reset(u, s, threshold), "given": given + x / now}
        return s, {**state, "sent": sent + threshold * s / now, "t": now}
