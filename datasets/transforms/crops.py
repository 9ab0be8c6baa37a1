"""Crops in space and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.records import copied, kept_of
from spikesim.datasets.transforms.base import Applied, EventTransform
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.settings import check_number
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError, EventError


@dataclass(frozen=True)
class CropTime(EventTransform):
    """Keep the events from ``min`` to ``max``, both included.

    As Tonic's ``CropTime``, except that without a ``max`` each recording has its own: Tonic's remembers the end
    of the first one and cuts all later ones there.

    Args:
        min: in microseconds.
        max: in microseconds; None for no end.

    Raises:
        ConfigError: ``max`` is before ``min``, or one of them is no number.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import CropTime
        >>> events = Events.from_columns([3, 4, 20], [5, 5, 9], [10, 250, 300], [1, 0, 1], (34, 34, 2))
        >>> CropTime(100, 250)(events).t.tolist()
        [250]
    """

    min: float = 0
    max: float | None = None
    reasons: ClassVar[tuple[str, ...]] = ("time",)

    def __post_init__(self) -> None:
        check_number("min", self.min, -np.inf, np.inf, "microseconds")
        if self.max is not None:
            check_number("max", self.max, -np.inf, np.inf, "microseconds, or None for no end")
        if self.max is not None and self.max < self.min:
            raise ConfigError(f"max is {self.max} and min is {self.min}; expected min <= max, in microseconds")

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`CropTime`."""
        t = stream.data["t"]
        keep = t >= self.min
        if self.max is not None:
            keep &= t <= self.max
        kept = kept_of(stream.data, keep)
        return Applied(kept, (len(t) - len(kept),))


@njit(cache=True, nogil=True)
def _crop(data: Any, left: Any, top: Any, width: Any, height: Any, out: Any) -> Any:
    place = 0
    for i in range(len(data)):
        x, y = np.int64(data[i]["x"]) - left, np.int64(data[i]["y"]) - top
        if 0 <= x < width and 0 <= y < height:
            out[place] = data[i]
            out[place]["x"] = x
            out[place]["y"] = y
            place += 1
    return place


def crop(data: NDArray[Any], left: int, top: int, width: int, height: int) -> NDArray[Any]:
    """The events of a window of the sensor, whose corner becomes (0, 0).

    >>> import numpy as np
    >>> data = np.array([(5, 6, 0, 1)], [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "u1")])
    >>> crop(data, 4, 4, 3, 3)[["x", "y"]].tolist(), len(crop(data, 0, 0, 3, 3))
    ([(1, 2)], 0)
    """
    out = np.empty(len(data), data.dtype)
    return copied(out[: _crop(data, left, top, width, height, out)])


def sides(name: str, size: Any) -> tuple[int, int]:
    """Width and height of a window, one number for both sides or two."""
    pair = tuple(size.tolist() if isinstance(size, np.ndarray) else size) if np.iterable(size) else (size, size)
    whole = all(isinstance(s, (int, np.integer)) and not isinstance(s, bool) and 1 <= s < 2**15 for s in pair)
    if len(pair) not in (2, 3) or not whole:  # three: a sensor size, as in Tonic
        raise ConfigError(f"{name}: size is {size!r}; expected one or two whole numbers of pixels")
    return int(pair[0]), int(pair[1])


def target_within(name: str, size: Any, sensor: SensorSize) -> tuple[int, int]:
    """The same, which must fit the sensor."""
    pair = sides(name, size)
    if pair[0] > sensor[0] or pair[1] > sensor[1]:
        raise EventError(
            f"{name}: a window of {pair[0]} x {pair[1]} does not fit the sensor {sensor[0]} x {sensor[1]}; "
            "give a smaller size"
        )
    return pair


@dataclass(frozen=True)
class CenterCrop(EventTransform):
    """Keep the middle of the sensor, or put a small sensor into the middle of a larger one.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`, which then are
            recordings of the other sensor.
        size: width and height of what is kept, or one number for both; a side that is larger than the sensor's gets
            a margin on both ends.

    Raises:
        ConfigError: the size is no positive whole number.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import CenterCrop
        >>> events = Events.from_columns([3, 17], [5, 16], [10, 250], [1, 0], (34, 34, 2))
        >>> cropped = CenterCrop(size=10)(events)
        >>> cropped.x.tolist(), cropped.y.tolist(), cropped.sensor_size
        ([5], [4], (10, 10, 2))
    """

    sensor_size: SensorSize | None = None
    size: int | tuple[int, int] = 1
    reasons: ClassVar[tuple[str, ...]] = ("outside",)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`CenterCrop`."""
        width, height = sides("CenterCrop", self.size)
        left, top = (stream.size[0] - width) // 2, (stream.size[1] - height) // 2
        kept = crop(stream.data, left, top, width, height)
        return Applied(kept, (len(stream.data) - len(kept),), 0, (width, height, stream.size[2]))


@dataclass(frozen=True)
class RandomCrop(EventTransform):
    """Keep a window of the sensor at a random place, every place as likely.

    Tonic's ``RandomCrop`` never takes the last column or row of places.

    Args:
        sensor_size: as in :class:`CenterCrop`.
        target_size: width and height of what is kept, or one number for both.
        seed: of the place, where no pipeline gives one.

    Raises:
        ConfigError: the size is no positive whole number.
        EventError: it is larger than the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import RandomCrop
        >>> RandomCrop(target_size=(8, 6))(Events.empty((34, 34, 2))).sensor_size
        (8, 6, 2)
    """

    sensor_size: SensorSize | None = None
    target_size: int | tuple[int, int] = 1
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("outside",)
    random: ClassVar[bool] = True

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`RandomCrop`."""
        width, height = target_within("RandomCrop", self.target_size, stream.size)
        left = int(draw.integers(0, stream.size[0] - width + 1, 1)[0])
        top = int(draw.integers(0, stream.size[1] - height + 1, 1)[0])
        kept = crop(stream.data, left, top, width, height)
        return Applied(kept, (len(stream.data) - len(kept),), 0, (width, height, stream.size[2]))
