"""Transforms that keep some events of a recording, by what else happened at their pixel or beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numba import njit

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.records import kept_of
from spikesim.datasets.transforms.base import Applied, EventTransform, outside
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.settings import LARGEST, check_numbers, check_positive, check_whole
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError

_NEVER = -(2**63)  # no time of an event


@njit(cache=True, nogil=True)
def _denoise(data: Any, last: Any, window: Any, keep: Any) -> Any:
    height, width = last.shape[0] - 2, last.shape[1] - 2
    kept = 0
    for i in range(len(data)):
        event = data[i]
        x, y, t = np.int64(event["x"]), np.int64(event["y"]), np.int64(event["t"])
        if not (0 <= x < width and 0 <= y < height):
            return -1 - i
        # A border of one pixel spares the tests at the edge.
        last[y + 1, x + 1] = t
        since = t - window
        beside = (
            (last[y, x + 1] > since)
            | (last[y + 2, x + 1] > since)
            | (last[y + 1, x] > since)
            | (last[y + 1, x + 2] > since)
        )
        keep[i] = beside
        kept += beside
    return kept


@dataclass(frozen=True)
class Denoise(EventTransform):
    """Drop isolated events: those without another one at the four pixels beside them shortly before.

    As Tonic's ``Denoise`` of the same name, except at the start of a recording: there Tonic keeps every event
    that comes before ``filter_time``, as if each pixel had just been active.

    Args:
        filter_time: how long, in microseconds, an event at a neighbouring pixel counts; strictly less than that.
        sensor_size: ``(W, H, P)``; needed for no input, but then values outside of it are errors.
        seed: not used.

    Raises:
        ConfigError: ``filter_time`` is not positive.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import Denoise
        >>> events = Events.from_columns([3, 4, 20], [5, 5, 9], [10, 250, 300], [1, 0, 1], (34, 34, 2))
        >>> Denoise(filter_time=10_000)(events).x.tolist()
        [4]
    """

    filter_time: float = 10_000
    sensor_size: SensorSize | None = None
    reasons: ClassVar[tuple[str, ...]] = ("isolated",)

    def __post_init__(self) -> None:
        check_positive("filter_time", self.filter_time, "microseconds")

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`Denoise`."""
        width, height, _ = size = stream.size
        keep = np.empty(len(stream.data), np.bool_)
        last = np.full((height + 2, width + 2), _NEVER, np.int64)
        kept = _denoise(stream.data, last, np.int64(np.ceil(self.filter_time)), keep)
        return masked(self, stream, keep, kept, size)


@njit(cache=True, nogil=True)
def _refractory(data: Any, last: Any, period: Any, interval_rule: Any, keep: Any) -> Any:
    height, width = last.shape
    kept = 0
    for i in range(len(data)):
        event = data[i]
        x, y, t = np.int64(event["x"]), np.int64(event["y"]), np.int64(event["t"])
        if not (0 <= x < width and 0 <= y < height):
            return -1 - i
        passed = last[y, x] == _NEVER or t - last[y, x] > period
        if passed or interval_rule:
            last[y, x] = t
        keep[i] = passed
        kept += passed
    return kept


@dataclass(frozen=True)
class RefractoryPeriod(EventTransform):
    """Drop events that follow the one before at their pixel too soon.

    With ``rule="dead_time"`` a pixel is blind for ``delta`` after an event that was kept, as the refractory period of a
    real sensor. With ``rule="interval"`` the time counts from the last event whether it was kept or not,
    which is what Tonic's ``RefractoryPeriod`` does; that also drops an event at t = 0, which ours keeps.

    Args:
        delta: in microseconds, or a range from which it is drawn for each recording; an event after exactly ``delta``
            is still dropped.
        rule: "dead_time" or "interval".
        sensor_size: as in :class:`Denoise`.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: ``delta`` is not positive, or another rule.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import RefractoryPeriod
        >>> events = Events.from_columns([3] * 4, [5] * 4, [0, 80, 160, 240], [1] * 4, (34, 34, 2))
        >>> RefractoryPeriod(100)(events).t.tolist(), RefractoryPeriod(100, rule="interval")(events).t.tolist()
        ([0, 160], [0])
    """

    delta: float | tuple[float, float]
    rule: Literal["dead_time", "interval"] = "dead_time"
    sensor_size: SensorSize | None = None
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("refractory",)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.delta, (tuple, list)):
            check_numbers("delta", self.delta, 0, LARGEST, "microseconds, or two of them in ascending order")
        else:
            check_positive("delta", self.delta, "microseconds")
        if self.rule not in ("dead_time", "interval"):
            raise ConfigError(f'rule is {self.rule!r}; expected "dead_time" or "interval"')

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`RefractoryPeriod`."""
        width, height, _ = size = stream.size
        keep = np.empty(len(stream.data), np.bool_)
        last = np.full((height, width), _NEVER, np.int64)
        delta = draw.number(*self.delta) if isinstance(self.delta, (tuple, list)) else self.delta
        period = np.int64(np.floor(delta))
        return masked(self, stream, keep, _refractory(stream.data, last, period, self.rule == "interval", keep), size)


@njit(cache=True, nogil=True)
def _decimate(data: Any, seen: Any, n: Any, keep: Any) -> Any:
    height, width = seen.shape
    kept = 0
    for i in range(len(data)):
        x, y = np.int64(data[i]["x"]), np.int64(data[i]["y"])
        if not (0 <= x < width and 0 <= y < height):
            return -1 - i
        seen[y, x] += 1
        full = seen[y, x] == n
        if full:
            seen[y, x] = 0
        keep[i] = full
        kept += full
    return kept


@dataclass(frozen=True)
class Decimation(EventTransform):
    """Keep every n-th event of each pixel.

    Args:
        n: 1 keeps all.
        sensor_size: as in :class:`Denoise`.

    Raises:
        ConfigError: ``n`` is not 1 or more.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import Decimation
        >>> events = Events.from_columns([3] * 5, [5] * 5, range(5), [1] * 5, (34, 34, 2))
        >>> Decimation(2)(events).t.tolist()
        [1, 3]
    """

    n: int
    sensor_size: SensorSize | None = None
    reasons: ClassVar[tuple[str, ...]] = ("decimated",)

    def __post_init__(self) -> None:
        check_whole("n", self.n, 1)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`Decimation`."""
        width, height, _ = size = stream.size
        keep = np.empty(len(stream.data), np.bool_)
        seen = np.zeros((height, width), np.int64)
        return masked(self, stream, keep, _decimate(stream.data, seen, np.int64(self.n), keep), size)


def masked(transform: EventTransform, stream: Stream, keep: Any, kept: int, size: SensorSize) -> Applied:
    """The events that a filter keeps.

    Args:
        transform: for the message.
        stream: what it was given.
        keep: which of them, bool ``[N]``.
        kept: how many, or ``-1 - index`` of an event outside the sensor.
        size: of the sensor.
    """
    if kept < 0:
        raise outside(stream.data, -1 - kept, size, type(transform).__name__)
    return Applied(kept_of(stream.data, keep, kept), (len(stream.data) - kept,), ordered=stream.ordered)
