"""Samples side by side: what a loader makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikesim.datasets.batch import EventBatch
from spikesim.datasets.labels import column_of, targets_at
from spikesim.errors import ShapeError

FRAME_DTYPES = (torch.uint8, torch.uint16, torch.int16, torch.int32, torch.float16, torch.float32)
"""What frames may be made of; float64 is refused, since nothing behind it computes in double precision."""


def collate(samples: Sequence[tuple[Any, Any]], classes: int | None = None) -> EventBatch:
    """Stack framed samples along a new second axis; shorter ones are padded with zeros and masked.

    Args:
        samples: pairs of frames ``[T, C, H, W]`` (array or tensor, uint8 or another of :data:`FRAME_DTYPES`) and
            label: a class number, a :class:`spikesim.datasets.transforms.MixedLabel`, or a share for each class.
            T may differ.
        classes: number of classes, needed for mixed labels.

    Returns:
        The batch; ``mask`` is ``None`` when all samples are of the same length.

    Raises:
        ShapeError: there is no sample, frames are of another form or differ in C, H, W or dtype, a label is no
            label, or labels are mixed and ``classes`` is not given.

    Example:
        See :class:`EventBatch`.
    """
    if not samples:
        raise ShapeError("a batch of no samples has no frame size; expected at least one sample")
    frames = [as_frames(sample) for sample, _ in samples]
    sizes, dtypes = sorted({tuple(sample.shape[1:]) for sample in frames}), {sample.dtype for sample in frames}
    if len(sizes) > 1 or len(dtypes) > 1:
        raise ShapeError(
            f"samples of one batch have frames of sizes {sizes} and dtypes {', '.join(sorted(map(str, dtypes)))}; "
            "expected one [C, H, W] and one dtype"
        )
    y = targets_at(column_of([label for _, label in samples]), slice(None), classes)
    lengths = torch.tensor([len(sample) for sample in frames], dtype=torch.int64)
    mask = mask_of(lengths)
    if mask is None:
        return EventBatch(torch.stack(frames, dim=1), lengths, None, y)
    x = torch.zeros((len(mask), len(frames), *frames[0].shape[1:]), dtype=frames[0].dtype)
    for n, sample in enumerate(frames):
        x[: len(sample), n] = sample
    return EventBatch(x, lengths, mask, y)


def pair_of(sample: Any, index: int) -> tuple[Any, Any]:
    """Frames and label of what a dataset gives.

    Args:
        sample: what it gave.
        index: of the sample.

    Raises:
        ShapeError: it is no pair.

    >>> pair_of((None, 3), 0)
    (None, 3)
    """
    if isinstance(sample, (tuple, list)) and len(sample) == 2:
        return sample[0], sample[1]
    given = f"a {type(sample).__name__}" + (f" of {len(sample)}" if isinstance(sample, (tuple, list)) else "")
    raise ShapeError(f"sample {index} of the dataset is {given}; expected a pair of frames and label")


def mask_of(lengths: Tensor) -> Tensor | None:
    """Which steps are real.

    Args:
        lengths: of the samples, int64 ``[N]``, at least one.

    Returns:
        bool ``[T, N]``, T the longest; ``None`` where all are of one length.

    >>> mask_of(torch.tensor([2, 1])).tolist(), mask_of(torch.tensor([2, 2]))
    ([[True, True], [True, False]], None)
    """
    longest = int(lengths.max())
    if bool((lengths == longest).all()):
        return None
    return torch.arange(longest)[:, None] < lengths


def as_frames(sample: Any, what: str = "a sample") -> Tensor:
    """Frames as a tensor.

    Args:
        sample: array or tensor ``[T, C, H, W]``.
        what: how the message names it.

    Raises:
        ShapeError: it is something else.

    >>> as_frames(torch.zeros(4, 2, 8, 8, dtype=torch.uint8)).shape
    torch.Size([4, 2, 8, 8])
    """
    try:
        # torch takes no array with negative strides, and warns of one that must not be written.
        frames = torch.as_tensor(np.require(sample, None, ["C", "W"]) if isinstance(sample, np.ndarray) else sample)
    except (TypeError, ValueError, RuntimeError):
        frames = None
    if frames is None or frames.dtype not in FRAME_DTYPES or frames.ndim != 4 or len(frames) == 0:
        given = f"{tuple(frames.shape)} of {frames.dtype}" if frames is not None else type(sample).__name__
        raise ShapeError(
            f"{what} is {given}; expected frames, uint8 [T, C, H, W] with T of 1 or more (or one of "
            f"{', '.join(str(dtype).removeprefix('torch.') for dtype in FRAME_DTYPES[1:])}). "
            "Frame the recordings first: with the transform Frames(10) in the dataset, or with "
            "FrameDataset(dataset, Frames(10)) or CachedFrames(dataset, Frames(10))"
        )
    return frames
