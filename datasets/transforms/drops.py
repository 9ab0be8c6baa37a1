"""Transforms that drop events at random: single ones, stretches of time, areas and pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.records import kept_of
from spikesim.datasets.transforms.base import Applied, EventTransform, outside
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.settings import check_positive, check_probability
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError, EventError

Range = float | tuple[float, float]


def check_range(name: str, value: Any) -> None:
    """Refuse what is neither a share nor a pair of shares in ascending order.

    >>> check_range("p", (0.1, 0.5))
    """
    low, high = value if isinstance(value, (tuple, list)) and len(value) == 2 else (value, value)
    check_probability(name, low)
    check_probability(name, high)
    if low > high:
        raise ConfigError(f"{name} is {value!r}; expected the smaller number first")


def drawn(value: Range, draw: Draw) -> float:
    """The number itself, or a uniform one from the range."""
    return draw.number(*value) if isinstance(value, (tuple, list)) else float(value)


def without(data: NDArray[Any], keep: NDArray[np.bool_]) -> Applied:
    """The events that are kept, and how many are not."""
    kept = kept_of(data, keep)
    return Applied(kept, (len(data) - len(kept),))


def random_subset(count: int, chosen: int, draw: Draw) -> NDArray[np.bool_]:
    """A mask of ``chosen`` out of ``count``, every such set as likely."""
    mask = np.zeros(count, np.bool_)
    if chosen > 0:
        # The smallest of as many random numbers; cheaper than an order of all.
        numbers = draw.uniform(count)
        mask[np.argpartition(numbers, chosen - 1)[:chosen]] = True
    return mask


@dataclass(frozen=True)
class DropEvent(EventTransform):
    """Drop a share of the events, chosen at random; the number dropped is exact.

    Args:
        p: the share, or a range from which it is drawn for each recording.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: ``p`` is no share.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import DropEvent
        >>> events = Events.from_columns(range(10), [0] * 10, range(10), [1] * 10, (34, 34, 2))
        >>> len(DropEvent(0.3)(events))
        7
    """

    p: Range
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("random",)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range("p", self.p)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`DropEvent`."""
        n = len(stream.data)
        return without(stream.data, ~random_subset(n, int(drawn(self.p, draw) * n + 0.5), draw))


