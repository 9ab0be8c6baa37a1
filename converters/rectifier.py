"""The one activation of the canonical form: ReLU, with or without a cap, or a staircase that was trained."""

from __future__ import annotations

from torch import Tensor, nn

from spikesim.converters.trained import QCFS


class Rectifier(nn.Module):
    """``min(max(x, 0), cap)``: stands for ReLU (no cap), ReLU6 and Hardtanh(0, cap) until a neuron replaces it.

    Args:
        cap: Largest output, or None.
        trained: An activation with a learnt range, which is what it computes then.

    Example:
        >>> import torch
        >>> from spikesim.converters.rectifier import Rectifier
        >>> Rectifier(cap=6.0)(torch.tensor([-1.0, 2.0, 9.0])).tolist()
        [0.0, 2.0, 6.0]
    """

    def __init__(self, cap: float | None = None, trained: QCFS | None = None) -> None:
        super().__init__()
        self.cap = cap
        self.trained = trained

    def forward(self, x: Tensor) -> Tensor:
        """Rectify ``x`` of any shape."""
        return x.clamp(0.0, self.cap) if self.trained is None else self.trained(x)
