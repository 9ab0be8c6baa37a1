"""What every transform of events shares: what it takes, what it counts, and where its random numbers come from."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.transforms.draw import Draw, NoDraw
from spikesim.datasets.transforms.stream import Stream, like, stream_of
from spikesim.errors import EventError

DISORDER = -(2**62)
"""What a kernel gives for events that are not in order of time; beyond ``-1 - index`` of any event."""


class Applied(NamedTuple):
    """What a transform made of a stream.

    Attributes:
        result: events as a structured array ``[N]``, or anything else, such as frames.
        dropped: events that are not in the result, one number for each of the transform's reasons.
        added: events that were not in the stream.
        sensor_size: of the events of the result, if it changed.
        ordered: whether its events are known to be in order of time.
    """

    result: Any
    dropped: tuple[int, ...] = ()
    added: int = 0
    sensor_size: SensorSize | None = None
    ordered: bool = False


class Counted(NamedTuple):
    """A result, and what became of the events: ``events + added == kept + sum(dropped)``.

    Attributes:
        result: events in the form in which they came, or frames.
        events: events that came in.
        kept: events that the result holds or counts.
        dropped: events that it does not, by reason.
        added: events that the transform made.
    """

    result: Any
    events: int
    kept: int
    dropped: dict[str, int]
    added: int


class EventTransform:
    """Base of all transforms: a callable for :class:`spikesim.datasets.transforms.Pipeline` or Tonic's ``Compose``.

    A transform takes :class:`spikesim.datasets.Events` or a structured array such as Tonic's, and gives
    events back in the form in which they came. It never changes what it was given. Recordings without events are
    legal everywhere.

    A new transform is a dataclass with one method, :meth:`apply`.

    Attributes:
        reasons: why it may drop events.
        random: whether it draws random numbers.
        rasters: whether it also takes frames, as Tonic's of the same name.
    """

    reasons: ClassVar[tuple[str, ...]] = ()
    random: ClassVar[bool] = False
    rasters: ClassVar[bool] = False
    sensor_size: SensorSize | None = None
    seed: int | None = None

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """Transform one recording.

        Args:
            stream: its events, which must not be changed.
            draw: random numbers of this call.
        """
        raise NotImplementedError

    def apply_raster(self, raster: NDArray[Any], draw: Draw) -> NDArray[Any]:
        """Transform frames or a raster; only where :attr:`rasters` says so.

        Args:
            raster: ``[P, H, W]``, ``[T, P, H, W]`` or ``[T, P, X]``, which must not be changed.
            draw: random numbers of this call.
        """
        raise NotImplementedError

    def __call__(self, events: Any) -> Any:
        """Transform one recording.

        Args:
            events: :class:`spikesim.datasets.Events`, or a structured array with the fields x, y, t and p.
        """
        return self.counted(events).result

    def counted(self, events: Any, seed: int | None = None, place: int = 0) -> Counted:
        """Transform one recording and say what became of its events.

        Args:
            events: as in a call.
            seed: for random transforms that have none of their own.
            place: in the pipeline, so that equal transforms draw differently.
        """
        draw: Draw = NoDraw(type(self).__name__)
        if self.random:
            calls = self.__dict__.get("_calls", 0)
            self.__dict__["_calls"] = calls + 1  # also where the dataclass is frozen
            draw = Draw.for_call(self.seed if self.seed is not None else seed, place, calls)
        if self.rasters and isinstance(events, np.ndarray) and events.dtype.names is None:
            raster = self.apply_raster(events, draw)
            before, kept = int(events.sum()), int(raster.sum())
            return Counted(raster, before, kept, dict(zip(self.reasons, (before - kept,))), 0)
        stream = stream_of(events, self.sensor_size, type(self).__name__)
        applied = self.apply(stream, draw)
        kept = len(stream.data) + applied.added - sum(applied.dropped)
        result = applied.result
        if isinstance(result, np.ndarray) and result.dtype.names is not None:
            size = applied.sensor_size or stream.sensor_size
            checked = Stream(result, size, stream.checked, stream.flat, applied.ordered)
            result = like(checked, events, applied.sensor_size)
        return Counted(result, len(stream.data), kept, dict(zip(self.reasons, applied.dropped)), applied.added)


def outside(data: NDArray[Any], index: int, size: SensorSize, what: str) -> EventError:
    """The error for the first event that lies outside the sensor.

    Args:
        data: the events.
        index: of the bad one.
        size: of the sensor.
        what: name of the transform.
    """
    x, y = int(data["x"][index]), int(data["y"][index])
    name, value, limit = ("x", x, size[0]) if not 0 <= x < size[0] else ("y", y, size[1])
    return EventError(
        f"{what}: event {index} has {name} = {value}; expected 0 <= {name} < {limit} (sensor {size[0]} x {size[1]}): "
        "give the sensor_size that the recording was made with"
    )
