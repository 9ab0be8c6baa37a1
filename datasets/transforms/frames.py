"""Frames of event counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.records import falls_within, in_order
from spikesim.datasets.transforms.base import DISORDER, Applied, EventTransform, outside
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.settings import LARGEST, check_number, check_positive
from spikesim.datasets.transforms.slices import (
    Bounds,
    Remainder,
    check_remainder,
    event_bins,
    event_windows,
    time_bins,
    time_windows,
)
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError

_DTYPES = ("uint8", "uint16", "int16", "int32", "float32")


@njit(cache=True, nogil=True)
def count_events(data: Any, starts: Any, ends: Any, most: Any, frames: Any) -> Any:
    """Count the events of each slice in its frame, and see on the way whether all are in order of time.

    Slices begin and end in ascending order. Gives the events beyond ``most``; ``-1 - index`` of an event outside the
    frame; or ``DISORDER``.
    """
    polarities, height, width = frames.shape[1], frames.shape[2], frames.shape[3]
    overflow, seen = 0, 0
    for j in range(len(starts)):
        if falls_within(data, seen, starts[j]):
            return DISORDER
        last = np.int64(data[max(starts[j] - 1, 0)]["t"]) if len(data) else np.int64(0)
        for i in range(starts[j], ends[j]):
            event = data[i]
            x, y, now = np.int64(event["x"]), np.int64(event["y"]), np.int64(event["t"])
            if now < last:
                return DISORDER
            last = now
            if not (0 <= x < width and 0 <= y < height):
                return -1 - i
            channel = 1 if event["p"] and polarities == 2 else 0
            value = frames[j, channel, y, x]
            if value == most:
                overflow += 1
            else:
                frames[j, channel, y, x] = value + 1
        seen = max(seen, ends[j])
    return DISORDER if falls_within(data, seen, len(data)) else overflow


def counted_in(
    data: NDArray[Any], cut: Callable[[NDArray[Any]], Bounds], size: SensorSize, dtype: str, what: str, refuse: bool
) -> tuple[NDArray[Any], int, int]:
    """Frames of the events of each slice, events in no slice, and events beyond what the dtype can count.

    Args:
        data: events; those out of order of time are sorted first.
        cut: gives the slices of times in ascending order, ``[N]``.
        size: of the sensor.
        dtype: of the frames ``[T, P, H, W]``.
        what: name for the messages.
        refuse: whether events out of order are an error.

    Raises:
        EventError: an event outside the sensor, or out of order.

    Example:
        >>> data = np.array([(1, 0, 5, 1)], [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "u1")])
        >>> counted_in(data, lambda t: event_bins(len(t), 1, "exact", 0.0), (2, 1, 2), "uint8", "", True)[0].tolist()
        [[[[0, 0]], [[0, 1]]]]
    """
    for _ in range(2):
        starts, ends = cut(data["t"])
        frames = np.zeros((len(starts), *size[::-1]), dtype)
        most = np.iinfo(dtype).max if frames.dtype.kind != "f" else 2**24
        overflow = int(count_events(data, starts, ends, frames.dtype.type(most), frames))
        if overflow != DISORDER:
            break
        # Only now is the time of looking for it spent.
        data = in_order(data, what if refuse else None)
    if overflow < 0:
        raise outside(data, -1 - overflow, size, what)
    return frames, len(data) - _covered(starts, ends), overflow


@dataclass(frozen=True)
class ToFrame(EventTransform):
    """Count events in frames; exactly one of the four ways to cut is given.

    Parameters have the names of Tonic's ``ToFrame``. Two things differ: no event is lost unless
    ``remainder="tonic"`` says so, and counts are uint8 that stop at 255 and say how many events that cost.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`. With P = 1 both
            polarities are counted together.
        time_window: microseconds of a frame; T follows from the recording.
        event_count: events of a frame; T follows from the recording.
        n_time_bins: T frames of equal duration.
        n_event_bins: T frames of equally many events.
        overlap: of neighbouring frames: microseconds, events, or a share of a bin.
        include_incomplete: whether ``remainder="tonic"`` keeps a last window that is not filled.
        start_time: where the first frame begins, in microseconds; the first event by default.
        end_time: where the last one ends; just after the last event by default. Events outside are dropped.
        remainder: "exact", "spikingjelly" or "tonic", see :mod:`spikesim.datasets.transforms.slices`.
        dtype: uint8, uint16, int16, int32 or float32.

    Shape:
        ``[T, P, H, W]``; ``[T, P, W]`` for events without a y. An empty recording gives zeros: T frames, or one.

    Raises:
        ConfigError: not exactly one way to cut, or a value that makes no sense.
        EventError: an event outside the sensor, or events out of order that are cut by their number.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import ToFrame
        >>> events = Events.from_columns([0, 1, 1], [0, 0, 0], [0, 60, 100], [1, 0, 0], (2, 1, 2))
        >>> ToFrame(n_time_bins=2)(events)[:, :, 0].tolist()                 # [T][P][x]
        [[[0, 0], [1, 0]], [[0, 2], [0, 0]]]
    """

    sensor_size: SensorSize | None = None
    time_window: float | None = None
    event_count: int | None = None
    n_time_bins: int | None = None
    n_event_bins: int | None = None
    overlap: float = 0
    include_incomplete: bool = False
    start_time: float | None = None
    end_time: float | None = None
    remainder: Remainder = "exact"
    dtype: str = "uint8"
    reasons: ClassVar[tuple[str, ...]] = ("remainder", "overflow")

    def __post_init__(self) -> None:
        ways = ("time_window", "event_count", "n_time_bins", "n_event_bins")
        given = [name for name in ways if getattr(self, name) is not None]
        if len(given) != 1:
            raise ConfigError(
                f"ToFrame was given {', '.join(given) or 'no way to cut'}; expected one of {', '.join(ways)}"
            )
        check_positive(given[0], getattr(self, given[0]), "microseconds, events or frames")
        if given[0] != "time_window" and getattr(self, given[0]) != int(getattr(self, given[0])):
            raise ConfigError(f"{given[0]} is {getattr(self, given[0])!r}; expected a whole number")
        limit = 1 if given[0].startswith("n_") else getattr(self, given[0])
        expected = f"0 or more and less than {limit}, with {given[0]}"
        check_number("overlap", self.overlap, 0, limit, expected)
        if self.overlap == limit:
            raise ConfigError(f"overlap is {self.overlap!r}; expected {expected}")
        by_time = given[0] in ("time_window", "n_time_bins")
        if not by_time and (self.start_time is not None or self.end_time is not None):
            raise ConfigError(f"start_time and end_time cut time, but {given[0]} counts events; leave them out")
        for name in ("start_time", "end_time"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), -LARGEST, LARGEST, "a time in microseconds")
        if self.start_time is not None and self.end_time is not None and not self.start_time < self.end_time:
            raise ConfigError(f"start_time {self.start_time} is not before end_time {self.end_time}")
        check_remainder(self.remainder)
        if self.dtype not in _DTYPES:
            raise ConfigError(f"dtype is {self.dtype!r}; expected one of {', '.join(_DTYPES)}")

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`ToFrame`."""
        by_number = self.event_count is not None or self.n_event_bins is not None
        frames, lost, overflow = counted_in(stream.data, self._cut, stream.size, self.dtype, "ToFrame", by_number)
        return Applied(frames[:, :, 0] if stream.flat else frames, (lost, overflow if self.overlap == 0 else 0))

    def _cut(self, t: NDArray[Any]) -> Bounds:
        n = len(t)
        if self.n_time_bins is not None:
            return time_bins(t, int(self.n_time_bins), self.remainder, self.overlap, self.start_time, self.end_time)
        if self.n_event_bins is not None:
            return event_bins(n, int(self.n_event_bins), self.remainder, self.overlap)
        if self.event_count is not None:
            return event_windows(n, int(self.event_count), self.remainder, int(self.overlap), self.include_incomplete)
        return time_windows(
            t,
            self.time_window or 1,
            self.remainder,
            self.overlap,
            self.include_incomplete,
            self.start_time,
            self.end_time,
        )


@njit(cache=True, nogil=True)
def _covered(starts: Any, ends: Any) -> Any:
    """Events in at least one slice; slices begin and end in ascending order."""
    covered, reached = 0, 0
    for j in range(len(starts)):
        covered += max(ends[j] - max(starts[j], reached), 0)
        reached = max(reached, ends[j])
    return covered
