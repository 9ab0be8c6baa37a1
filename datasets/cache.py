"""Frames of a whole dataset, made once and kept in memory."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from spikesim.datasets.folder import EventDataset
from spikesim.datasets.frames import EventTally, Frames
from spikesim.errors import EventError

logger = logging.getLogger(__name__)


class FrameDataset(Dataset[tuple[Tensor, int]]):
    """A dataset framed once into one uint8 array, so that training does not decode again.

    1000 recordings of N-MNIST at T = 10 take 23 MB and about a second. Forked data workers share the array.
    For a part of it use ``torch.utils.data.Subset``.

    Args:
        dataset: recordings and labels, such as :class:`EventFolder`, without a transform.
        frames: how to frame them.

    Attributes:
        x: counts, uint8 ``[S, T, P, H, W]``.
        labels: int64 ``[S]``.
        classes: the name of each label.
        tally: events in, kept and lost to saturation, over the whole dataset.

    Raises:
        EventError: recordings differ in sensor size, or one of them is bad.

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

    def __init__(self, dataset: EventDataset, frames: Frames) -> None:
        self.classes = dataset.classes
        self.labels: NDArray[np.int64] = np.array(dataset.labels)
        self.x: NDArray[np.uint8] = np.empty((0, frames.timesteps, 0, 0, 0), np.uint8)
        totals = np.zeros(3, np.int64)
        silent: list[str] = []
        for index in range(len(dataset)):
            recording, _ = dataset[index]
            sample, tally = frames.framed(recording)
            if index == 0:
                self.x = np.empty((len(dataset), *sample.shape), np.uint8)
            elif sample.shape != self.x.shape[1:]:
                raise EventError(
                    f"sample {index} has frames {sample.shape}, the ones before {self.x.shape[1:]}; "
                    "expected one sensor size in a dataset: crop the recordings to one size"
                )
            self.x[index] = sample
            totals += tally
            if tally.events == 0:
                silent.append(str(dataset.files[index]) if hasattr(dataset, "files") else f"sample {index}")
        self.tally = EventTally(*totals.tolist())
        if silent:
            logger.warning(
                "%d of %d recordings hold no event and give empty frames: %s; remove them if that is not meant",
                len(silent),
                len(self.x),
                ", ".join(silent[:3]) + (", ..." if len(silent) > 3 else ""),
            )
        if self.tally.overflow:
            logger.warning(
                "%d of %d events are beyond the 255 that a frame can count; use more time steps",
                self.tally.overflow,
                self.tally.events,
            )

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> tuple[Tensor, int]:
        """Return the frames of one sample, uint8 ``[T, P, H, W]`` (a view), and its label."""
        return torch.from_numpy(self.x[index]), int(self.labels[index])
