"""Leaky integrate-and-fire, and the leaky integrator that does not fire."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Neuron, Param, SpikeType, State
from spikesim.neurons.spiking import SpikingNeuron


def _charge(x: Any, v: Any, tau: Any, scale_input: bool) -> Any:
    """One Euler step of ``tau dv/dt = -v + x`` with dt = 1, the input scaled by 1/tau or not."""
    return v + (x - v) / tau if scale_input else v - v / tau + x


class LIF(SpikingNeuron):
    """Leaky integrate-and-fire.

    .. code-block:: text

        u(t) = v(t-1) + (x(t) - v(t-1)) / tau       (scale_input=True)
        u(t) = v(t-1) - v(t-1) / tau + x(t)         (scale_input=False)
        s(t) = [u(t) >= threshold]
        v(t) = u(t) - threshold s(t)                (reset="subtract")
        v(t) = u(t) (1 - s(t))                      (reset="zero")

    The forward-Euler form of Gerstner et al., Neuronal Dynamics, eq. 1.5, with a step of one.

    Args:
        tau: membrane time constant in time steps, at least 1; the leak is ``1 - 1/tau`` per step.
        threshold: potential at which it fires, in the unit of the input.
        scale_input: whether the input is scaled by 1/tau.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; ``learnable=("tau",)`` makes it a PLIF.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> LIF(tau=2.0, reset="zero")(torch.full((5, 1), 1.5)).flatten()
    tensor([0., 1., 0., 1., 0.])
    """

    states = {"v": State()}
    params = {"tau": Param(2.0, min=1.0), "threshold": Param(1.0)}

    def __init__(
        self, tau: float | Tensor = 2.0, threshold: float | Tensor = 1.0, *, scale_input: bool = True, **flags: Any
    ) -> None:
        super().__init__(tau=tau, threshold=threshold, **flags)
        self.scale_input = scale_input

    def step(self, x: Any, *, v: Any, tau: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Charge, fire, reset."""
        u = _charge(x, v, tau, self.scale_input)
        s = self.fire(u, threshold)
        return s, {"v": self.reset(u, s, threshold)}


class LI(Neuron):
    """Leaky integrator: a readout that emits its potential and never fires.

    .. code-block:: text

        v(t) = v(t-1) + (x(t) - v(t-1)) / tau

    Args:
        tau: time constant in time steps, at least 1.
        scale_input: whether the input is scaled by 1/tau.
        **flags: ``initial`` and ``learnable``, see :class:`spikesim.dynamics.Neuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> LI(tau=2.0)(torch.ones(3, 1)).flatten()
    tensor([0.5000, 0.7500, 0.8750])
    """

    states = {"v": State()}
    params = {"tau": Param(2.0, min=1.0)}
    emits = SpikeType("analog")

    def __init__(self, tau: float | Tensor = 2.0, *, scale_input: bool = True, **flags: Any) -> None:
        super().__init__(tau=tau, **flags)
        self.scale_input = scale_input

    def step(self, x: Any, *, v: Any, tau: Any) -> tuple[Any, dict[str, Any]]:
        """Charge and emit."""
        v = _charge(x, v, tau, self.scale_input)
        return v, {"v": v}
