"""Izhikevich's simple model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, State
from spikesim.neurons.continuous import MILLI, ContinuousNeuron, starting


class Izhikevich(ContinuousNeuron):
    """Izhikevich's simple model of spiking neurons.

    .. code-block:: text

        dv/dt = 0.04 v^2 + 5 v + 140 - u + x            (t in ms, v in mV)
        du/dt = a (b v - u)
        v >= threshold:  spike, v = c, u = u + d

    by Euler steps, u from the new v, as in the published programs. Sources: Izhikevich, IEEE Trans. Neural Netw.
    14:1569 (2003) and 15:1063 (2004). Three of the twenty patterns of 2004 need changed equations (``linear``,
    ``constant``, ``u_from``, ``u_leak``); :mod:`spikesim.neurons.izhikevich_patterns` has them all.

    Args:
        a: rate of the recovery u, in 1/ms.
        b: sensitivity of u to v.
        c: potential after a spike, in mV.
        d: what a spike adds to u.
        threshold: peak of a spike, in mV.
        linear, constant: the 5 and the 140 of the first equation.
        u_from, u_leak: ``du/dt = a (b (v - u_from) - u_leak u)``.
        dt: length of a time step in seconds; 0.5 ms or less.
        substeps: parts of a step.
        initial: initial states; c and b c if not given.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; the reset is "value" (c) or "none".

    Shape:
        ``[T, N, ...] -> [T, N, ...]``, the input as a rate of the potential, in mV/ms.

    >>> import torch
    >>> Izhikevich(dt=5e-4)(torch.full((400, 1), 10.0)).sum()     # regular spiking, 200 ms
    tensor(5.)
    """

    states = {"v": State(-65.0), "u": State(-13.0)}
    params = {
        "a": Param(0.02),
        "b": Param(0.2),
        "c": Param(-65.0),
        "d": Param(8.0),
        "threshold": Param(30.0),
    }
    resets_to = "c"
    drive = (15.0, 15.0)

    def __init__(
        self,
        a: float | Tensor = 0.02,
        b: float | Tensor = 0.2,
        c: float | Tensor = -65.0,
        d: float | Tensor = 8.0,
        *,
        linear: float = 5.0,
        constant: float = 140.0,
        u_from: float = 0.0,
        u_leak: float = 1.0,
        dt: float = 5e-4,
        substeps: int = 1,
        initial: Mapping[str, float | Tensor] | None = None,
        **flags: Any,
    ) -> None:
        v = (initial or {}).get("v", c)
        initial = starting(initial, v=v, u=b * v)
        super().__init__(a=a, b=b, c=c, d=d, dt=dt, substeps=substeps, initial=initial, **flags)
        self.linear, self.constant = float(linear), float(constant)
        self.u_from, self.u_leak = float(u_from), float(u_leak)

    def step(
        self, x: Any, *, v: Any, u: Any, a: Any, b: Any, c: Any, d: Any, threshold: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One Euler step of v, then of u, fire, reset."""
        h = self.h * MILLI
        peak = v + h * (0.04 * v * v + self.linear * v + self.constant - u + x)
        drive = b * (peak - self.u_from) if self.u_from else b * peak
        leak = u if self.u_leak == 1.0 else self.u_leak * u
        u = u + h * a * (drive - leak)
        s = self.fire(peak, threshold)
        return s, {"v": self.reset(peak, s, threshold, c), "u": u + d * s}
