"""Frames of a whole dataset in one array: what is fetched from it, sample by sample or a batch at once."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from spikesim.datasets.batch import EventBatch
from spikesim.datasets.collation import mask_of
from spikesim.datasets.labels import label_at, targets_at
from spikesim.errors import ShapeError


class StoredFrames(Dataset[tuple[Tensor, Any]]):
    """Framed samples behind each other in one array, each as long as it is.

    Attributes:
        steps: the frames of all samples, ``[sum of lengths, C, H, W]``.
        lengths: time steps of each sample, int64 ``[S]``.
        labels: int64 ``[S]``; records of mixed labels ``[S]``; or the share of each class, float32 ``[S, classes]``.
        classes: the name of each label, empty where the dataset has none.
    """

    steps: NDArray[Any]
    lengths: NDArray[np.int64]
    labels: NDArray[Any]
    classes: tuple[str, ...] = ()
    _starts: NDArray[np.int64]

    def _hold(
        self, steps: NDArray[Any], lengths: NDArray[np.int64], labels: NDArray[Any], classes: Sequence[str]
    ) -> None:
        self.steps, self.lengths, self.labels, self.classes = steps, lengths, labels, tuple(classes)
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])[:-1]

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Any) -> tuple[Tensor, Any]:
        """Return the frames of one sample ``[T, C, H, W]`` (a view where they may be written to), and its label.

        Raises:
            IndexError: there is no such sample.
        """
        place = self._place(index)
        start = self._starts[place]
        frames = self.steps[start : start + self.lengths[place]]
        return torch.from_numpy(frames if frames.flags.writeable else frames.copy()), label_at(self.labels, place)

    def batch(self, indices: Sequence[int], classes: int | None = None) -> EventBatch:
        """Fetch a batch, time first, in one pass over the frames.

        ``np.take`` does it, since it copies whole frames with the interpreter's lock released: 4 us for a sample of
        N-MNIST, against 5 for torch's ``index_select`` and 15 for a loop of Numba's.

        Args:
            indices: of the samples, at least one.
            classes: how many there are, where :attr:`classes` does not tell; needed for mixed labels only.

        Returns:
            The batch, which shares no memory with the dataset.

        Raises:
            IndexError: there is no such sample.
            ShapeError: no sample is asked for, or labels are mixed and the number of classes is not known.
        """
        places = self._places(indices)
        if len(places) == 0:
            raise ShapeError("a batch of no samples was asked for; expected at least one sample")
        lengths = self.lengths[places]
        longest = int(lengths.max())
        x = torch.from_numpy(np.empty((longest, len(places), *self.steps.shape[1:]), self.steps.dtype))
        # Past the end of a sample its last step is read, so that the frames of the next one are not touched.
        behind = np.minimum(np.arange(longest)[:, None], lengths - 1)
        rows = (self._starts[places] + behind).ravel()
        np.take(self.steps, rows, axis=0, out=x.numpy().reshape(len(rows), *self.steps.shape[1:]), mode="clip")
        real = torch.from_numpy(np.array(lengths))
        mask = mask_of(real)
        if mask is not None:
            for n, length in enumerate(lengths.tolist()):
                x[length:, n] = 0
        return EventBatch(x, real, mask, targets_at(self.labels, places, classes or len(self.classes) or None))

    def _place(self, index: Any) -> int:
        place = operator.index(index)
        if not -len(self) <= place < len(self):
            raise IndexError(f"sample {place} was asked for; the dataset has {len(self)}")
        return place % len(self)

    def _places(self, indices: Sequence[int]) -> NDArray[np.int64]:
        return np.array([self._place(index) for index in indices], np.int64)
