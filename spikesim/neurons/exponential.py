"""Integrate-and-fire neurons whose upstroke is in the equation: EIF, QIF and AdEx."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, State, exp, minimum
from spikesim.neurons.continuous import MILLI, ContinuousNeuron, starting

STEEPEST = 20.0  # largest exponent (v - v_threshold)/slope: beyond it any step is a spike, and float32 ends at 88


class EIF(ContinuousNeuron):
    """Exponential integrate-and-fire.

    .. code-block:: text

        tau dv/dt = -(v - v_rest) + slope exp((v - v_threshold) / slope) + x
        v >= v_peak:  spike, v = v_reset

    by the forward Euler method. Source: Fourcaud-Trocme et al., J. Neurosci. 23:11628 (2003). The exponent is cut at
    20, so that no potential overflows; with the default constants that lies above v_peak.

    Args:
        tau: membrane time constant in seconds.
        v_rest, v_threshold, slope, v_peak, v_reset: potentials in mV; ``v_threshold`` is where the upstroke begins,
            ``v_peak`` where it is cut off.
        dt: length of a time step in seconds.
        substeps: parts of a step.
        initial: initial potential; ``v_rest`` if not given.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; the reset is "value" (``v_reset``) or "none".

    Shape:
        ``[T, N, ...] -> [T, N, ...]``, the input in mV (current times resistance).

    >>> import torch
    >>> EIF(dt=1e-3)(torch.full((100, 1), 25.0)).sum()
    tensor(11.)
    """

    states = {"v": State(-65.0)}
    params = {
        "tau": Param(0.01, min=1e-6),
        "v_rest": Param(-65.0),
        "v_threshold": Param(-59.9),
        "slope": Param(3.48, min=1e-3),
        "v_peak": Param(-30.0),
        "v_reset": Param(-68.0),
    }
    resets_to = "v_reset"
    drive = (25.0, 25.0)

    def __init__(
        self,
        tau: float | Tensor = 0.01,
        *,
        v_rest: float | Tensor = -65.0,
        dt: float = 1e-3,
        substeps: int = 1,
        initial: Mapping[str, float | Tensor] | None = None,
        **flags: Any,
    ) -> None:
        initial = starting(initial, v=v_rest)
        super().__init__(tau=tau, v_rest=v_rest, dt=dt, substeps=substeps, initial=initial, **flags)

    def step(
        self, x: Any, *, v: Any, tau: Any, v_rest: Any, v_threshold: Any, slope: Any, v_peak: Any, v_reset: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One Euler step, fire, reset."""
        upstroke = slope * exp(minimum((v - v_threshold) / slope, STEEPEST))
        u = v + (self.h / tau) * (v_rest - v + upstroke + x)
        s = self.fire(u, v_peak)
        return s, {"v": self.reset(u, s, v_peak, v_reset)}


