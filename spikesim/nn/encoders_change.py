"""An encoder of sequences by their changes."""

from __future__ import annotations

from torch import Tensor, nn

from spikesim.dynamics import SpikeType
from spikesim.errors import ShapeError
from spikesim.nn.encoders import positive


class Delta(nn.Module):
    """Fire where the input of a step differs from that of the step before by a threshold or more ("delta modulation").

    For sequences: apply it to data ``[T, N, ...]`` before a network without an encoder. The step before the first is
    zero, or the first itself with ``skip_first``. By ``snntorch.spikegen.delta``.

    Args:
        threshold: least change that fires.
        signed: falls fire -1; else only rises fire.
        skip_first: nothing fires at the first step.

    Shape:
        ``[T, N, ...]`` to ``[T, N, ...]`` in {-1, 0, 1}.

    Raises:
        ConfigError: the threshold is no positive number.

    >>> import torch
    >>> Delta(1.0)(torch.tensor([[1.0], [2.5], [2.0], [0.5]])).flatten().tolist()
    [1.0, 1.0, 0.0, -1.0]
    """

    def __init__(self, threshold: float = 0.1, *, signed: bool = True, skip_first: bool = False) -> None:
        super().__init__()
        self.threshold = positive("Delta: threshold", threshold)
        self.signed, self.skip_first = signed, skip_first
        self.emits = SpikeType("signed" if signed else "binary")

    def extra_repr(self) -> str:
        """Constructor arguments in the module's printed form."""
        return f"threshold={self.threshold:g}, signed={self.signed}, skip_first={self.skip_first}"

    def forward(self, x: Tensor) -> Tensor:
        """Compare each step with the one before."""
        from snntorch import spikegen

        if x.dim() == 0 or not x.shape[0]:
            raise ShapeError(
                f"Delta: the input has shape {tuple(x.shape)}, but it must be [T, N, ...] with T of 1 or more"
            )
        spikes: Tensor = spikegen.delta(x, threshold=self.threshold, padding=self.skip_first, off_spike=self.signed)
        return spikes.to(x.dtype)
