"""Transforms of time: alignment, skew and jitter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.transforms.base import Applied, EventTransform, kept_of
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.stream import Stream, in_order
from spikesim.errors import ConfigError, EventError


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
        data = stream.data.copy()
        if len(data):
            data["t"] -= data["t"].min()
        return Applied(data)


@dataclass(frozen=True)
class TimeSkew(EventTransform):
    """Multiply all times, and shift them: ``t * coefficient + offset``, rounded down to the microsecond.

    Args:
        coefficient: factor, or a range from which it is drawn for each recording.
        offset: microseconds, or a range from which they are drawn.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: a factor that is not positive.
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
        least = self.coefficient[0] if isinstance(self.coefficient, tuple) else self.coefficient
        if not least > 0:
            raise ConfigError(f"coefficient is {self.coefficient!r}; expected a positive factor or a range of them")

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`TimeSkew`."""
        factor = draw.number(*self.coefficient) if isinstance(self.coefficient, tuple) else self.coefficient
        shift = draw.number(*self.offset) if isinstance(self.offset, tuple) else self.offset
        data = stream.data.copy()
        t = np.floor(data["t"] * factor + shift)
        refuse_before_zero(t, f"TimeSkew with the factor {factor:g} and the offset {shift:g} us")
        data["t"] = t
        return Applied(data)


def refuse_before_zero(t: NDArray[Any], what: str) -> None:
    """Refuse times below 0, which unsigned times would wrap around.

    >>> import numpy as np
    >>> refuse_before_zero(np.zeros(1), "TimeSkew")
    """
    if len(t) and t.min() < 0:
        first = int(np.argmax(t < 0))
        raise EventError(
            f"{what}: event {first} would be at t = {t[first]:.0f} us; expected times from 0 on: use an offset"
        )


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
        ConfigError: ``std`` is negative.

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
        if not self.std >= 0:
            raise ConfigError(f"std is {self.std!r}; expected 0 or more microseconds")

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`TimeJitter`."""
        shifts = np.rint(draw.normal(len(stream.data)) * self.std).astype(np.int64)
        t = stream.data["t"].astype(np.int64) + shifts
        data, dropped = stream.data, 0
        if self.clip_negative:
            keep = t >= 0
            data, t = kept_of(data, keep), t[keep]
            dropped = len(keep) - len(t)
        else:
            np.maximum(t, 0, out=t)
        moved = data.copy()
        moved["t"] = t
        return Applied(in_order(moved) if self.sort_timestamps else moved, (dropped,))
