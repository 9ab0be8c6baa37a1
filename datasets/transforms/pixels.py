"""Transforms that silence whole pixels: given ones, those that fire too often, or some at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.transforms.base import Applied, EventTransform, outside
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.drops import without
from spikesim.datasets.transforms.settings import check_positive, check_probability
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError, EventError


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


def _are_pixels(given: Any) -> bool:
    return np.iterable(given) and all(
        np.iterable(pixel)
        and len(tuple(pixel)) == 2
        and all(isinstance(c, (int, np.integer)) and c >= 0 for c in pixel)
        for pixel in given
    )


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
        elif not _are_pixels(self.coordinates):
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
        for x, y in () if self.coordinates is None else self.coordinates:
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
