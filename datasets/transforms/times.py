"""Transforms of time: alignment, skew and jitter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from spikesim.datasets.records import copied, in_order, kept_of
from spikesim.datasets.transforms.base import Applied, EventTransform
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.drops import drawn
from spikesim.datasets.transforms.settings import LARGEST, check_number, check_numbers
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import EventError


@dataclass(frozen=True)
class TimeAlignment(EventTransform):
    """Shift a recording so that its earliest event is at time 0.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import TimeAlignment
        >>> TimeAlignment()(Events.from_columns([3, 4], [5, 5], [90, 250], [1, 0], (34, 34, 2))).t.tolist()
        [0, 160]
    """

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`TimeAlignment`."""
        data = copied(stream.data)
        if len(data):
            data["t"] -= data["t"].min()
        return Applied(data)


@njit(cache=True, nogil=True)
def _skew(t: Any, factor: Any, shift: Any) -> Any:
    for i in range(len(t)):
        now = np.floor(t[i] * factor + shift)
        if not 0 <= now < 9.2e18:
            return i
        t[i] = np.int64(now)
    return -1


@dataclass(frozen=True)
class TimeSkew(EventTransform):
    """Multiply all times, and shift them: ``t * coefficient + offset``, rounded down to the microsecond.

    Args:
        coefficient: factor, or a range from which it is drawn for each recording.
        offset: microseconds, or a range from which they are drawn.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: a factor that is not positive, or an offset that is no number.
        EventError: an event would come before time 0.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import TimeSkew
        >>> TimeSkew(2.0, offset=5)(Events.from_columns([3, 4], [5, 5], [90, 250], [1, 0], (34, 34, 2))).t.tolist()
        [185, 505]
    """

    coefficient: float | tuple[float, float] = 1.0
    offset: float | tuple[float, float] = 0.0
    seed: int | None = None
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_numbers("coefficient", self.coefficient, 1e-12, 1e12, "a positive factor or a range of them")
        check_numbers("offset", self.offset, -LARGEST, LARGEST, "microseconds or a range of them")

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`TimeSkew`."""
        factor, shift = drawn(self.coefficient, draw), drawn(self.offset, draw)
        data = copied(stream.data)
        first = int(_skew(data["t"], float(factor), float(shift)))
        if first >= 0:  # unsigned times would wrap around
            raise EventError(
                f"TimeSkew with the factor {factor:g} and the offset {shift:g} us: event {first} would be at t = "
                f"{np.floor(stream.data['t'][first] * factor + shift):.0f} us; expected times from 0 to 2**63"
            )
        return Applied(data)


@njit(cache=True, nogil=True)
def _shift(t: Any, drawn: Any, std: Any, keep: Any) -> Any:
    """Move times, and those that would be negative to 0; gives how many are not."""
    kept = 0
    for i in range(len(t)):
        now = np.int64(t[i]) + np.int64(np.rint(drawn[i] * std))
        keep[i] = now >= 0
        kept += keep[i]
        t[i] = max(now, 0)
    return kept


@dataclass(frozen=True)
class TimeJitter(EventTransform):
    """Shift each event in time by normal noise, rounded to the microsecond; the result is in order of time.

    Tonic rounds toward zero, and leaves the events out of order unless told otherwise.

    Args:
        std: standard deviation in microseconds.
        clip_negative: drop events that would come before time 0, instead of moving them there.
        sort_timestamps: put the events into order of time again.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: ``std`` is negative or no number.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import TimeJitter
        >>> TimeJitter(std=10)(Events.from_columns([3, 4], [5, 5], [90, 95], [1, 0], (34, 34, 2))).sorted
        True
    """

    std: float = 1.0
    clip_negative: bool = False
    sort_timestamps: bool = True
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("negative",)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number("std", self.std, 0, LARGEST, "0 or more microseconds")

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`TimeJitter`."""
        moved = copied(stream.data)
        keep = np.empty(len(moved), np.bool_)
        kept = int(_shift(moved["t"], draw.normal(len(moved)), float(self.std), keep))
        if self.clip_negative and kept < len(moved):
            moved = kept_of(moved, keep, kept)
        return Applied(in_order(moved) if self.sort_timestamps else moved, (len(keep) - len(moved),))