class QIF(ContinuousNeuron):
    """Quadratic integrate-and-fire, the normal form of a neuron near its threshold.

    .. code-block:: text

        tau dv/dt = curvature (v - v_rest) (v - v_critical) + x
        v >= v_peak:  spike, v = v_reset

    by the forward Euler method. Source: Latham et al., J. Neurophysiol. 83:808 (2000); Gerstner et al., Neuronal
    Dynamics, sec. 5.3.

    Args:
        tau: membrane time constant in seconds.
        curvature: steepness of the parabola in 1/mV.
        v_rest, v_critical, v_peak, v_reset: potentials in mV; above ``v_critical`` it runs away by itself.
        dt: length of a time step in seconds.
        substeps: parts of a step.
        initial: initial potential; ``v_rest`` if not given.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; the reset is "value" (``v_reset``) or "none".

    Shape:
        ``[T, N, ...] -> [T, N, ...]``, the input in mV (current times resistance).

    >>> import torch
    >>> QIF(dt=1e-3)(torch.full((100, 1), 30.0)).sum()
    tensor(8.)
    """

    states = {"v": State(-65.0)}
    params = {
        "tau": Param(0.01, min=1e-6),
        "curvature": Param(0.1, min=0.0),
        "v_rest": Param(-65.0),
        "v_critical": Param(-50.0),
        "v_peak": Param(-20.0),
        "v_reset": Param(-68.0),
    }
    resets_to = "v_reset"
    drive = (30.0, 30.0)

    def __init__(
        self,
        tau: float | Tensor = 0.01,
        *,
        v_rest: float | Tensor = -65.0,
        dt: float = 1e-3,
        substeps: int = 1,
        initial: Mapping[str, float | Tensor] | None = None,
        **flags: Any,
    ) -> None:
        initial = starting(initial, v=v_rest)
        super().__init__(tau=tau, v_rest=v_rest, dt=dt, substeps=substeps, initial=initial, **flags)

    def step(
        self, x: Any, *, v: Any, tau: Any, curvature: Any, v_rest: Any, v_critical: Any, v_peak: Any, v_reset: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One Euler step, fire, reset."""
        u = v + (self.h / tau) * (curvature * (v - v_rest) * (v - v_critical) + x)
        s = self.fire(u, v_peak)
        return s, {"v": self.reset(u, s, v_peak, v_reset)}


class AdEx(ContinuousNeuron):
    """Adaptive exponential integrate-and-fire.

    .. code-block:: text

        C dv/dt = -g (v - v_rest) + g slope exp((v - v_threshold) / slope) - w + x
        tau_w dw/dt = a (v - v_rest) - w
        v >= v_peak:  spike, v = v_reset, w = w + b

    by the forward Euler method, both from the values before the step. Source, with the default constants: Brette &
    Gerstner, J. Neurophysiol. 94:3637 (2005). The exponent is cut at 20, so that no potential overflows: at -10.4 mV
    with the default constants, from where the upstroke needs less than a nanosecond to its peak.

    Args:
        capacitance: C in pF.
        conductance: g in nS.
        tau_w: time constant of the adaptation in seconds.
        a: coupling of potential to adaptation in nS.
        b: what a spike adds to the adaptation, in pA.
        v_rest, v_threshold, slope, v_peak, v_reset: potentials in mV.
        dt: length of a time step in seconds; 0.1 ms or less resolves the upstroke.
        substeps: parts of a step.
        initial: initial states; ``v_rest`` and 0 if not given.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; the reset is "value" (``v_reset``) or "none".

    Shape:
        ``[T, N, ...] -> [T, N, ...]``, the input in pA.

    >>> import torch
    >>> spikes = AdEx(dt=1e-4)(torch.full((4000, 1), 1000.0)).flatten()
    >>> times = spikes.nonzero().flatten()
    >>> bool(times[-1] - times[-2] > times[1] - times[0])       # it adapts
    True
    """

    states = {"v": State(-70.6), "w": State()}
    params = {
        "capacitance": Param(281.0, min=1e-3),
        "conductance": Param(30.0, min=0.0),
        "tau_w": Param(0.144, min=1e-6),
        "a": Param(4.0),
        "b": Param(80.5),
        "v_rest": Param(-70.6),
        "v_threshold": Param(-50.4),
        "slope": Param(2.0, min=1e-3),
        "v_peak": Param(20.0),
        "v_reset": Param(-70.6),
    }
    resets_to = "v_reset"
    drive = (4000.0, 4000.0)

    def __init__(
        self,
        *,
        v_rest: float | Tensor = -70.6,
        dt: float = 1e-4,
        substeps: int = 1,
        initial: Mapping[str, float | Tensor] | None = None,
        **flags: Any,
    ) -> None:
        initial = starting(initial, v=v_rest)
        super().__init__(v_rest=v_rest, dt=dt, substeps=substeps, initial=initial, **flags)

    def step(
        self,
        x: Any,
        *,
        v: Any,
        w: Any,
        capacitance: Any,
        conductance: Any,
        tau_w: Any,
        a: Any,
        b: Any,
        v_rest: Any,
        v_threshold: Any,
        slope: Any,
        v_peak: Any,
        v_reset: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """One Euler step, fire, reset and adapt."""
        upstroke = slope * exp(minimum((v - v_threshold) / slope, STEEPEST))
        # pA / pF = mV / ms
        u = v + (self.h * MILLI / capacitance) * (conductance * (v_rest - v + upstroke) - w + x)
        w = w + (self.h / tau_w) * (a * (v - v_rest) - w)
        s = self.fire(u, v_peak)
        return s, {"v": self.reset(u, s, v_peak, v_reset), "w": w + b * s}
