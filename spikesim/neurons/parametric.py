"""Leaky integrate-and-fire neurons whose own constants are learnt: PLIF and KLIF."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, State, sigmoid, where
from spikesim.dynamics.declarations import constant
from spikesim.errors import ConfigError
from spikesim.neurons.charge import leaky_charge
from spikesim.neurons.spiking import SpikingNeuron


class PLIF(SpikingNeuron):
    """Parametric leaky integrate-and-fire: the membrane time constant is learnt.

    .. code-block:: text

        k    = sigmoid(w)                                 (k = 1/tau)
        u(t) = v(t-1) + k (x(t) - v(t-1))                 (scale_input=True)
        u(t) = v(t-1) - k v(t-1) + x(t)                   (scale_input=False)

    then fire and reset as :class:`spikesim.neurons.LIF`. Source: Fang et al., ICCV 2021. What is learnt is
    ``w``, as there and in SpikingJelly, whose checkpoints so carry over: ``w`` is free, and tau stays above 1 whatever
    it becomes, where a learnt ``tau`` of a LIF has to be held at its bound.

    Args:
        tau: initial time constant in time steps, greater than 1.
        threshold: potential at which it fires, in the unit of the input.
        scale_input: whether the input is scaled by 1/tau.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Raises:
        ConfigError: tau is 1 or less.

    >>> neuron = PLIF(tau=2.0)
    >>> neuron.w.requires_grad, neuron.tau.item()
    (True, 2.0)
    """

    states = {"v": State()}
    params = {"w": Param(0.0, learnable=True), "threshold": Param(1.0)}

    def __init__(
        self, tau: float | Tensor = 2.0, threshold: float | Tensor = 1.0, *, scale_input: bool = True, **flags: Any
    ) -> None:
        start = constant("PLIF: tau", tau)
        if start.device.type != "meta" and not bool((start > 1).all()):
            raise ConfigError(f"PLIF: tau is {tau}, but it must be greater than 1")
        super().__init__(w=-(start - 1).log(), threshold=threshold, **flags)
        self.scale_input = scale_input

    @property
    def tau(self) -> Tensor:
        """Time constant in time steps, as learnt so far."""
        w: Any = self.w
        tau: Tensor = 1.0 / w.sigmoid()
        return tau

    def step(self, x: Any, *, v: Any, w: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Charge at the learnt rate, fire, reset."""
        k = sigmoid(w)
        u = v + (x - v) * k if self.scale_input else v - v * k + x
        s = self.fire(u, threshold)
        return s, {"v": self.reset(u, s, threshold)}


class KLIF(SpikingNeuron):
    """LIF whose charged potential is rectified and scaled by a learnt ``k``.

    .. code-block:: text

        u(t) = charge of LIF
        f(t) = max(0, k u(t))
        s(t) = [f(t) >= threshold]
        v(t) = reset of f(t)                              (scale_reset=False)
        v(t) = reset of f(t), divided by k                (scale_reset=True)

    Source: Jiang & Zhang, arXiv:2302.09238 (2023).

    Args:
        tau: membrane time constant in time steps, at least 1.
        threshold: value of f at which it fires.
        k: initial scale, kept at or above 0.001, as scale_reset divides by it.
        scale_input: whether the input is scaled by 1/tau.
        scale_reset: divide the potential by k again after the reset.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> KLIF(k=2.0, reset="zero")(torch.full((4, 1), 0.8)).detach().flatten()
    tensor([0., 1., 0., 1.])
    """

    states = {"v": State()}
    params = {"tau": Param(2.0, min=1.0), "threshold": Param(1.0), "k": Param(1.0, min=1e-3, learnable=True)}

    def __init__(
        self,
        tau: float | Tensor = 2.0,
        threshold: float | Tensor = 1.0,
        k: float | Tensor = 1.0,
        *,
        scale_input: bool = True,
        scale_reset: bool = False,
        **flags: Any,
    ) -> None:
        super().__init__(tau=tau, threshold=threshold, k=k, **flags)
        self.scale_input = scale_input
        self.scale_reset = scale_reset

    def step(self, x: Any, *, v: Any, tau: Any, threshold: Any, k: Any) -> tuple[Any, dict[str, Any]]:
        """Charge, rectify and scale, fire, reset."""
        f = k * leaky_charge(x, v, tau, self.scale_input)
        # Not maximum(f, 0), whose gradient at 0 is one half: a rectifier's is zero there.
        f = where(f > 0.0, f, 0.0)
        s = self.fire(f, threshold)
        if not self.scale_reset:
            return s, {"v": self.reset(f, s, threshold)}
        return s, {"v": self.reset(f / k, s, threshold / k)}
