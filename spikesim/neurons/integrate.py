"""Integrate-and-fire, without leak."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, State
from spikesim.neurons.spiking import SpikingNeuron


class IF(SpikingNeuron):
    """Integrate-and-fire.

    .. code-block:: text

        u(t) = v(t-1) + x(t)
        s(t) = [u(t) >= threshold]
        v(t) = u(t) - threshold s(t)        (reset="subtract")

    With the reset by subtraction its firing rate is a quantised, clipped ReLU of the mean input
    (Rueckauer et al., Front. Neurosci. 11:682, 2017), which is why conversion uses it.

    Args:
        threshold: potential at which it fires, in the unit of the input; one value, or one per channel.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> IF()(torch.full((5, 1), 0.4)).flatten()
    tensor([0., 0., 1., 0., 1.])
    """

    states = {"v": State()}
    params = {"threshold": Param(1.0)}

    def __init__(self, threshold: float | Tensor = 1.0, **flags: Any) -> None:
        super().__init__(threshold=threshold, **flags)

    def step(self, x: Any, *, v: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Integrate, fire, reset."""
        u = v + x
        s = self.fire(u, threshold)
        return s, {"v": self.reset(u, s, threshold)}
