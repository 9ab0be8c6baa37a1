"""Leaky integrate-and-fire, and the leaky integrator that does not fire."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Neuron, Param, SpikeType, State
from spikesim.errors import ConfigError
from spikesim.neurons.charge import leaky_charge
from spikesim.neurons.spiking import SpikingNeuron


class LIF(SpikingNeuron):
    """Leaky integrate-and-fire.

    .. code-block:: text

        u(t) = v(t-1) + (x(t) - v(t-1)) / tau       (scale_input=True)
        u(t) = v(t-1) - v(t-1) / tau + x(t)         (scale_input=False)
        s(t) = [u(t) >= threshold]
        v(t) = u(t) - threshold s(t)                (reset="subtract")
        v(t) = u(t) (1 - s(t))                      (reset="zero")

    The forward-Euler form of Gerstner et al., Neuronal Dynamics, eq. 1.5, with a step of one. Published networks
    differ in the order of leak and reset, which two flags settle:

    .. code-block:: text

        leak_after_reset    u(t) = v(t-1) + x(t),  then v(t) loses 1/tau of what the reset left
        delayed_reset       v(t) = u(t), and the reset for s(t) acts in step t+1: by subtraction after
                            the leak, to zero or a value before it

    With ``delayed_reset=True, detach_reset=True, strict=True, scale_input=False`` and ``tau=1/(1 - beta)`` it is
    snnTorch's ``Leaky(beta)``.

    Args:
        tau: membrane time constant in time steps, at least 1; the leak is ``1 - 1/tau`` per step. A decay of
            ``exp(-1/t)`` is ``tau=1/(1 - exp(-1/t))``.
        threshold: potential at which it fires, in the unit of the input.
        scale_input: whether the input is scaled by 1/tau.
        leak_after_reset: leak at the end of the step, so that the input counts in full at once.
        delayed_reset: reset at the start of the next step; the potential of this one stays as it was.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; :class:`spikesim.neurons.PLIF` learns tau safely.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Raises:
        ConfigError: tau below 1, or both orders at once.

    >>> import torch
    >>> LIF(tau=2.0, reset="zero")(torch.full((5, 1), 1.5)).flatten()
    tensor([0., 1., 0., 1., 0.])
    """

    states = {"v": State()}
    params = {"tau": Param(2.0, min=1.0), "threshold": Param(1.0)}

    def __init__(
        self,
        tau: float | Tensor = 2.0,
        threshold: float | Tensor = 1.0,
        *,
        scale_input: bool = True,
        leak_after_reset: bool = False,
        delayed_reset: bool = False,
        **flags: Any,
    ) -> None:
        if leak_after_reset and delayed_reset:
            raise ConfigError(
                "leak_after_reset and delayed_reset are both set, but a reset comes before or after a leak"
            )
        super().__init__(tau=tau, threshold=threshold, **flags)
        self.scale_input = scale_input
        self.leak_after_reset = leak_after_reset
        self.delayed_reset = delayed_reset

    def step(self, x: Any, *, v: Any, tau: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Charge, fire, reset."""
        if self.delayed_reset:
            u = self._charge_after_reset(x, v, tau, threshold)
            return self.fire(u, threshold), {"v": u}
        if self.leak_after_reset:
            u = v + (x / tau if self.scale_input else x)
            s = self.fire(u, threshold)
            v = self.reset(u, s, threshold)
            return s, {"v": v - v / tau}
        u = leaky_charge(x, v, tau, self.scale_input)
        s = self.fire(u, threshold)
        return s, {"v": self.reset(u, s, threshold)}

    def _charge_after_reset(self, x: Any, v: Any, tau: Any, threshold: Any) -> Any:
        before = self.fire(v, threshold)
        if self.reset_rule == "subtract":
            return self.reset(leaky_charge(x, v, tau, self.scale_input), before, threshold)
        return leaky_charge(x, self.reset(v, before, threshold), tau, self.scale_input)

    def extra_repr(self) -> str:
        """Parameters and the flags that change the equations."""
        flags = [f"{f}=True" for f in ("leak_after_reset", "delayed_reset") if getattr(self, f)]
        flags += [] if self.scale_input else ["scale_input=False"]
        return ", ".join([super().extra_repr(), *flags])


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
        v = leaky_charge(x, v, tau, self.scale_input)
        return v, {"v": v}
