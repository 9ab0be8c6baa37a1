"""Stochastic firing: the threshold is a probability (escape noise)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, State, Surrogate, exp, minimum
from spikesim.dynamics.surrogates import StraightThrough
from spikesim.neurons.charge import leaky_charge
from spikesim.neurons.spiking import SpikingNeuron

_MOST = 20.0  # largest exponent: it fires for certain long before, and float32 ends at 88


class EscapeLIF(SpikingNeuron):
    """Leaky integrate-and-fire with escape noise: near the threshold it fires by chance.

    .. code-block:: text

        u(t) = charge of LIF
        P(t) = 1 - exp(-rate exp((u(t) - threshold) / noise))
        s(t) = 1 with probability P(t)
        v(t) = reset of u(t)

    Source: Gerstner et al., Neuronal Dynamics, sec. 9.1 (exponential escape rate, constant over a time step). As
    ``noise`` goes to 0 it becomes a LIF. The random numbers are counter-based: equal on every backend, seeded from
    torch's generator once per call (``torch.manual_seed``) and carried in the state from chunk to chunk. By default the
    gradient is that of the firing probability. The exponent is cut at 20.

    Args:
        tau: membrane time constant in time steps, at least 1.
        threshold: potential at which the hazard is ``rate``.
        noise: change of potential that raises the hazard e-fold; the width of the soft threshold.
        rate: hazard at the threshold, in expected spikes per time step.
        scale_input: whether the input is scaled by 1/tau.
        surrogate: derivative to P minus the random number; ``StraightThrough()``, which is 1, if None.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> neuron = EscapeLIF(threshold=1.0, noise=0.2, rate=0.5, reset="none")
    >>> rates = neuron(torch.tensor([0.0, 1.0, 2.0]).expand(500, 40, 3)).mean((0, 1))
    >>> [round(rate, 1) for rate in rates.tolist()]
    [0.0, 0.4, 1.0]
    """

    states = {"v": State()}
    params = {
        "tau": Param(2.0, min=1.0),
        "threshold": Param(1.0),
        "noise": Param(0.1, min=1e-6),
        "rate": Param(0.1, min=0.0),
    }
    draws = ("chance",)

    def __init__(
        self,
        tau: float | Tensor = 2.0,
        threshold: float | Tensor = 1.0,
        noise: float | Tensor = 0.1,
        rate: float | Tensor = 0.1,
        *,
        scale_input: bool = True,
        surrogate: Surrogate | None = None,
        **flags: Any,
    ) -> None:
        surrogate = StraightThrough() if surrogate is None else surrogate
        super().__init__(tau=tau, threshold=threshold, noise=noise, rate=rate, surrogate=surrogate, **flags)
        self.scale_input = scale_input

    def step(
        self, x: Any, *, v: Any, tau: Any, threshold: Any, noise: Any, rate: Any, chance: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Charge, compare the probability with chance, reset."""
        u = leaky_charge(x, v, tau, self.scale_input)
        hazard = rate * exp(minimum((u - threshold) / noise, _MOST))
        s = self.fire(1.0 - exp(-hazard), chance)
        return s, {"v": self.reset(u, s, threshold)}
