"""Event recordings to frames of counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.events import Events
from spikesim.datasets.transforms.base import Counted, EventTransform
from spikesim.datasets.transforms.frames import counted_in
from spikesim.datasets.transforms.slices import Bounds, event_bins, time_bins
from spikesim.errors import ConfigError, EventError, TimestepsError

FrameRule = Literal["time", "count"]


class EventTally(NamedTuple):
    """What became of the events of a recording: ``events == kept + overflow``.

    Attributes:
        events: events that came in.
        kept: events that the frames count.
        overflow: events beyond the 255 that one value of a frame can count.
    """

    events: int
    kept: int
    overflow: int


class Framed(NamedTuple):
    """Frames, and what became of the events.

    Attributes:
        frames: counts, uint8 ``[T, P, H, W]``.
        tally: events in, kept and lost to saturation.
    """

    frames: NDArray[np.uint8]
    tally: EventTally


def to_frames(events: Events, timesteps: int, by: FrameRule = "time") -> Framed:
    """Count the events of a recording in T frames. No event is lost: the last frame takes the rest.

    With ``by="time"`` frame j covers ``step = (t_last - t_first) // T`` microseconds (at least 1) from
    ``t_first + j * step``; with ``by="count"`` it covers ``step = N // T`` events. The last frame reaches to the end in
    both, and so holds all events where there are fewer than T. This is SpikingJelly's rule, which by time refuses
    recordings with an empty frame; Tonic drops the remainder. More rules, and windows of fixed length, has
    :class:`spikesim.datasets.transforms.ToFrame`, which shares the counting.

    Args:
        events: the recording; it may be empty, and for ``"time"`` out of order.
        timesteps: number of frames T, 1 or more.
        by: ``"time"`` for equal durations, ``"count"`` for equal numbers of events.

    Returns:
        uint8 counts ``[T, P, H, W]`` (zeros for an empty recording), which stop at 255, and the number
        of events in, kept and beyond 255. With a sensor of one polarity both polarities are counted
        together.

    Raises:
        TimestepsError: ``timesteps`` is not 1 or more.
        ConfigError: ``by`` is another word.
        EventError: ``by="count"`` and the events are not in order of time.

    Example:
        >>> from spikesim.datasets import Events, to_frames
        >>> events = Events.from_columns([0, 1, 1], [0, 0, 0], [0, 60, 100], [1, 0, 0], (2, 1, 2))
        >>> frames, tally = to_frames(events, timesteps=2)
        >>> frames[:, :, 0].tolist()                                 # [T][P][x]
        [[[0, 0], [1, 0]], [[0, 2], [0, 0]]]
        >>> tally
        EventTally(events=3, kept=3, overflow=0)
    """
    _check_rule(timesteps, by)
    if by == "count" and not events.sorted:
        raise EventError(
            f"event {events.first_unsorted} is earlier than the one before it; framing by count needs events "
            "in order of time: use events.in_time_order()"
        )

    def cut(t: NDArray[Any]) -> Bounds:
        by_time = by == "time"
        if by_time:
            return time_bins(t, timesteps, "spikingjelly", 0.0, None, None)
        return event_bins(len(t), timesteps, "spikingjelly", 0.0)

    frames, _, overflow = counted_in(events.data, cut, events.sensor_size, "uint8", "to_frames", refuse=False)
    return Framed(frames, EventTally(len(events), len(events) - overflow, overflow))


@dataclass(frozen=True)
class Frames(EventTransform):
    """Event recordings to frames, as a callable: for ``EventFolder(transform=...)`` or Tonic's ``Compose``.

    Args:
        timesteps: number of frames T, 1 or more.
        by: ``"time"`` or ``"count"``, as in :func:`to_frames`.
        sensor_size: ``(W, H, P)``, needed only for Tonic's structured arrays, which do not carry it.

    Raises:
        TimestepsError: ``timesteps`` is not 1 or more.
        ConfigError: ``by`` is another word.

    Example:
        >>> from spikesim.datasets import Events, Frames
        >>> Frames(10)(Events.empty((34, 34, 2))).shape
        (10, 2, 34, 34)

    Note:
        Tonic's ``Compose`` hands an empty recording back as it is and never reaches its transforms.
    """

    timesteps: int
    by: FrameRule = "time"
    sensor_size: SensorSize | None = None
    reasons: ClassVar[tuple[str, ...]] = ("overflow",)

    def __post_init__(self) -> None:
        _check_rule(self.timesteps, self.by)

    def __call__(self, events: Events | NDArray[Any]) -> NDArray[np.uint8]:
        """Return the frames, uint8 ``[T, P, H, W]``, of one recording."""
        return self.framed(events).frames

    def counted(self, events: Any, seed: int | None = None, place: int = 0) -> Counted:
        """As :meth:`framed`, with the count in the form of every other transform; nothing is drawn."""
        frames, tally = self.framed(events)
        return Counted(frames, tally.events, tally.kept, {"overflow": tally.overflow}, 0)

    def framed(self, events: Events | NDArray[Any]) -> Framed:
        """Return the frames of one recording and what became of its events.

        Args:
            events: a recording, or a structured array of Tonic's.

        Raises:
            EventError: a structured array came in and ``sensor_size`` is not set, or it holds bad events.
        """
        if not isinstance(events, Events):
            if self.sensor_size is None:
                raise EventError(
                    f"Frames was given {type(events).__name__}, which does not carry its sensor size; "
                    "set it: Frames(timesteps, sensor_size=(34, 34, 2))"
                )
            events = Events(events, self.sensor_size)
        return to_frames(events, self.timesteps, self.by)


def _check_rule(timesteps: int, by: str) -> None:
    if isinstance(timesteps, bool) or not isinstance(timesteps, (int, np.integer)) or timesteps < 1:
        raise TimestepsError(f"timesteps is {timesteps!r}; expected a whole number of frames, 1 or more")
    if by not in ("time", "count"):
        raise ConfigError(f'by is {by!r}; expected "time" (equal durations) or "count" (equal numbers of events)')
