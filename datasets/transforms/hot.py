"""Hot pixels: found by how they stand out of their neighbours, in one recording or over a dataset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.transforms.base import Applied, EventTransform, outside
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.pixels import at_live_pixels
from spikesim.datasets.transforms.settings import check_positive
from spikesim.datasets.transforms.stream import Stream, stream_of
from spikesim.errors import EventError


@njit(cache=True, nogil=True)
def _count(data: Any, counts: Any) -> Any:
    height, width = counts.shape
    for i in range(len(data)):
        x, y = np.int64(data[i]["x"]), np.int64(data[i]["y"])
        if not (0 <= x < width and 0 <= y < height):
            return -1 - i
        counts[y, x] += 1
    return 0


@njit(cache=True, nogil=True)
def _hot(counts: Any, factor: Any, hot: Any) -> None:
    height, width = counts.shape
    around = np.empty(8)
    for y in range(height):
        for x in range(width):
            n = 0
            for v in range(max(y - 1, 0), min(y + 2, height)):
                for u in range(max(x - 1, 0), min(x + 2, width)):
                    if u != x or v != y:
                        around[n] = counts[v, u]
                        n += 1
            usual = np.median(around[:n]) if n else 0.0
            hot[y, x] = counts[y, x] > factor * max(usual, 1.0)


def hot_pixels(
    recordings: Iterable[Any], sensor_size: SensorSize | None = None, factor: float = 10.0
) -> list[tuple[int, int]]:
    """The hot pixels of a camera, from all its recordings together.

    What moves in a recording is elsewhere in the next one, a broken pixel is not; so this finds more of them, and
    fewer others, than a filter that sees one recording.

    Args:
        recordings: events, or pairs of events and a label, such as a dataset.
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        factor: as in :class:`HotPixelFilter`.

    Returns:
        Pairs (x, y) row by row, as :class:`spikesim.datasets.transforms.DropPixel` takes them.

    Raises:
        EventError: an event outside the sensor, or recordings of several sensors or of none that is known.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import hot_pixels
        >>> events = Events.from_columns([3] * 20, [5] * 20, range(20), [1] * 20, (34, 34, 2))
        >>> hot_pixels([(events, 0), (events, 1)], factor=30)
        [(3, 5)]
    """
    check_positive("factor", factor, "times the neighbours' events")
    counts: NDArray[np.int64] | None = None
    for k, recording in enumerate(recordings):
        stream = stream_of(recording[0] if isinstance(recording, tuple) else recording, sensor_size, "hot_pixels")
        if stream.sensor_size is None:
            raise EventError("hot_pixels needs the sensor_size of structured arrays: hot_pixels(..., (34, 34, 2))")
        shape = (stream.sensor_size[1], stream.sensor_size[0])
        if counts is None:
            counts = np.zeros(shape, np.int64)
        if counts.shape != shape:
            raise EventError(
                f"recording {k} is of {shape[1]} x {shape[0]} pixels, the ones before of {counts.shape[::-1]}"
            )
        bad = _count(stream.data, counts)
        if bad < 0:
            raise outside(stream.data, -1 - bad, stream.size, "hot_pixels")
    if counts is None:
        return []
    hot = np.empty(counts.shape, np.bool_)
    _hot(counts, float(factor), hot)
    return [(int(x), int(y)) for y, x in np.argwhere(hot)]


@dataclass(frozen=True)
class HotPixelFilter(EventTransform):
    """Drop all events of pixels that fire far more often than the pixels around them.

    A pixel is hot with more than ``factor`` times the median count of its (up to eight) neighbours, or ``factor``
    events where that median is below 1. What moves over the sensor excites neighbours alike, so that, unlike with a
    limit on the rate (:class:`spikesim.datasets.transforms.DropPixel`), busy regions stay. The rule is ours; its
    factor depends on the camera and is no more than a start. :func:`hot_pixels` goes by a whole dataset.

    Args:
        factor: above which times the neighbours' median a pixel is hot.
        sensor_size: as in :class:`spikesim.datasets.transforms.Denoise`.

    Raises:
        ConfigError: ``factor`` is not positive.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import HotPixelFilter
        >>> events = Events.from_columns([3] * 20 + [9], [5] * 21, range(21), [1] * 21, (34, 34, 2))
        >>> HotPixelFilter(factor=10)(events).x.tolist()
        [9]
    """

    factor: float = 10.0
    sensor_size: SensorSize | None = None
    reasons: ClassVar[tuple[str, ...]] = ("hot",)

    def __post_init__(self) -> None:
        check_positive("factor", self.factor, "times the neighbours' events")

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`HotPixelFilter`."""
        counts = np.zeros((stream.size[1], stream.size[0]), np.int64)
        bad = _count(stream.data, counts)
        if bad < 0:
            raise outside(stream.data, -1 - bad, stream.size, "HotPixelFilter")
        hot = np.empty(counts.shape, np.bool_)
        _hot(counts, float(self.factor), hot)
        return at_live_pixels(self, stream, hot)
