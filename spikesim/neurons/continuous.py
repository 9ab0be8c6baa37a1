"""Models in continuous time: the length of a step, and how often it is divided."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from spikesim.dynamics import SpikeType
from spikesim.errors import ConfigError
from spikesim.neurons.spiking import Reset, SpikingNeuron

MILLI = 1000.0  # milliseconds in a second: model equations are written in ms, constants given in s


class ContinuousNeuron(SpikingNeuron):
    """A differential equation with a threshold, integrated in steps of ``dt / substeps``.

    The input of a time step is held for its whole length. With sub-steps a neuron may fire more than once in a step:
    it then emits the number of its spikes, and is declared so (graded).

    Args:
        dt: length of a time step in seconds.
        substeps: equal parts into which a step is divided.
        reset: see the family.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Raises:
        ConfigError: dt is not positive, or substeps not a whole number of at least 1.

    >>> from spikesim.neurons import EIF
    >>> EIF(dt=1e-3, substeps=4).emits
    SpikeType(kind='graded', bits=3, scale=1.0)
    """

    resets: ClassVar[tuple[str, ...]] = ("value", "none")
    drive: ClassVar[tuple[float, float]] = (0.4, 1.0)  # mean and spread of an input that makes it fire, for checks
    fires_once_a_step: ClassVar[bool] = False  # whether the model cannot fire twice within a time step

    def __init__(self, *, dt: float, substeps: int = 1, reset: Reset = "value", **flags: Any) -> None:
        self._divide(dt, substeps)
        if substeps > 1 and self.emits.kind == "binary" and not self.fires_once_a_step:
            self.emits = SpikeType("graded", bits=substeps.bit_length())
        super().__init__(reset=reset, **flags)

    def _divide(self, dt: float, substeps: int) -> None:
        name = type(self).__name__
        if isinstance(dt, bool) or not isinstance(dt, (int, float)) or not (math.isfinite(dt) and dt > 0):
            raise ConfigError(f"{name}: dt is {dt!r}, but it must be a positive number of seconds")
        if not isinstance(substeps, int) or isinstance(substeps, bool) or substeps < 1:
            raise ConfigError(f"{name}: substeps is {substeps!r}, but it must be a whole number of at least 1")
        self.dt = float(dt)
        self.substeps = substeps

    @property
    def h(self) -> float:
        """Length of a sub-step in seconds."""
        return self.dt / self.substeps

    def extra_repr(self) -> str:
        """Parameters, flags and the step."""
        return ", ".join([super().extra_repr(), f"dt={self.dt:g}", f"substeps={self.substeps}"])


def starting(initial: Mapping[str, float | Tensor] | None, **values: float | Tensor) -> dict[str, float | Tensor]:
    """Initial states: the family's, unless the user gave others.

    >>> starting({"v": -60.0}, v=-65.0, w=0.0)
    {'v': -60.0, 'w': 0.0}
    """
    return {**values, **(initial or {})}
