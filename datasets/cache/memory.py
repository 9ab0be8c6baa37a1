"""Frames of a whole dataset, made once and kept in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.cache.drawing import refuse_random
from spikesim.datasets.cache.fill import Advance, Filled, fill
from spikesim.datasets.cache.stored import StoredFrames
from spikesim.datasets.frames import EventTally
from spikesim.datasets.labels import class_names
from spikesim.datasets.transforms.pipeline import AccountRow
from spikesim.errors import ShapeError


class FrameDataset(StoredFrames):
    """A dataset framed once into one array in memory, so that training does not decode again.

    1000 recordings of N-MNIST at T = 10 take 23 MB and a fraction of a second. Forked data workers share the array.
    For a part of it use ``torch.utils.data.Subset``; to keep the frames for the next process
    :class:`spikesim.datasets.CachedFrames`.

    Args:
        dataset: recordings and labels, such as :class:`EventFolder`.
        frames: how to frame them: :class:`Frames`, or any transform or pipeline that ends in frames ``[T, C, H, W]``
            and is not random; ``None`` where the dataset gives frames itself.

    Attributes:
        steps: the frames of all samples behind each other, ``[sum of lengths, C, H, W]``.
        lengths: time steps of each sample, int64 ``[S]``.
        labels: int64 ``[S]``; see :class:`spikesim.datasets.cache.StoredFrames` for mixed ones.
        classes: the name of each label.
        account: what became of the events, one row for each transform.

    Raises:
        ConfigError: a transform draws random numbers.
        EventError: recordings differ in sensor size, or one of them is bad.
        ShapeError: the samples are no frames.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import FrameDataset, Frames, generate_ndigits, load_nmnist
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     train, _ = load_nmnist(generate_ndigits(Path(folder) / "ndigits", samples=20))
        ...     framed = FrameDataset(train, Frames(10))
        >>> tuple(framed.x.shape), framed.tally.overflow
        ((16, 10, 2, 34, 34), 0)
    """

    account: tuple[AccountRow, ...]

    def __init__(self, dataset: Any, frames: Callable[[Any], Any] | None) -> None:
        refuse_random(dataset, frames)
        steps, filled = fill_memory(dataset, frames)
        self.account = filled.account
        self._timesteps = getattr(frames, "timesteps", 0)
        self._hold(steps, filled.lengths, filled.labels, class_names(dataset))

    @property
    def x(self) -> NDArray[Any]:
        """Frames of all samples, ``[S, T, C, H, W]``.

        Raises:
            ShapeError: samples differ in length.
        """
        if len(self) and not (self.lengths == self.lengths[0]).all():
            raise ShapeError(
                f"samples have {self.lengths.min()} to {self.lengths.max()} time steps; expected one length for x: "
                "use steps and lengths"
            )
        return self.steps.reshape(len(self), self.lengths[0] if len(self) else self._timesteps, *self.steps.shape[1:])

    @property
    def tally(self) -> EventTally:
        """Events that came in, that the frames count, and that are beyond what they can count."""
        rows = self.account
        overflow = sum(row.dropped.get("overflow", 0) for row in rows)
        return EventTally(rows[0].events, rows[-1].kept, overflow) if rows else EventTally(0, 0, 0)


def fill_memory(
    dataset: Any, transform: Any, *, dtype: str | None = None, workers: int = 0, advance: Advance | None = None
) -> tuple[NDArray[Any], Filled]:
    """Frame a dataset into one array ``[sum of lengths, C, H, W]``; see :func:`spikesim.datasets.cache.fill.fill`."""
    steps, used = np.empty((0, 0, 0, 0), np.uint8), 0

    def write(frames: NDArray[Any]) -> None:
        nonlocal steps, used
        if used == 0:  # room for all, if they are as long as the first
            steps = np.empty((len(frames) * len(dataset), *frames.shape[1:]), frames.dtype)
        elif used + len(frames) > len(steps):
            grown = np.empty((max(len(steps) * 3 // 2, used + len(frames)), *steps.shape[1:]), steps.dtype)
            grown[:used] = steps[:used]
            steps = grown
        steps[used : used + len(frames)] = frames
        used += len(frames)

    filled = fill(dataset, transform, write, dtype=dtype, workers=workers, advance=advance)
    if used == 0:
        return np.empty((0, *filled.frame), filled.dtype), filled
    return steps[:used] if used > len(steps) // 2 else steps[:used].copy(), filled
