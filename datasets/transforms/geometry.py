"""Turned, sheared, rolled and covered recordings: geometry on the events themselves, before any framing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.records import copied
from spikesim.datasets.transforms.base import Applied, EventTransform, outside
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.pixels import at_live_pixels
from spikesim.datasets.transforms.settings import check_number, check_whole
from spikesim.datasets.transforms.stream import Stream


@njit(cache=True, nogil=True)
def _roll(data: Any, dx: Any, dy: Any, width: Any, height: Any, out: Any) -> Any:
    for i in range(len(data)):
        x, y = np.int64(data[i]["x"]), np.int64(data[i]["y"])
        if not (0 <= x < width and 0 <= y < height):
            return -1 - i
        out[i]["x"] = (x + dx) % width
        out[i]["y"] = (y + dy) % height
    return len(data)


@njit(cache=True, nogil=True)
def _turn(data: Any, xx: Any, xy: Any, yx: Any, yy: Any, width: Any, height: Any, out: Any) -> Any:
    """Move each event by a matrix about the middle of the sensor, to the nearest pixel; give how many stay on it."""
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    place = 0
    for i in range(len(data)):
        x, y = np.int64(data[i]["x"]), np.int64(data[i]["y"])
        if not (0 <= x < width and 0 <= y < height):
            return -1 - i
        across, down = x - middle_x, y - middle_y
        to_x = np.int64(np.floor(xx * across + xy * down + middle_x + 0.5))
        to_y = np.int64(np.floor(yx * across + yy * down + middle_y + 0.5))
        if 0 <= to_x < width and 0 <= to_y < height:
            out[place] = data[i]
            out[place]["x"] = to_x
            out[place]["y"] = to_y
            place += 1
    return place


def turned(stream: Stream, matrix: tuple[float, float, float, float], what: str) -> Applied:
    """The events moved by a matrix about the middle of the sensor; those that leave it are dropped.

    Args:
        stream: the events.
        matrix: by rows: ``x' = m[0] x + m[1] y``, ``y' = m[2] x + m[3] y``.
        what: name of the transform, for the message.
    """
    width, height, _ = stream.size
    out = np.empty(len(stream.data), stream.data.dtype)
    kept = _turn(stream.data, *(float(m) for m in matrix), width, height, out)
    if kept < 0:
        raise outside(stream.data, -1 - kept, stream.size, what)
    return Applied(copied(out[:kept]), (len(out) - kept,))


def check_angle(name: str, degrees: Any, limit: float) -> None:
    """Refuse what is no largest angle.

    >>> check_angle("degrees", 30, 180)
    """
    check_number(name, degrees, 0, limit, f"a largest angle from 0 to {limit:g} degrees")


@dataclass(frozen=True)
class RandomRoll(EventTransform):
    """Shift a recording by whole pixels; what leaves the sensor on one side comes in on the other.

    Source: "rolling" of Li et al., Neuromorphic Data Augmentation, ECCV 2022 (arXiv:2203.06145).

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        max_pixels: largest shift along each axis; all shifts up to it are as likely.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: ``max_pixels`` is no whole number from 0 on.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import RandomRoll
        >>> rolled = RandomRoll(max_pixels=2)(Events.from_columns([33], [5], [0], [1], (34, 34, 2)))
        >>> int(rolled.x[0]) in (31, 32, 33, 0, 1)
        True
    """

    sensor_size: SensorSize | None = None
    max_pixels: int = 5
    seed: int | None = None
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("max_pixels", self.max_pixels, 0)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`RandomRoll`."""
        dx, dy = draw.integers(-self.max_pixels, self.max_pixels + 1, 2).tolist()
        out = copied(stream.data)
        bad = _roll(stream.data, dx, dy, stream.size[0], stream.size[1], out)
        if bad < 0:
            raise outside(stream.data, -1 - bad, stream.size, "RandomRoll")
        return Applied(out)


@dataclass(frozen=True)
class RandomRotate(EventTransform):
    """Turn a recording about the middle of the sensor, by an angle that is drawn for the recording.

    Each event moves to the pixel nearest to where the turn takes it, so two pixels may become one and some stay
    without any; events that leave the sensor are dropped. Source: Li et al., ECCV 2022 (arXiv:2203.06145), who turn
    frames.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        degrees: largest angle; angles from minus to plus this are as likely, positive ones turn from x toward y.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: no angle from 0 to 180.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import RandomRotate
        >>> len(RandomRotate(degrees=15)(Events.from_columns([16], [17], [0], [1], (34, 34, 2))))
        1
    """

    sensor_size: SensorSize | None = None
    degrees: float = 30.0
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("outside",)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_angle("degrees", self.degrees, 180)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`RandomRotate`."""
        angle = np.deg2rad(draw.number(-self.degrees, self.degrees))
        cosine, sine = float(np.cos(angle)), float(np.sin(angle))
        return turned(stream, (cosine, -sine, sine, cosine), "RandomRotate")


@dataclass(frozen=True)
class RandomShear(EventTransform):
    """Lean a recording to one side: each row moves along x by its distance from the middle row times ``tan(angle)``.

    Events that leave the sensor are dropped. Source: Li et al., ECCV 2022 (arXiv:2203.06145), who shear frames.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        degrees: largest angle; angles from minus to plus this are as likely.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: no angle from 0 to 89.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import RandomShear
        >>> RandomShear(degrees=30)(Events.from_columns([16], [17], [0], [1], (35, 35, 2))).x.tolist()
        [16]
    """

    sensor_size: SensorSize | None = None
    degrees: float = 30.0
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("outside",)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_angle("degrees", self.degrees, 89)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`RandomShear`."""
        slope = float(np.tan(np.deg2rad(draw.number(-self.degrees, self.degrees))))
        return turned(stream, (1.0, slope, 0.0, 1.0), "RandomShear")


@dataclass(frozen=True)
class RandomCutout(EventTransform):
    """Drop all events of a square whose middle is any pixel; at the edge of the sensor less of it is left.

    Source: DeVries and Taylor 2017 (arXiv:1708.04552), on events; their code leaves
    out a row and a column where the side is odd.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        side: of the square, in pixels.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: ``side`` is no whole number from 1 on.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import RandomCutout
        >>> len(RandomCutout(side=200)(Events.from_columns([3], [5], [0], [1], (34, 34, 2))))
        0
    """

    sensor_size: SensorSize | None = None
    side: int = 16
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("cutout",)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("side", self.side, 1)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`RandomCutout`."""
        width, height, _ = stream.size
        x, y = int(draw.integers(0, width, 1)[0]), int(draw.integers(0, height, 1)[0])
        dead = np.zeros((height, width), np.bool_)
        left, top = x - self.side // 2, y - self.side // 2
        dead[max(top, 0) : max(top + self.side, 0), max(left, 0) : max(left + self.side, 0)] = True
        return at_live_pixels(self, stream, dead)
