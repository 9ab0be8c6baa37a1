"""The one activation of the canonical form: ReLU, with or without a cap, a staircase that was trained, or none."""

from __future__ import annotations

from torch import Tensor, nn

from spikesim.converters.trained import QCFS


class Rectifier(nn.Module):
    """``min(max(x, 0), cap)``: stands for ReLU (no cap), ReLU6 and Hardtanh(0, cap) until a neuron replaces it.

    Args:
        cap: Largest output, or None.
        trained: An activation with a learnt range, which is what it computes then.
        signed: Hands both signs on: not an activation but a place where analog values become spikes.

    Example:
        >>> import torch
        >>> from spikesim.converters.rectifier import Rectifier
        >>> Rectifier(cap=6.0)(torch.tensor([-1.0, 2.0, 9.0])).tolist()
        [0.0, 2.0, 6.0]
    """

    def __init__(self, cap: float | None = None, trained: QCFS | None = None, signed: bool = False) -> None:
        super().__init__()
        self.cap = cap
        self.trained = trained
        self.signed = signed

    def forward(self, x: Tensor) -> Tensor:
        """Rectify ``x`` of any shape."""
        if self.signed:
            return x
        return x.clamp(0.0, self.cap) if self.trained is None else self.trained(x)
