"""Batches of framed recordings, time first."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class EventBatch:
    """A batch of framed event recordings.

    Counts stay uint8 until they are on the device that computes: ``batch.to(device)`` first, then
    ``batch.x.float()``, which moves a quarter of the bytes.

    Attributes:
        x: event counts, uint8 ``[T, N, C, H, W]``; other frames, such as time surfaces, in their own dtype.
        lengths: real time steps of each sample, int64 ``[N]``.
        mask: bool ``[T, N]``, true where a step is real; ``None`` where all are.
        y: labels, int64 ``[N]``; of mixed samples the share of each class, float32 ``[N, classes]``.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets import collate
        >>> batch = collate([(np.zeros((4, 2, 8, 8), np.uint8), 3), (np.zeros((2, 2, 8, 8), np.uint8), 1)])
        >>> tuple(batch.x.shape), batch.lengths.tolist(), batch.mask[:, 1].tolist(), batch.y.tolist()
        ((4, 2, 2, 8, 8), [4, 2], [True, True, False, False], [3, 1])
    """

    x: Tensor
    lengths: Tensor
    mask: Tensor | None
    y: Tensor

    @property
    def likeliest(self) -> Tensor:
        """The class with the largest share, int64 ``[N]``: ``y`` itself where samples are not mixed."""
        return self.y if self.y.ndim == 1 else self.y.argmax(1)

    def to(self, device: torch.device | str | int, non_blocking: bool = False) -> EventBatch:
        """Return the batch on ``device``; dtypes stay as they are.

        Args:
            device: where the tensors shall be.
            non_blocking: copy from pinned memory without waiting.
        """
        return EventBatch(
            self.x.to(device, non_blocking=non_blocking),
            self.lengths.to(device, non_blocking=non_blocking),
            None if self.mask is None else self.mask.to(device, non_blocking=non_blocking),
            self.y.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> EventBatch:
        """Return the batch in page-locked memory, for copies that overlap with work on a GPU."""
        return EventBatch(
            self.x.pin_memory(),
            self.lengths.pin_memory(),
            None if self.mask is None else self.mask.pin_memory(),
            self.y.pin_memory(),
        )
