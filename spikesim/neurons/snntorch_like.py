"""Alpha and Lapicque neurons with the conventions of snnTorch 1.0: resets act one step later and are detached."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, State, detach, log
from spikesim.dynamics.declarations import constant
from spikesim.errors import ConfigError
from spikesim.neurons.spiking import Reset, SpikingNeuron


class Alpha(SpikingNeuron):
    """Neuron whose potential follows an alpha function of time after an input.

    .. code-block:: text

        e(t) = alpha e(t-1) + x(t)                                  (excitatory current)
        h(t) = beta h(t-1) - x(t)                                   (inhibitory current)
        v(t) = (log alpha / (log beta - log alpha) + 1) (e(t) + h(t))
        s(t) = [v(t) > threshold]

    where v(t-1) had passed the threshold, all three are set to zero in step t (reset="zero"), or e loses the threshold,
    h is cleared and v gains h(t-1) (reset="subtract"). These are the equations of snnTorch 1.0's ``Alpha``, which
    detaches its reset and fires strictly above the threshold: both are the defaults here.

    Args:
        alpha: factor that is left of the excitatory current after a step; between beta and 1.
        beta: factor that is left of the inhibitory current after a step; between 0 and alpha.
        threshold: potential at which it fires.
        reset: "zero", "subtract" or "none".
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Raises:
        ConfigError: alpha is not greater than beta.

    >>> import torch
    >>> Alpha(0.9, 0.8)(torch.full((5, 1), 1.5)).flatten()
    tensor([0., 0., 0., 1., 0.])
    """

    states = {"exc": State(), "inh": State(), "v": State()}
    params = {
        "alpha": Param(0.9, min=1e-6, max=1.0),
        "beta": Param(0.8, min=1e-6, max=1.0),
        "threshold": Param(1.0),
    }
    resets = ("zero", "subtract", "none")

    def __init__(
        self,
        alpha: float | Tensor = 0.9,
        beta: float | Tensor = 0.8,
        threshold: float | Tensor = 1.0,
        *,
        reset: Reset = "zero",
        detach_reset: bool = True,
        strict: bool = True,
        **flags: Any,
    ) -> None:
        above = constant("Alpha: alpha", alpha) > constant("Alpha: beta", beta)
        if above.device.type != "meta" and not bool(above.all()):
            raise ConfigError(f"Alpha: alpha is {alpha} and beta {beta}, but alpha must be greater than beta")
        flags = {"reset": reset, "detach_reset": detach_reset, "strict": strict, **flags}
        super().__init__(alpha=alpha, beta=beta, threshold=threshold, **flags)

    def step(
        self, x: Any, *, exc: Any, inh: Any, v: Any, alpha: Any, beta: Any, threshold: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Filter the input twice, reset for the last spike, fire."""
        before = self.fire(v, threshold)
        before = detach(before) if self.detach_reset else before
        excited, inhibited = alpha * exc + x, beta * inh - x
        u = (log(alpha) / (log(beta) - log(alpha)) + 1.0) * (excited + inhibited)
        if self.reset_rule == "zero":
            keep = 1.0 - before
            excited, inhibited, u = excited * keep, inhibited * keep, u * keep
        elif self.reset_rule == "subtract":
            excited, inhibited, u = excited - threshold * before, inhibited * (1.0 - before), u + inh * before
        return self.fire(u, threshold), {"exc": excited, "inh": inhibited, "v": u}


class Lapicque(SpikingNeuron):
    """Leaky integrate-and-fire as an RC circuit.

    .. code-block:: text

        u(t) = x(t) dt / C + (1 - dt/(R C)) v(t-1)
        u(t) loses the threshold (reset="subtract"), or is set to zero, if v(t-1) had passed the threshold
        s(t) = [u(t) > threshold],  v(t) = u(t)

    These are the equations of snnTorch 1.0's ``Lapicque``, which detaches its reset and fires strictly above the
    threshold: both are the defaults here. There a given ``beta`` only sets ``C = dt / (R log(1/beta))``, and
    so it does here; the factor that is left of the potential is ``1 + log(beta)``, not beta.

    Args:
        resistance: R, in ohms if dt is in seconds and C in farads; only R C matters beside dt/C.
        capacitance: C.
        beta: gives C in place of ``capacitance``.
        dt: length of a time step, in the unit of R C.
        threshold: potential at which it fires.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Raises:
        ConfigError: not exactly one of capacitance and beta, or beta not between 0 and 1.

    >>> import torch
    >>> Lapicque(resistance=5.0, capacitance=1.0)(torch.full((5, 1), 0.6)).flatten()
    tensor([0., 1., 0., 0., 1.])
    """

    states = {"v": State()}
    params = {
        "resistance": Param(1.0, min=1e-12),
        "capacitance": Param(1.0, min=1e-12),
        "threshold": Param(1.0),
    }
    resets = ("subtract", "zero", "none")

    def __init__(
        self,
        resistance: float | Tensor = 1.0,
        capacitance: float | Tensor | None = None,
        *,
        beta: float | Tensor | None = None,
        dt: float = 1.0,
        threshold: float | Tensor = 1.0,
        detach_reset: bool = True,
        strict: bool = True,
        **flags: Any,
    ) -> None:
        if (capacitance is None) == (beta is None):
            raise ConfigError("Lapicque: give either capacitance or beta, and not both")
        if isinstance(dt, bool) or not isinstance(dt, (int, float)) or not dt > 0:
            raise ConfigError(f"Lapicque: dt is {dt!r}, but it must be a positive number")
        if beta is not None:
            factor = constant("Lapicque: beta", beta)
            if factor.device.type != "meta" and not bool(((factor > 0) & (factor < 1)).all()):
                raise ConfigError(f"Lapicque: beta is {beta}, but it must lie strictly between 0 and 1")
            capacitance = dt / (constant("Lapicque: resistance", resistance) * (1 / factor).log())
        values: dict[str, Any] = {"resistance": resistance, "capacitance": capacitance, "threshold": threshold}
        super().__init__(detach_reset=detach_reset, strict=strict, **values, **flags)
        self.dt = float(dt)

    def step(self, x: Any, *, v: Any, resistance: Any, capacitance: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Charge the circuit, reset for the last spike, fire."""
        # Not one rate for both: so it rounds as snnTorch does.
        charge = x * resistance * (1.0 / (resistance * capacitance)) * self.dt
        u = charge + (1.0 - self.dt / (resistance * capacitance)) * v
        u = self.reset(u, self.fire(v, threshold), threshold)
        return self.fire(u, threshold), {"v": u}
