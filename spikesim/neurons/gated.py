"""The gated leaky integrate-and-fire neuron."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, State, detach, sigmoid
from spikesim.dynamics.declarations import constant
from spikesim.errors import ConfigError
from spikesim.neurons.spiking import SpikingNeuron

_GATED = ("alpha", "beta", "gamma", "decay", "linear_decay", "conductance", "subtrahend", "threshold")


class GLIF(SpikingNeuron):
    """Gated leaky integrate-and-fire: learnt gates blend two kinds of leak, of input and of reset.

    .. code-block:: text

        d    = 1 - alpha (1 - decay)
        u(t) = d u(t-1) - (1 - alpha) linear_decay + (1 - beta (1 - conductance)) x(t)
               - s(t-1) (gamma d u(t-1) + (1 - gamma) subtrahend)
        s(t) = [u(t) >= threshold]

    alpha = 1 leaks in proportion and alpha = 0 by a constant; beta = 1 scales the input; gamma = 1 resets to zero
    and gamma = 0 by subtraction. Source: Yao et al., NeurIPS 2022 (arXiv:2210.13768). The GLIF of the
    Allen Institute ("generalised" LIF) is another model.

    Every constant lies between 0 and 1 and is learnt as the argument of a logistic function (``alpha_logit``, ...), as
    in the authors' code. Theirs has one conductance per time step; here one serves all steps, so that T stays free.

    Args:
        alpha, beta, gamma: initial gates.
        decay: factor that proportional leak leaves per step.
        linear_decay: what the constant leak takes per step (the authors start from threshold/(2T)).
        conductance: factor of the input where beta = 1.
        subtrahend: what the reset by subtraction takes; the threshold if None.
        threshold: potential at which it fires.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; the reset is the gate's and cannot be chosen.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Raises:
        ConfigError: a constant that is not strictly between 0 and 1.

    >>> import torch
    >>> GLIF(threshold=0.4)(torch.full((6, 1), 0.5)).detach().flatten()
    tensor([0., 1., 0., 1., 0., 1.])
    """

    states = {"u": State(), "s": State()}
    params = {f"{name}_logit": Param(0.0, learnable=True) for name in _GATED}
    potentials = ("u", "s")
    resets = ("subtract",)

    def __init__(
        self,
        alpha: float | Tensor = 0.5,
        beta: float | Tensor = 0.5,
        gamma: float | Tensor = 0.5,
        *,
        decay: float | Tensor = 0.25,
        linear_decay: float | Tensor = 0.0625,
        conductance: float | Tensor = 0.5,
        subtrahend: float | Tensor | None = None,
        threshold: float | Tensor = 0.5,
        **flags: Any,
    ) -> None:
        subtrahend = threshold if subtrahend is None else subtrahend
        given = (alpha, beta, gamma, decay, linear_decay, conductance, subtrahend, threshold)
        logits: dict[str, Any] = {f"{k}_logit": _logit(k, v) for k, v in zip(_GATED, given)}
        super().__init__(**logits, **flags)

    def step(self, x: Any, *, u: Any, s: Any, **logits: Any) -> tuple[Any, dict[str, Any]]:
        """Leak, reset for the last spike, charge, fire."""
        alpha, beta, gamma, decay, linear, conductance, subtrahend, threshold = (
            sigmoid(logits[f"{k}_logit"]) for k in _GATED
        )
        last = detach(s) if self.detach_reset else s
        left = (1.0 - alpha * (1.0 - decay)) * u
        u = left - (1.0 - alpha) * linear + x * (1.0 - beta * (1.0 - conductance))
        u = u - left * gamma * last - (1.0 - gamma) * subtrahend * last
        s = self.fire(u, threshold)
        return s, {"u": u, "s": s}


def _logit(name: str, value: float | Tensor) -> Tensor:
    tensor = constant(f"GLIF: {name}", value)
    if tensor.device.type != "meta" and not bool(((tensor > 0) & (tensor < 1)).all()):
        raise ConfigError(f"GLIF: {name} is {value}, but it must lie strictly between 0 and 1")
    return tensor.logit()
