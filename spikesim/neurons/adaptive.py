"""Adaptation in discrete time: a threshold that rises (ALIF) and a current that opposes (adLIF)."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, State, exp
from spikesim.neurons.spiking import SpikingNeuron

# Time constants of 15 and 75 steps, the middle of the published ranges.
_ALPHA, _BETA = math.exp(-1 / 15), math.exp(-1 / 75)


class ALIF(SpikingNeuron):
    """LIF with an adaptive threshold, the neuron of the LSNN.

    .. code-block:: text

        u(t) = exp(-1/tau) v(t-1) + (1 - exp(-1/tau)) x(t)
        B(t) = threshold + beta a(t-1)
        s(t) = [u(t) >= B(t)]
        v(t) = u(t) - B(t) s(t)                                         (reset="subtract")
        a(t) = exp(-1/tau_adapt) a(t-1) + (1 - exp(-1/tau_adapt)) s(t)

    Source: Bellec et al., NeurIPS 2018. ``beta=0`` is a LIF with an exponential decay.

    Args:
        tau: membrane time constant in time steps.
        tau_adapt: time constant of the adaptation in time steps.
        threshold: threshold of a neuron that has not fired, in the unit of the input.
        beta: what adaptation adds to the threshold at most.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> spikes = ALIF(tau=5.0, tau_adapt=50.0, beta=5.0)(torch.full((60, 1), 3.0)).flatten()
    >>> [len(half.nonzero()) for half in spikes.split(30)]      # it tires
    [9, 6]
    """

    states = {"v": State(), "a": State()}
    params = {
        "tau": Param(20.0, min=1e-3),
        "tau_adapt": Param(200.0, min=1e-3),
        "threshold": Param(1.0),
        "beta": Param(1.8),
    }

    def __init__(
        self,
        tau: float | Tensor = 20.0,
        tau_adapt: float | Tensor = 200.0,
        threshold: float | Tensor = 1.0,
        beta: float | Tensor = 1.8,
        **flags: Any,
    ) -> None:
        super().__init__(tau=tau, tau_adapt=tau_adapt, threshold=threshold, beta=beta, **flags)

    def step(
        self, x: Any, *, v: Any, a: Any, tau: Any, tau_adapt: Any, threshold: Any, beta: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Charge, fire at the present threshold, reset, adapt."""
        decay, forget = exp(-1.0 / tau), exp(-1.0 / tau_adapt)
        u = decay * v + (1.0 - decay) * x
        present = threshold + beta * a
        s = self.fire(u, present)
        return s, {"v": self.reset(u, s, present), "a": forget * a + (1.0 - forget) * s}


class AdLIF(SpikingNeuron):
    """Adaptive LIF: a second variable follows potential and spikes and opposes the input.

    .. code-block:: text

        u(t) = alpha v(t-1) + (1 - alpha) (x(t) - w(t-1))
        s(t) = [u(t) >= threshold]
        w(t) = beta w(t-1) + a u(t) + b s(t)
        v(t) = u(t) - threshold s(t)                                    (reset="subtract")

    Source: Bittar & Garner, Front. Neurosci. 16:865897 (2022), with the order of their published code. They
    keep alpha in exp(-1/5) to exp(-1/25), beta in exp(-1/30) to exp(-1/120), a in -1 to 1 and b in 0 to 2, learnt per
    neuron: ``AdLIF(alpha=tensor, ..., learnable=("alpha", "beta", "a", "b"))``.

    Args:
        alpha: factor that is left of the potential after a step, 0 to 1.
        beta: factor that is left of the adaptation after a step, 0 to 1.
        a: coupling of the potential to the adaptation; positive values make it resonate.
        b: what a spike adds to the adaptation.
        threshold: potential at which it fires, in the unit of the input.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> AdLIF(alpha=0.8, beta=0.95, a=0.0, b=1.0)(torch.full((12, 1), 9.0)).flatten()
    tensor([1., 1., 1., 1., 1., 1., 1., 0., 1., 0., 1., 0.])
    """

    states = {"v": State(), "w": State()}
    params = {
        "alpha": Param(_ALPHA, min=0.0, max=1.0),
        "beta": Param(_BETA, min=0.0, max=1.0),
        "a": Param(0.0),
        "b": Param(1.0),
        "threshold": Param(1.0),
    }

    def __init__(
        self,
        alpha: float | Tensor = _ALPHA,
        beta: float | Tensor = _BETA,
        a: float | Tensor = 0.0,
        b: float | Tensor = 1.0,
        threshold: float | Tensor = 1.0,
        **flags: Any,
    ) -> None:
        super().__init__(alpha=alpha, beta=beta, a=a, b=b, threshold=threshold, **flags)

    def step(
        self, x: Any, *, v: Any, w: Any, alpha: Any, beta: Any, a: Any, b: Any, threshold: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Charge against the adaptation, fire, adapt, reset."""
        u = alpha * v + (1.0 - alpha) * (x - w)
        s = self.fire(u, threshold)
        return s, {"v": self.reset(u, s, threshold), "w": beta * w + a * u + b * s}
