"""Transforms that drop events at random: single ones, stretches of time and areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.records import kept_of
from spikesim.datasets.transforms.base import Applied, EventTransform
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.settings import check_numbers
from spikesim.datasets.transforms.stream import Stream

Range = float | tuple[float, float]


def check_range(name: str, value: Any) -> None:
    """Refuse what is neither a share nor a pair of shares in ascending order.

    >>> check_range("p", (0.1, 0.5))
    """
    check_numbers(name, value, 0, 1, "a probability from 0 to 1")


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
