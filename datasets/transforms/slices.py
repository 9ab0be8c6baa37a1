"""Where a recording is cut into frames: by time or by number of events, with a rule for what is left over.

All give ``(starts, ends)``: slice j holds the events from index ``starts[j]`` up to, but not including, ``ends[j]``
of a recording in order of time. Three rules say what becomes of the rest:

- "exact": nothing is lost. Bins are equal to within a microsecond (or an event), the last window may be shorter.
- "spikingjelly": bins of the rounded-down length, and the last one takes the rest.
- "tonic": bins of the rounded-down length, and the rest is dropped, the last event with it.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.records import places
from spikesim.errors import ConfigError, EventError

Remainder = Literal["exact", "spikingjelly", "tonic"]
Bounds = tuple[NDArray[np.int64], NDArray[np.int64]]

_MOST = 2**24  # slices: more are a gap in the recording, or another unit of time

REMAINDERS = ("exact", "spikingjelly", "tonic")


def time_bins(t: NDArray[Any], count: int, remainder: Remainder, overlap: float, start: Any, end: Any) -> Bounds:
    """A fixed number of slices of equal duration.

    Args:
        t: times in ascending order, ``[N]``.
        count: slices.
        remainder: the rule.
        overlap: of neighbouring slices, as a share of one.
        start: time at which the first begins; None for the first event.
        end: time up to which the last reaches; None for just after the last event.

    Raises:
        EventError: the last event is at the very end of 64 bits.

    >>> import numpy as np
    >>> time_bins(np.array([0, 3, 6, 10]), 2, "exact", 0.0, None, None)[1].tolist()
    [2, 4]
    >>> time_bins(np.array([0, 3, 6, 10]), 2, "tonic", 0.0, None, None)[1].tolist()
    [2, 3]
    """
    if len(t) == 0:
        return _nothing(count)
    first = int(t[0]) if start is None else start
    steps = np.arange(count, dtype=np.int64)
    if remainder == "exact" and overlap == 0 and float(first).is_integer():
        # Whole numbers all the way: an edge is the first microsecond of its bin.
        until = int(t[-1]) + 1 if end is None else int(np.ceil(end))
        if until >= 2**63:
            raise EventError(f"the last event is at {until - 1} us; expected below 2**63 - 1: look at the unit of time")
        length = until - int(first)
        numbers = np.arange(count + 1, dtype=np.int64 if count * length < 2**62 else object)
        cuts = places(t, (int(first) - (-numbers * length // count)).astype(np.int64))
        return cuts[:-1], cuts[1:]
    last = int(t[-1]) if end is None else end
    if remainder == "exact":
        window = (last - first + (1 if end is None else 0)) / count * (1 + overlap)
    else:
        window = (last - first) // count * (1 + overlap)
    if remainder == "spikingjelly":
        window = max(window, 1)
    begin = steps * (window * (1 - overlap)) + first
    starts, ends = places(t, begin), places(t, begin + window)
    if remainder == "spikingjelly":
        ends[-1] = len(t) if end is None else places(t, np.array([end]))[0]
        # Fewer microseconds than bins: what lies beyond belongs to the last.
        starts[-1] = min(starts[-1], ends[-1])
    return starts, ends


def time_windows(
    t: NDArray[Any], window: float, remainder: Remainder, overlap: float, incomplete: bool, start: Any, end: Any
) -> Bounds:
    """Slices of a fixed duration, as many as there are.

    Args:
        t: times in ascending order, ``[N]``.
        window: duration in microseconds.
        remainder: the rule; "exact" keeps a last, shorter window, and so does "spikingjelly", which counts an event at
            the very end of a window in it if it is the last one.
        overlap: of neighbouring windows in microseconds.
        incomplete: whether rule "tonic" keeps a last window that the recording does not fill.
        start: time at which the first begins; None for the first event.
        end: time at which the recording ends; None for the last event.

    Raises:
        EventError: more than 2**24 windows.

    >>> import numpy as np
    >>> time_windows(np.array([0, 3, 6, 10]), 4, "exact", 0, False, None, None)[1].tolist()
    [2, 3, 4]
    """
    if len(t) == 0 and (start is None or end is None):
        return _nothing(1)
    first = int(t[0]) if start is None else start
    last = int(t[-1]) if end is None else end
    stride = window - overlap
    duration = last - first
    if remainder == "tonic":
        whole = (duration - window) / stride
        count = int(np.ceil(whole) if incomplete else np.floor(whole)) + 1
    elif end is None and remainder == "exact":
        count = int(duration // stride) + 1  # the last event, too
    else:
        count = int(np.ceil(duration / stride))
    if count > _MOST:
        raise EventError(
            f"windows of {window:g} us from {first} to {last} us are {count}; expected at most {_MOST}: take longer "
            "windows, or look at the times (a gap, or another unit than microseconds)"
        )
    begin = np.arange(max(count, 1)) * stride + first
    ends = begin + window if end is None or remainder == "tonic" else np.minimum(begin + window, end)
    cuts = places(t, ends)
    if end is None and remainder == "spikingjelly":
        cuts[-1] = len(t)
    return places(t, begin), cuts


def event_bins(n: int, count: int, remainder: Remainder, overlap: float) -> Bounds:
    """A fixed number of slices of an equal number of events.

    >>> event_bins(10, 3, "exact", 0.0)[1].tolist(), event_bins(10, 3, "spikingjelly", 0.0)[1].tolist()
    ([3, 6, 10], [3, 6, 10])
    >>> event_bins(10, 3, "tonic", 0.0)[1].tolist()
    [3, 6, 9]
    """
    steps = np.arange(count, dtype=np.int64)
    if remainder == "exact" and overlap == 0:
        edges = np.arange(count + 1, dtype=np.int64) * n // count
        return edges[:-1], edges[1:]
    length = int((n / count if remainder == "exact" else n // count) * (1 + overlap))
    starts = steps * int(length * (1 - overlap))
    ends = np.minimum(starts + length, n)
    if remainder != "tonic":
        ends[-1] = n
    return np.minimum(starts, n), ends


def event_windows(n: int, length: int, remainder: Remainder, overlap: int, incomplete: bool) -> Bounds:
    """Slices of a fixed number of events, as many as there are.

    >>> event_windows(10, 4, "exact", 0, False)[1].tolist(), event_windows(10, 4, "tonic", 0, False)[1].tolist()
    ([4, 8, 10], [4, 8])
    """
    stride, fits = length - overlap, min(length, n)
    whole = (n - fits) / stride
    count = int(np.ceil(whole) if incomplete or remainder != "tonic" else np.floor(whole)) + 1
    starts = np.arange(count, dtype=np.int64) * stride
    return np.minimum(starts, n), np.minimum(starts + fits, n)


def _nothing(count: int) -> Bounds:
    return np.zeros(count, np.int64), np.zeros(count, np.int64)


def check_remainder(remainder: str) -> None:
    """Refuse another word than the three rules.

    >>> check_remainder("exact")
    """
    if remainder not in REMAINDERS:
        raise ConfigError(f"remainder is {remainder!r}; expected one of {', '.join(REMAINDERS)}")
