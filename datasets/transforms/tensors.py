"""Further forms of frames: one image, sparse tensors, frames of several bits, and frames of fewer events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.transforms.base import Applied, EventTransform
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.frames import ToFrame
from spikesim.datasets.transforms.settings import check_whole
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError, ShapeError


@dataclass(frozen=True)
class ToImage(EventTransform):
    """Count all events of a recording in one image.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        dtype: as in :class:`spikesim.datasets.transforms.ToFrame`.

    Shape:
        ``[P, H, W]``.

    Raises:
        ConfigError: another dtype.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import ToImage
        >>> ToImage()(Events.from_columns([1, 1], [0, 0], [10, 20], [1, 1], (2, 1, 2))).tolist()
        [[[0, 0]], [[0, 2]]]
    """

    sensor_size: SensorSize | None = None
    dtype: str = "uint8"
    reasons: ClassVar[tuple[str, ...]] = ("overflow",)

    def __post_init__(self) -> None:
        self._frame()

    def _frame(self) -> ToFrame:
        return ToFrame(self.sensor_size, n_time_bins=1, dtype=self.dtype)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`ToImage`."""
        applied = self._frame().apply(stream, draw)
        return Applied(applied.result[0], (applied.dropped[1],))


@dataclass(frozen=True)
class ToSparseTensor(ToFrame):
    """Frames of counts as a sparse tensor of torch's; settings as in :class:`spikesim.datasets.transforms.ToFrame`.

    Shape:
        sparse COO ``[T, P, H, W]``.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import ToSparseTensor
        >>> ToSparseTensor(n_time_bins=2)(Events.from_columns([1], [0], [10], [1], (2, 1, 2))).to_dense().sum()
        tensor(1)
    """

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`ToSparseTensor`."""
        applied = super().apply(stream, draw)
        frames = applied.result
        flat = frames.reshape(-1)
        where = np.flatnonzero(flat)
        indices = np.stack(np.unravel_index(where, frames.shape))
        sparse = torch.sparse_coo_tensor(
            torch.from_numpy(indices),
            torch.from_numpy(flat[where]),
            frames.shape,
            is_coalesced=True,
            check_invariants=False,  # flatnonzero gives them
        )
        return applied._replace(result=sparse)


@dataclass(frozen=True)
class ToBinaRep:
    """Take the events of ``n_bits`` frames as the bits of one number from 0 to 1, the first frame as the highest bit.

    Source: Barchid et al., 2022 (arXiv:2202.13662).

    Args:
        n_frames: T, frames that result.
        n_bits: frames behind each, from 2 to 24 (what a float32 holds exactly).

    Shape:
        ``[T * n_bits, P, H, W] -> [T, P, H, W]``, float32.

    Raises:
        ConfigError: a number out of range.
        ShapeError: frames of another number.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.transforms import ToBinaRep
        >>> ToBinaRep(n_frames=1, n_bits=2)(np.array([1, 0]).reshape(2, 1, 1, 1)).round(3).tolist()
        [[[[0.6669999957084656]]]]
    """

    n_frames: int = 1
    n_bits: int = 8

    def __post_init__(self) -> None:
        check_whole("n_frames", self.n_frames, 1)
        check_whole("n_bits", self.n_bits, 2)
        if self.n_bits > 24:
            raise ConfigError(f"n_bits is {self.n_bits}; expected at most 24, what a float32 holds exactly")

    def __call__(self, frames: NDArray[Any]) -> NDArray[np.float32]:
        """Pack frames.

        Args:
            frames: counts ``[T * n_bits, P, H, W]``; what counts is whether there was an event.
        """
        expected = self.n_frames * self.n_bits
        if frames.ndim != 4 or len(frames) != expected:
            raise ShapeError(
                f"ToBinaRep was given frames {frames.shape}; expected [{expected}, P, H, W], {self.n_bits} for each of "
                f"{self.n_frames}: ToFrame(n_time_bins={expected})"
            )
        bits = (frames > 0).reshape(self.n_frames, self.n_bits, *frames.shape[1:])
        packed = np.zeros((self.n_frames, *frames.shape[1:]), np.uint32)
        for k in range(self.n_bits):
            packed <<= 1
            packed |= bits[:, k]
        return (packed / (2**self.n_bits - 1)).astype(np.float32)
