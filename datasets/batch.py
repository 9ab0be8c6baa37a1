"""Batches of framed recordings, time first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spikesim.errors import ShapeError


@dataclass(frozen=True)
class EventBatch:
    """A batch of framed event recordings.

    Frames stay uint8 until they are on the device that computes: ``batch.to(device)`` first, then
    ``batch.x.float()``, which moves a quarter of the bytes.

    Attributes:
        x: event counts, uint8 ``[T, N, C, H, W]``.
        lengths: real time steps of each sample, int64 ``[N]``.
        mask: bool ``[T, N]``, true where a step is real; ``None`` where all are.
        y: labels, int64 ``[N]``.

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


def collate(samples: Sequence[tuple[Any, int]]) -> EventBatch:
    """Stack framed samples along a new second axis; shorter ones are padded with zeros and masked.

    Args:
        samples: pairs of frames, uint8 ``[T, C, H, W]`` (array or tensor), and label. T may differ.

    Returns:
        The batch; ``mask`` is ``None`` when all samples are of the same length.

    Raises:
        ShapeError: there is no sample, or frames are not uint8 or differ in C, H, W.

    Example:
        See :class:`EventBatch`.
    """
    if not samples:
        raise ShapeError("a batch of no samples has no frame size; expected at least one sample")
    frames = [_as_frames(sample) for sample, _ in samples]
    sizes = {tuple(sample.shape[1:]) for sample in frames}
    if len(sizes) > 1:
        raise ShapeError(f"samples of one batch have frames of sizes {sorted(sizes)}; expected one [C, H, W]")
    lengths = torch.tensor([len(sample) for sample in frames], dtype=torch.int64)
    y = torch.tensor([label for _, label in samples], dtype=torch.int64)
    longest = int(lengths.max())
    if bool((lengths == longest).all()):
        return EventBatch(torch.stack(frames, dim=1), lengths, None, y)
    x = torch.zeros((longest, len(frames), *frames[0].shape[1:]), dtype=torch.uint8)
    for n, sample in enumerate(frames):
        x[: len(sample), n] = sample
    return EventBatch(x, lengths, torch.arange(longest)[:, None] < lengths, y)


def _as_frames(sample: Any) -> Tensor:
    try:
        frames = torch.as_tensor(sample)
    except (TypeError, ValueError, RuntimeError):
        frames = None
    if frames is None or frames.dtype != torch.uint8 or frames.ndim != 4 or len(frames) == 0:
        given = f"{tuple(frames.shape)} of {frames.dtype}" if frames is not None else type(sample).__name__
        raise ShapeError(
            f"a sample is {given}; expected frames, uint8 [T, C, H, W] with T of 1 or more. "
            "Frame the recordings first: FrameDataset(dataset, Frames(timesteps))"
        )
    return frames
