"""The twenty firing patterns of Izhikevich (2004), with their constants and stimuli.

Source: E. M. Izhikevich, Which model to use for cortical spiking neurons?, IEEE Trans. Neural Netw. 15:1063 (2004),
fig. 1, and the program that the author published with it. Times are in ms here, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from spikesim.neurons.izhikevich import Izhikevich


@dataclass(frozen=True)
class Pattern:
    """One firing pattern: a neuron and what is done to it.

    Args:
        name: as in the paper.
        constants: a, b, c, d.
        v: initial potential in mV; u starts at b v unless given.
        dt: step in ms.
        duration: of the run, in ms.
        stimulus: input as a function of time in ms.
        u: initial recovery.
        changes: settings of the neuron whose equations differ.
    """

    name: str
    constants: tuple[float, float, float, float]
    v: float
    dt: float
    duration: float
    stimulus: Callable[[float], float]
    u: float | None = None
    changes: Mapping[str, float] = field(default_factory=dict)

    def neuron(self) -> Izhikevich:
        """The neuron in its initial state."""
        initial = {"v": self.v} if self.u is None else {"v": self.v, "u": self.u}
        changes: dict[str, Any] = dict(self.changes)
        return Izhikevich(*self.constants, dt=self.dt / 1000, initial=initial, **changes)

    def times(self) -> Tensor:
        """Times of the steps in ms, ``[T]``."""
        return torch.arange(round(self.duration / self.dt) + 1, dtype=torch.float64) * self.dt

    def input(self) -> Tensor:
        """The stimulus, ``[T, 1]``.

        >>> PATTERNS["tonic spiking"].input().shape
        torch.Size([401, 1])
        """
        return torch.tensor([[self.stimulus(t)] for t in self.times().tolist()])


def _step(at: float, level: float) -> Callable[[float], float]:
    return lambda t: level if t > at else 0.0


def _ramp(at: float, slope: float, base: float = 0.0) -> Callable[[float], float]:
    return lambda t: base + slope * max(0.0, t - at)


def _pulses(level: float, width: float, *starts: float, base: float = 0.0) -> Callable[[float], float]:
    return lambda t: level if any(s < t < s + width for s in starts) else base


def _threshold_variability(t: float) -> float:
    return 1.0 if 10 < t < 15 or 80 < t < 85 else -6.0 if 70 < t < 75 else 0.0


def _slow_and_fast_ramp(t: float) -> float:
    return t / 25 if t < 200 else (t - 300) / 12.5 * 4 if 300 <= t < 312.5 else 0.0


def _inhibition(t: float) -> float:
    return 80.0 if t < 50 or t > 250 else 75.0


_CLASS_1 = {"linear": 4.1, "constant": 108.0}
_ACCOMMODATION = {"u_from": -65.0, "u_leak": 0.0}

_ALL = (
    Pattern("tonic spiking", (0.02, 0.2, -65, 6), -70, 0.25, 100, _step(10, 14)),
    Pattern("phasic spiking", (0.02, 0.25, -65, 6), -64, 0.25, 200, _step(20, 0.5)),
    Pattern("tonic bursting", (0.02, 0.2, -50, 2), -70, 0.25, 220, _step(22, 15)),
    Pattern("phasic bursting", (0.02, 0.25, -55, 0.05), -64, 0.2, 200, _step(20, 0.6)),
    Pattern("mixed mode", (0.02, 0.2, -55, 4), -70, 0.25, 160, _step(16, 10)),
    Pattern("spike frequency adaptation", (0.01, 0.2, -65, 8), -70, 0.25, 85, _step(8.5, 30)),
    Pattern("class 1 excitable", (0.02, -0.1, -55, 6), -60, 0.25, 300, _ramp(30, 0.075), changes=_CLASS_1),
    Pattern("class 2 excitable", (0.2, 0.26, -65, 0), -64, 0.25, 300, _ramp(30, 0.015, -0.5)),
    Pattern("spike latency", (0.02, 0.2, -65, 6), -70, 0.2, 100, _pulses(7.04, 3, 10)),
    Pattern("subthreshold oscillations", (0.05, 0.26, -60, 0), -62, 0.25, 200, _pulses(2, 5, 20)),
    Pattern("resonator", (0.1, 0.26, -60, -1), -62, 0.25, 400, _pulses(0.65, 4, 40, 60, 280, 320)),
    Pattern(
        "integrator", (0.02, -0.1, -55, 6), -60, 0.25, 100, _pulses(9, 2, 100 / 11, 100 / 11 + 5, 70, 80),
        changes=_CLASS_1,
    ),
    Pattern("rebound spike", (0.03, 0.25, -60, 4), -64, 0.2, 200, _pulses(-15, 5, 20)),
    Pattern("rebound burst", (0.03, 0.25, -52, 0), -64, 0.2, 200, _pulses(-15, 5, 20)),
    Pattern("threshold variability", (0.03, 0.25, -60, 4), -64, 0.25, 100, _threshold_variability),
    Pattern("bistability", (0.1, 0.26, -60, 0), -61, 0.25, 300, _pulses(1.24, 5, 37.5, 216, base=0.24)),
    Pattern("depolarizing after-potential", (1, 0.2, -60, -21), -70, 0.1, 50, _pulses(20, 2, 9)),
    Pattern(
        "accommodation", (0.02, 1, -55, 4), -65, 0.5, 400, _slow_and_fast_ramp, u=-16, changes=_ACCOMMODATION
    ),
    Pattern("inhibition-induced spiking", (-0.02, -1, -60, 8), -63.8, 0.5, 350, _inhibition),
    Pattern("inhibition-induced bursting", (-0.026, -1, -45, -2), -63.8, 0.5, 350, _inhibition),
)  # fmt: skip

PATTERNS: Mapping[str, Pattern] = {p.name: p for p in _ALL}
