"""Leaky neurons with the conventions of snnTorch 1.0, without and with a connection from each neuron to itself."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, State
from spikesim.neurons.settle import settled
from spikesim.neurons.spiking import Reset, SpikingNeuron


class Leaky(SpikingNeuron):
    """Leaky integrate-and-fire by its factor, whose resets act one step later.

    .. code-block:: text

        r(t) = [v(t-1) > threshold]
        u(t) = beta v(t-1) + x(t) - threshold r(t)         (reset="subtract")
        u(t) = beta (1 - r(t)) v(t-1) + x(t)               (reset="zero")
        s(t) = [u(t) > threshold]
        v(t) = u(t)                                        (settle=False)
        v(t) = u(t) - (s(t) - r(t)) threshold, or u(t)     (settle=True)

    These are the equations of snnTorch 1.0's ``Leaky``, in its order of operations; ``settle=True`` is its
    ``reset_delay=False``. It detaches its resets and fires strictly above the threshold: both are the defaults here.
    :class:`spikesim.neurons.LIF` with ``delayed_reset=True`` is the same neuron by its time constant.

    Args:
        beta: factor that is left of the potential after a step, 0 to 1.
        threshold: potential at which it fires, in the unit of the input.
        settle: reset a spike at the end of its own step, unless the reset at the start has paid for it.
        reset: "subtract", "zero" or "none".
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> Leaky(beta=0.5)(torch.full((6, 1), 0.75)).flatten()
    tensor([0., 1., 0., 0., 1., 0.])
    """

    states = {"v": State()}
    params = {"beta": Param(0.9, min=0.0, max=1.0), "threshold": Param(1.0)}
    resets = ("subtract", "zero", "none")

    def __init__(
        self,
        beta: float | Tensor = 0.9,
        threshold: float | Tensor = 1.0,
        *,
        settle: bool = False,
        reset: Reset = "subtract",
        detach_reset: bool = True,
        strict: bool = True,
        **flags: Any,
    ) -> None:
        flags = {"reset": reset, "detach_reset": detach_reset, "strict": strict, **flags}
        super().__init__(beta=beta, threshold=threshold, **flags)
        self.settle = settle

    def step(self, x: Any, *, v: Any, beta: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Reset for the last spike, charge, fire."""
        before = self.fire(v, threshold)
        if self.reset_rule == "zero":
            u = beta * self.reset(v, before, threshold) + x
        else:
            u = self.reset(beta * v + x, before, threshold)
        s = self.fire(u, threshold)
        return s, {"v": settled(self, u, s, before, threshold) if self.settle else u}

    def extra_repr(self) -> str:
        """Parameters and the flags that change the equations."""
        return ", ".join([super().extra_repr(), *(["settle=True"] if self.settle else [])])


class RLeaky(Leaky):
    """:class:`Leaky` whose last spike comes back as input, each neuron's to itself.

    .. code-block:: text

        r(t) = [v(t-1) > threshold]
        u(t) = beta v(t-1) + x(t) + feedback s(t-1)
        u(t) loses the threshold (reset="subtract"), or is set to zero, where r(t) is 1
        s(t) = [u(t) > threshold],  v(t) as in Leaky

    These are the equations of snnTorch 1.0's ``RLeaky(all_to_all=False)``, whose reset to zero, unlike that of its
    ``Leaky``, takes the input of the step as well. The gradient passes the spike that comes back.

    Args:
        beta: factor that is left of the potential after a step, 0 to 1.
        feedback: weight of the last spike; ``V`` there.
        threshold: potential at which it fires, in the unit of the input.
        **flags: see :class:`Leaky` and :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> RLeaky(beta=0.5, feedback=-1.0)(torch.full((6, 1), 1.5)).flatten()
    tensor([1., 0., 1., 0., 1., 0.])
    """

    states = {"v": State(), "last": State()}
    params = {"beta": Param(0.9, min=0.0, max=1.0), "feedback": Param(1.0), "threshold": Param(1.0)}

    def __init__(
        self,
        beta: float | Tensor = 0.9,
        feedback: float | Tensor = 1.0,
        threshold: float | Tensor = 1.0,
        **flags: Any,
    ) -> None:
        super().__init__(beta, threshold, feedback=feedback, **flags)

    def step(  # type: ignore[override]  # one state and one parameter more
        self, x: Any, *, v: Any, last: Any, beta: Any, feedback: Any, threshold: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Charge with the last spike, reset for it, fire."""
        before = self.fire(v, threshold)
        u = self.reset(beta * v + x + last * feedback, before, threshold)
        s = self.fire(u, threshold)
        return s, {"v": settled(self, u, s, before, threshold) if self.settle else u, "last": s}
