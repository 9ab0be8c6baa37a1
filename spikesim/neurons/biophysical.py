"""Models that make their spikes by themselves: FitzHugh-Nagumo and Hodgkin-Huxley."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, State, clip, exp
from spikesim.errors import ConfigError
from spikesim.neurons.continuous import MILLI, ContinuousNeuron


class FitzHughNagumo(ContinuousNeuron):
    """FitzHugh-Nagumo: two variables that make a spike without a reset.

    .. code-block:: text

        dv/dt = v - v^3/3 - w + x
        dw/dt = (v + a - b w) / tau

    by the forward Euler method, both from the values before the step. It fires where v passes the threshold from below.
    Source: FitzHugh, Biophys. J. 1:445 (1961). All quantities are dimensionless, time too.

    Args:
        a, b, tau: constants of the recovery.
        threshold: value of v that counts as a spike on its way up.
        dt: length of a time step, in the dimensionless time of the equations.
        substeps: parts of a step.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; there is no reset.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> FitzHughNagumo(dt=0.1)(torch.full((2000, 1), 0.5)).sum()
    tensor(5.)
    """

    states = {"v": State(-1.1994), "w": State(-0.6243)}
    params = {"a": Param(0.7), "b": Param(0.8), "tau": Param(12.5, min=1e-6), "threshold": Param(1.0)}
    resets = ("none",)
    drive = (2.0, 5.0)

    def __init__(
        self,
        a: float | Tensor = 0.7,
        b: float | Tensor = 0.8,
        tau: float | Tensor = 12.5,
        threshold: float | Tensor = 1.0,
        *,
        dt: float = 0.1,
        substeps: int = 1,
        **flags: Any,
    ) -> None:
        flags = {"reset": "none", **flags}
        super().__init__(a=a, b=b, tau=tau, threshold=threshold, dt=dt, substeps=substeps, **flags)

    def step(self, x: Any, *, v: Any, w: Any, a: Any, b: Any, tau: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """One Euler step, and whether it passed the threshold."""
        u = v + self.h * (v - v * v * v / 3.0 - w + x)
        w = w + self.h * ((v + a - b * w) / tau)
        return self.crossing(v, u, threshold), {"v": u, "w": w}


class HodgkinHuxley(ContinuousNeuron):
    """Hodgkin-Huxley: the squid giant axon, rest at -65 mV.

    .. code-block:: text

        C dv/dt = -g_na m^3 h (v - e_na) - g_k n^4 (v - e_k) - g_leak (v - e_leak) + x
        dy/dt = alpha_y(v) (1 - y) - beta_y(v) y        for y in m, h, n (rates in 1/ms)

        alpha_m = 0.1 (v + 40) / (1 - exp(-(v + 40)/10))      beta_m = 4 exp(-(v + 65)/18)
        alpha_h = 0.07 exp(-(v + 65)/20)                      beta_h = 1 / (1 + exp(-(v + 35)/10))
        alpha_n = 0.01 (v + 55) / (1 - exp(-(v + 55)/10))     beta_n = 0.125 exp(-(v + 65)/80)

    Each variable takes an exponential Euler step towards its momentary equilibrium, gates first: stable for any step,
    exact as it shrinks. It fires where v passes the threshold from below. Source: Hodgkin & Huxley, J. Physiol.
    117:500 (1952), with the sign and origin of the potential as used today. In the rates v is kept between -150
    and 150 mV, which it never leaves under currents that an axon survives, so that no exponential overflows.

    Args:
        capacitance: C in uF/cm^2.
        g_na, g_k, g_leak: conductances in mS/cm^2.
        e_na, e_k, e_leak: reversal potentials in mV.
        threshold: potential that counts as a spike on its way up, in mV.
        dt: length of a time step in seconds, at most 1 ms (it cannot fire twice in that time).
        substeps: parts of a step; 10 of 0.01 ms each unless said otherwise.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; there is no reset.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``, the input in uA/cm^2.

    Raises:
        ConfigError: dt above 1 ms.

    >>> import torch
    >>> HodgkinHuxley(dt=1e-4)(torch.full((1000, 1), 10.0)).sum()     # 100 ms
    tensor(7.)
    """

    # At rest, where every derivative is zero.
    states = {"v": State(-65.0), "m": State(0.05293), "h": State(0.59612), "n": State(0.31768)}
    params = {
        "capacitance": Param(1.0, min=1e-3),
        "g_na": Param(120.0, min=0.0),
        "g_k": Param(36.0, min=0.0),
        "g_leak": Param(0.3, min=1e-6),
        "e_na": Param(50.0),
        "e_k": Param(-77.0),
        "e_leak": Param(-54.387),
        "threshold": Param(0.0),
    }
    resets = ("none",)
    fires_once_a_step = True
    drive = (60.0, 60.0)

    def __init__(self, *, dt: float = 1e-4, substeps: int = 10, **flags: Any) -> None:
        flags = {"reset": "none", **flags}
        super().__init__(dt=dt, substeps=substeps, **flags)
        if self.dt > 1e-3:
            raise ConfigError(f"HodgkinHuxley: dt is {dt} s, but it must be at most 0.001 s; take more time steps")

    def step(
        self,
        x: Any,
        *,
        v: Any,
        m: Any,
        h: Any,
        n: Any,
        capacitance: Any,
        g_na: Any,
        g_k: Any,
        g_leak: Any,
        e_na: Any,
        e_k: Any,
        e_leak: Any,
        threshold: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """Gates, then potential, then whether it passed the threshold."""
        dt = self.h * MILLI
        at = clip(v, -150.0, 150.0)
        m = _relax(m, _ratio((at + 40.0) / 10.0), 4.0 * exp(-(at + 65.0) / 18.0), dt)
        h = _relax(h, 0.07 * exp(-(at + 65.0) / 20.0), 1.0 / (1.0 + exp(-(at + 35.0) / 10.0)), dt)
        n = _relax(n, 0.1 * _ratio((at + 55.0) / 10.0), 0.125 * exp(-(at + 65.0) / 80.0), dt)
        na, k = g_na * m * m * m * h, g_k * n * n * n * n
        total = na + k + g_leak
        rest = (na * e_na + k * e_k + g_leak * e_leak + x) / total
        u = v + (rest - v) * (1.0 - exp(-dt * total / capacitance))
        return self.crossing(v, u, threshold), {"v": u, "m": m, "h": h, "n": n}


def _relax(y: Any, alpha: Any, beta: Any, dt: float) -> Any:
    """Exponential Euler step of a gate with the given rates of opening and closing."""
    total = alpha + beta
    steady = alpha / total
    return y + (steady - y) * (1.0 - exp(-dt * total))


def _ratio(z: Any) -> Any:
    """``z / (1 - exp(-z))``, which is 0/0 at 0, as ``w + w coth w`` with w = z/2.

    The second term is Lambert's continued fraction ``1 + q/(3 + q/(5 + ...))`` in q = w^2, cut after 14 levels and
    written as one quotient of polynomials with positive coefficients: no branch and no cancellation. Its error is below
    1e-12 up to 60 mV and 3e-8 at 150 mV.
    """
    w = 0.5 * z
    q = w * w
    above, below = _ABOVE[-1], _BELOW[-1]
    for a, b in zip(_ABOVE[-2::-1], _BELOW[-2::-1]):
        above, below = above * q + a, below * q + b
    return w + above / below


def _lambert(levels: int) -> tuple[list[float], list[float]]:
    """Coefficients of numerator and denominator, by the recurrence of the convergents, lowest power first.

    >>> _lambert(1)
    ([1.0, 0.3333333333333333], [1.0])
    """
    above, below = [[1], [1]], [[0], [1]]
    for k in range(1, levels + 1):
        for chain in (above, below):
            shifted = [0, *chain[-2]]
            size = max(len(shifted), len(chain[-1]))
            padded = [c + [0] * (size - len(c)) for c in (chain[-1], shifted)]
            chain.append([(2 * k + 1) * x + y for x, y in zip(*padded)])
    first = below[-1][0]
    return tuple([c / first for c in _trimmed(chain[-1])] for chain in (above, below))  # type: ignore[return-value]


def _trimmed(coefficients: list[int]) -> list[int]:
    while coefficients[-1] == 0:
        coefficients = coefficients[:-1]
    return coefficients


_ABOVE, _BELOW = _lambert(14)