@dataclass(frozen=True)
class DropEventByTime(EventTransform):
    """Drop all events of a random stretch of time.

    The stretch lies between the first and the last event. Tonic's ``DropEventByTime`` takes the recording to begin at
    0, so that one which begins later loses less than was asked for.

    Args:
        duration_ratio: share of the duration, or a range from which it is drawn.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: no share.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import DropEventByTime
        >>> events = Events.from_columns([0] * 100, [0] * 100, range(9000, 9100), [1] * 100, (34, 34, 2))
        >>> len(DropEventByTime(0.5)(events)) in (49, 50, 51)
        True
    """

    duration_ratio: Range = 0.2
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("time",)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range("duration_ratio", self.duration_ratio)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`DropEventByTime`."""
        t = stream.data["t"].astype(np.int64, copy=False)
        ratio = drawn(self.duration_ratio, draw)
        if len(t) == 0 or ratio == 0:
            return Applied(stream.data, (0,))
        first, last = int(t.min()), int(t.max()) + 1
        length = (last - first) * ratio
        begin = draw.number(first, last - length)
        return without(stream.data, (t < begin) | (t >= begin + length))


@dataclass(frozen=True)
class DropEventByArea(EventTransform):
    """Drop all events of a random box of the sensor.

    Width and height of the box are ``area_ratio`` of the sensor's, as in Tonic, whose range of ratios however
    draws from its second number up to 1.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        area_ratio: share of each side, or a range from which it is drawn.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: no share.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import DropEventByArea
        >>> x, y = [k % 10 for k in range(100)], [k // 10 for k in range(100)]
        >>> events = Events.from_columns(x, y, [0] * 100, [1] * 100, (10, 10, 2))
        >>> len(DropEventByArea(area_ratio=0.5)(events))
        75
    """

    sensor_size: SensorSize | None = None
    area_ratio: Range = 0.2
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("area",)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range("area_ratio", self.area_ratio)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`DropEventByArea`."""
        ratio = drawn(self.area_ratio, draw)
        keep = np.ones(len(stream.data), np.bool_)
        inside = ~keep
        for axis, field in enumerate(("x", "y")):
            side = int(stream.size[axis] * ratio)
            begin = int(draw.integers(0, stream.size[axis] - side + 1, 1)[0])
            values = stream.data[field]
            within = (values >= begin) & (values < begin + side)
            inside = within if axis == 0 else inside & within
        return without(stream.data, keep & ~inside)


@dataclass(frozen=True)
class EventDrop(EventTransform):
    """One of four with equal chance: nothing, drop by time, by area, or single events.

    Source: Gu et al., IJCAI 2021 (arXiv:2106.05836), with its ranges: time and single events 0.1 to 0.9 in tenths,
    area 0.05 to 0.25 of each side.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        seed: where no pipeline gives one.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import EventDrop
        >>> len(EventDrop()(Events.empty((34, 34, 2))))
        0
    """

    sensor_size: SensorSize | None = None
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("time", "area", "random")
    random: ClassVar[bool] = True

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`EventDrop`."""
        which, tenths, twentieths = (int(draw.integers(low, high, 1)[0]) for low, high in ((0, 4), (1, 10), (1, 6)))
        ways = (
            DropEventByTime(tenths / 10),
            DropEventByArea(self.sensor_size, twentieths / 20),
            DropEvent(tenths / 10),
        )
        if which == 3:
            return Applied(stream.data, (0, 0, 0))
        applied = ways[which].apply(stream, draw)
        return Applied(applied.result, tuple(applied.dropped[0] if k == which else 0 for k in range(3)))


@njit(cache=True, nogil=True)
def _at_live_pixels(data: Any, dead: Any, keep: Any) -> Any:
    height, width = dead.shape
    for i in range(len(data)):
        x, y = np.int64(data[i]["x"]), np.int64(data[i]["y"])
        if not (0 <= x < width and 0 <= y < height):
            return -1 - i
        keep[i] = not dead[y, x]
    return 0


def at_live_pixels(transform: EventTransform, stream: Stream, dead: NDArray[np.bool_]) -> Applied:
    """The events of pixels that are not in ``dead``, bool ``[H, W]``."""
    keep = np.empty(len(stream.data), np.bool_)
    bad = _at_live_pixels(stream.data, dead, keep)
    if bad < 0:
        raise outside(stream.data, -1 - bad, stream.size, type(transform).__name__)
    return without(stream.data, keep)


def sides_of(raster: NDArray[Any]) -> tuple[int, int]:
    """Height and width of frames ``[P, H, W]`` or ``[T, P, H, W]``.

    >>> sides_of(np.ones((2, 1, 3)))
    (1, 3)
    """
    if raster.ndim not in (3, 4):
        raise EventError(f"frames are of shape {raster.shape}; expected [P, H, W] or [T, P, H, W]")
    return raster.shape[-2], raster.shape[-1]


def silenced(raster: NDArray[Any], dead: NDArray[np.bool_]) -> NDArray[Any]:
    """A copy of frames ``[..., H, W]`` in which the pixels of ``dead``, bool ``[H, W]``, are 0.

    >>> silenced(np.ones((2, 1, 2)), np.array([[True, False]])).tolist()
    [[[0.0, 1.0]], [[0.0, 1.0]]]
    """
    kept = raster.copy()
    kept[..., dead] = 0
    return kept


@dataclass(frozen=True)
class DropPixel(EventTransform):
    """Drop all events of some pixels: given ones, or those that fire too often ("hot" pixels).

    Of frames, given pixels become 0; a rate has no meaning there. (Tonic takes the rate for a number of events there,
    and changes the frames that it was given.)

    Args:
        coordinates: pairs (x, y).
        hot_pixel_frequency: mean rate in events per second, over the span of the recording, above which a pixel is
            dropped.
        sensor_size: as in :class:`spikesim.datasets.transforms.Denoise`.

    Raises:
        ConfigError: neither or both are given, or they make no sense.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import DropPixel
        >>> events = Events.from_columns([3, 3, 3, 9], [5, 5, 5, 9], [0, 400, 800, 1000], [1] * 4, (34, 34, 2))
        >>> DropPixel([(3, 5)])(events).x.tolist(), DropPixel(hot_pixel_frequency=2000)(events).x.tolist()
        ([9], [9])
    """

    coordinates: Sequence[Sequence[int]] | None = None
    hot_pixel_frequency: float | None = None
    sensor_size: SensorSize | None = None
    reasons: ClassVar[tuple[str, ...]] = ("pixel",)
    rasters: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if (self.coordinates is None) == (self.hot_pixel_frequency is None):
            raise ConfigError(
                "DropPixel takes either coordinates, such as [(3, 5)], or hot_pixel_frequency in events per second"
            )
        if self.hot_pixel_frequency is not None:
            check_positive("hot_pixel_frequency", self.hot_pixel_frequency, "events per second")
        elif not all(len(pixel) == 2 and min(pixel) >= 0 for pixel in self.coordinates or ()):
            raise ConfigError(f"coordinates is {self.coordinates!r}; expected pairs (x, y) of whole numbers from 0 on")

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`DropPixel`."""
        width, height, _ = stream.size
        data, dead = stream.data, self._given(width, height)
        if self.coordinates is None and len(data):
            seconds = (int(data["t"].max()) - int(data["t"].min())) * 1e-6
            if not stream.checked:
                at_live_pixels(self, stream, dead)  # refuses events outside the sensor
            pixel = data["y"].astype(np.int64) * width + data["x"].astype(np.int64)
            counts = np.bincount(pixel, minlength=width * height)
            dead = (counts > (self.hot_pixel_frequency or 0) * seconds).reshape(height, width)
            dead &= bool(seconds)  # one moment has no rate
        return at_live_pixels(self, stream, dead)

    def _given(self, width: int, height: int) -> NDArray[np.bool_]:
        dead = np.zeros((height, width), np.bool_)
        for x, y in self.coordinates or ():
            if x < width and y < height:
                dead[y, x] = True
        return dead

    def apply_raster(self, raster: NDArray[Any], draw: Draw) -> NDArray[Any]:
        """See :class:`DropPixel`."""
        if self.coordinates is None:
            raise EventError("DropPixel by frequency needs events, not frames: let it come before ToFrame")
        height, width = sides_of(raster)
        return silenced(raster, self._given(width, height))


@dataclass(frozen=True)
class RandomDropPixel(EventTransform):
    """Drop all events of pixels that are chosen at random, each with a probability; of frames, too.

    Args:
        p: the probability.
        sensor_size: ``(W, H, P)``; may be left out.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: ``p`` is no probability.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import RandomDropPixel
        >>> len(RandomDropPixel(1.0)(Events.from_columns([3], [5], [0], [1], (34, 34, 2))))
        0
    """

    p: float = 0.1
    sensor_size: SensorSize | None = None
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("pixel",)
    random: ClassVar[bool] = True
    rasters: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_probability("p", self.p)

    def apply_raster(self, raster: NDArray[Any], draw: Draw) -> NDArray[Any]:
        """See :class:`RandomDropPixel`."""
        height, width = sides_of(raster)
        return silenced(raster, (draw.uniform(width * height) < self.p).reshape(height, width))

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`RandomDropPixel`."""
        width, height, _ = stream.size
        return at_live_pixels(self, stream, (draw.uniform(width * height) < self.p).reshape(height, width))
