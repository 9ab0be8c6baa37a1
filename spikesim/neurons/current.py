"""Neurons driven through a synaptic current: second-order LIF, the same with feedback, and a readout."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Neuron, Param, SpikeType, State
from spikesim.errors import ConfigError
from spikesim.neurons.settle import settled
from spikesim.neurons.spiking import Reset, SpikingNeuron


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
        settle: with ``delayed_reset``, reset a spike at the end of its own step all the same, unless the reset at the
            start of the step has paid for it: snnTorch's ``reset_delay=False``.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Raises:
        ConfigError: ``settle`` without ``delayed_reset``, or with a reset to a value.

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
        settle: bool = False,
        **flags: Any,
    ) -> None:
        if settle and (not delayed_reset or flags.get("reset") == "value"):
            raise ConfigError(
                "settle brings a delayed reset forward: it needs delayed_reset=True, and no reset='value'"
            )
        super().__init__(alpha=alpha, beta=beta, threshold=threshold, **flags)
        self.delayed_reset = delayed_reset
        self.settle = settle

    def step(self, x: Any, *, i: Any, v: Any, alpha: Any, beta: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Filter the input, charge, fire, reset."""
        i = alpha * i + x
        u = beta * v + i
        if self.delayed_reset:
            before = self.fire(v, threshold)
            u = self.reset(u, before, threshold)
            s = self.fire(u, threshold)
            return s, {"i": i, "v": settled(self, u, s, before, threshold) if self.settle else u}
        s = self.fire(u, threshold)
        return s, {"i": i, "v": self.reset(u, s, threshold)}


class RSynaptic(SpikingNeuron):
    """Current-based LIF whose last spike comes back as input, each neuron's to itself.

    .. code-block:: text

        i(t) = alpha i(t-1) + x(t) + feedback s(t-1)
        u(t) = beta v(t-1) + i(t)
        v(t) = u(t), less the threshold (reset="subtract") or set to zero where v(t-1) > threshold
        s(t) = [v(t) > threshold]

    These are the equations of snnTorch 1.0's ``RSynaptic(all_to_all=False)``, in its order of operations. It detaches
    its resets and fires strictly above the threshold: both are the defaults here.

    Args:
        alpha: factor that is left of the current after a step, 0 to 1.
        beta: factor that is left of the potential after a step, 0 to 1.
        feedback: weight of the last spike; ``V`` there.
        threshold: potential at which it fires, in the unit of the input.
        reset: "subtract", "zero" or "none".
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> RSynaptic(alpha=0.5, beta=0.5, feedback=-2.0)(torch.full((6, 1), 1.5)).flatten()
    tensor([1., 0., 1., 0., 1., 0.])
    """

    states = {"i": State(), "v": State(), "last": State()}
    params = {**CubaLIF.params, "feedback": Param(1.0)}
    resets = ("subtract", "zero", "none")

    def __init__(
        self,
        alpha: float | Tensor = 0.9,
        beta: float | Tensor = 0.8,
        feedback: float | Tensor = 1.0,
        threshold: float | Tensor = 1.0,
        *,
        reset: Reset = "subtract",
        detach_reset: bool = True,
        strict: bool = True,
        **flags: Any,
    ) -> None:
        flags = {"reset": reset, "detach_reset": detach_reset, "strict": strict, **flags}
        super().__init__(alpha=alpha, beta=beta, feedback=feedback, threshold=threshold, **flags)

    def step(
        self, x: Any, *, i: Any, v: Any, last: Any, alpha: Any, beta: Any, threshold: Any, feedback: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Filter the input and the last spike, charge, reset for it, fire."""
        i = alpha * i + x + last * feedback
        u = self.reset(beta * v + i, self.fire(v, threshold), threshold)
        s = self.fire(u, threshold)
        return s, {"i": i, "v": u, "last": s}


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
