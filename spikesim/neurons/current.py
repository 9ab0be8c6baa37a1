"""Neurons driven through a synaptic current: second-order LIF, and its readout."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Neuron, Param, SpikeType, State
from spikesim.neurons.spiking import SpikingNeuron


class CubaLIF(SpikingNeuron):
    """Current-based LIF: input feeds a current that decays, the current charges the potential.

    .. code-block:: text

        i(t) = alpha i(t-1) + x(t)
        u(t) = beta v(t-1) + i(t)
        s(t) = [u(t) >= threshold]
        v(t) = reset of u(t)

    Gerstner et al., Neuronal Dynamics, sec. 1.3 with an exponential synapse, in time steps. With
    ``delayed_reset=True, detach_reset=True, strict=True`` it is snnTorch's ``Synaptic(alpha, beta)``, which resets at
    the start of the next step: ``u(t)`` loses the threshold, or is set to zero, if ``u(t-1)`` had reached it.

    Args:
        alpha: factor that is left of the current after a step, 0 to 1; ``exp(-dt/tau)``.
        beta: factor that is left of the potential after a step, 0 to 1.
        threshold: potential at which it fires, in the unit of the input.
        delayed_reset: reset in the next step.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> pulse = torch.zeros(6, 1)
    >>> pulse[0] = 0.7
    >>> CubaLIF(alpha=0.8, beta=0.9)(pulse).flatten()
    tensor([0., 1., 0., 0., 1., 0.])
    """

    states = {"i": State(), "v": State()}
    params = {"alpha": Param(0.9, min=0.0, max=1.0), "beta": Param(0.8, min=0.0, max=1.0), "threshold": Param(1.0)}

    def __init__(
        self,
        alpha: float | Tensor = 0.9,
        beta: float | Tensor = 0.8,
        threshold: float | Tensor = 1.0,
        *,
        delayed_reset: bool = False,
        **flags: Any,
    ) -> None:
        super().__init__(alpha=alpha, beta=beta, threshold=threshold, **flags)
        self.delayed_reset = delayed_reset

    def step(self, x: Any, *, i: Any, v: Any, alpha: Any, beta: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Filter the input, charge, fire, reset."""
        i = alpha * i + x
        u = beta * v + i
        if self.delayed_reset:
            u = self.reset(u, self.fire(v, threshold), threshold)
            return self.fire(u, threshold), {"i": i, "v": u}
        s = self.fire(u, threshold)
        return s, {"i": i, "v": self.reset(u, s, threshold)}


class CubaLI(Neuron):
    """Current-based leaky integrator: a readout that emits its potential and never fires.

    .. code-block:: text

        i(t) = alpha i(t-1) + x(t)
        v(t) = beta v(t-1) + i(t)

    Args:
        alpha: factor that is left of the current after a step, 0 to 1.
        beta: factor that is left of the potential after a step, 0 to 1.
        **flags: ``initial`` and ``learnable``, see :class:`spikesim.dynamics.Neuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> CubaLI(alpha=0.5, beta=0.5)(torch.tensor([[1.0], [0.0], [0.0]])).flatten()
    tensor([1.0000, 1.0000, 0.7500])
    """

    states = {"i": State(), "v": State()}
    params = {"alpha": Param(0.9, min=0.0, max=1.0), "beta": Param(0.8, min=0.0, max=1.0)}
    emits = SpikeType("analog")

    def __init__(self, alpha: float | Tensor = 0.9, beta: float | Tensor = 0.8, **flags: Any) -> None:
        super().__init__(alpha=alpha, beta=beta, **flags)

    def step(self, x: Any, *, i: Any, v: Any, alpha: Any, beta: Any) -> tuple[Any, dict[str, Any]]:
        """Filter the input, charge, emit."""
        i = alpha * i + x
        v = beta * v + i
        return v, {"i": i, "v": v}
