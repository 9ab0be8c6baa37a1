"""A neuron without a membrane: it fires where its input reaches the threshold."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from spikesim.dynamics import Param, State
from spikesim.neurons.spiking import SpikingNeuron


class Threshold(SpikingNeuron):
    """Fire where the input reaches the threshold; nothing is carried from step to step.

    .. code-block:: text

        s(t) = [x(t) >= threshold]

    What a parallel spiking neuron does with its potentials (:class:`spikesim.nn.PSN`).

    Args:
        threshold: input at which it fires.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> Threshold(0.5)(torch.tensor([[0.4], [0.6]])).flatten()
    tensor([0., 1.])
    """

    states: dict[str, State] = {}
    params = {"threshold": Param(1.0)}
    potentials: ClassVar[tuple[str, ...]] = ()
    resets = ("none",)

    def __init__(self, threshold: float | Tensor = 1.0, **flags: Any) -> None:
        super().__init__(threshold=threshold, **{"reset": "none", **flags})

    def step(self, x: Any, *, threshold: Any) -> tuple[Any, dict[str, Any]]:
        """Fire."""
        return self.fire(x, threshold), {}
