"""Spikes in two phases: first find out who should be silent, then speak (SRP)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, State, where
from spikesim.neurons import SpikingNeuron

_SILENT = 1e-3
"""Potential above which a neuron may speak; with less it has sent more than it was given."""


class ResidualIF(SpikingNeuron):
    """Integrate-and-fire that listens to itself first.

    .. code-block:: text

        for the first `wait` steps: as IF
        then, once:                 silent = [v <= 0.001];  v = threshold / 2
        after that:                 as IF, but a silent neuron sends nothing

    A potential below zero after the first phase tells a neuron that fired although its mean input is negative; such
    spikes are the larger part of the error of unevenness. Source: Hao et al., AAAI 2023 (SRP).

    Args:
        threshold: potential at which it fires, in the unit of the input.
        wait: steps of the first phase.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.residual import ResidualIF
        >>> x = torch.tensor([1.2, -1.5, 0.6, 0.6, 0.6]).reshape(5, 1)
        >>> ResidualIF(wait=2)(x).flatten().tolist()  # its first spike was a mistake
        [1.0, 0.0, 0.0, 0.0, 0.0]
    """

    states = {"v": State(0.5), "t": State(), "silent": State()}
    params = {"threshold": Param(1.0, min=1e-6), "wait": Param(4.0, min=0.0)}

    def __init__(self, threshold: float | Tensor = 1.0, wait: int = 4, **flags: Any) -> None:
        super().__init__(threshold=threshold, wait=float(wait), **flags)

    def step(self, x: Any, *, v: Any, t: Any, silent: Any, threshold: Any, wait: Any) -> tuple[Any, dict[str, Any]]:
        """Integrate and fire; between the phases decide who is silent."""
        between = t == wait
        silent = where(between, where(v > _SILENT, 0.0, 1.0), silent)
        u = where(between, 0.5 * threshold, v) + x
        fired = self.fire(u, threshold)
        s = where(silent > 0.0, 0.0, fired)
        return s, {"v": self.reset(u, fired, threshold), "t": t + 1.0, "silent": silent}
