"""What a transform works on: events as a structured array, with what is known of their sensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.lib.recfunctions import repack_fields
from numpy.typing import NDArray

from spikesim.datasets.checks import FIELDS, SensorSize, check_sensor_size
from spikesim.datasets.events import EVENT_DTYPE, Events
from spikesim.datasets.records import untitled
from spikesim.errors import EventError


@dataclass(frozen=True)
class Stream:
    """Events on their way through a transform.

    Args:
        data: structured ``[N]`` with whole-number fields x, y, t and p, in any order and width.
        sensor_size: ``(W, H, P)``, or None if neither the events nor the transform know it.
        checked: whether every value is known to lie within the sensor.
        flat: whether the events came without a y, as those of an artificial ear; here all have y = 0.
        ordered: whether they are known to be in order of time.
    """

    data: NDArray[Any]
    sensor_size: SensorSize | None
    checked: bool
    flat: bool = False
    ordered: bool = False

    @property
    def size(self) -> SensorSize:
        """The sensor, or else the smallest one that holds the events."""
        if self.sensor_size is not None:
            return self.sensor_size
        if len(self.data) == 0:
            return 1, 1, 2
        return int(self.data["x"].max()) + 1, int(self.data["y"].max()) + 1, 2


def stream_of(events: Any, sensor_size: SensorSize | None, what: str) -> Stream:
    """Take what a user, a dataset of Tonic's or a transform before gave.

    Arrays whose fields are whole numbers are used as they are, and stay of their dtype; others (float
    timestamps, ``[N, 1]`` columns, signed polarity) are brought into :data:`spikesim.datasets.EVENT_DTYPE` first.

    Args:
        events: a recording, or a structured array.
        sensor_size: what the transform knows.
        what: name of the transform, for the message.

    Raises:
        EventError: not events, events that do not fit, or two different sensor sizes.
    """
    if isinstance(events, Events):
        if sensor_size is not None and check_sensor_size(sensor_size) != events.sensor_size:
            raise EventError(
                f"{what} was made for the sensor {tuple(sensor_size)}, but the recording is of {events.sensor_size}; "
                "leave sensor_size out, or crop the recording"
            )
        return Stream(events.data, events.sensor_size, True, ordered=events.sorted)
    if not isinstance(events, np.ndarray) or events.dtype.names is None:
        given = f"an array of dtype {events.dtype}" if isinstance(events, np.ndarray) else type(events).__name__
        raise EventError(f"{what} was given {given}; expected Events, or a structured array with x, y, t and p")
    size = None if sensor_size is None else check_sensor_size(sensor_size)
    flat = "y" not in events.dtype.names
    if flat:
        events = _with_y(events)
    if _is_plain(events):
        return Stream(events.view(untitled(events.dtype)), size, False, flat)
    widest = (2**15 - 1, 2**15 - 1, 2)
    whole = Events(events, widest if size is None else size)
    return Stream(whole.data, size, size is not None, flat)


def _with_y(events: NDArray[Any]) -> NDArray[Any]:
    wider = np.zeros(events.shape, [*((n, events.dtype[n]) for n in events.dtype.names or ()), ("y", np.int16)])
    for name in events.dtype.names or ():
        wider[name] = events[name]
    return wider


def _is_plain(array: NDArray[Any]) -> bool:
    names = array.dtype.names or ()
    if array.ndim != 1 or any(name not in names for name in FIELDS):
        return False
    kinds = [array.dtype[name].kind for name in FIELDS]
    if not (set(kinds[:3]) <= {"i", "u"} and kinds[3] in "iub" and array.dtype.isnative):
        return False
    if array.dtype["t"] == np.uint64 and len(array) and array["t"].max() > 2**63 - 1:
        return False  # what comes then says so
    p = array["p"]
    return kinds[3] == "b" or not _beyond_one_bit(p)


@njit(cache=True, nogil=True)
def _beyond_one_bit(column: Any) -> Any:
    """Whether any number is neither 0 nor 1; a minimum and a maximum would read the records twice."""
    bits = np.int64(0)
    for i in range(len(column)):
        bits |= np.int64(column[i] >> 1)
    return bits != 0


def like(stream: Stream, source: Any, sensor_size: SensorSize | None = None) -> Any:
    """Events in the form in which ``source`` came: a recording, or a structured array.

    Args:
        stream: the events.
        source: what the transform was called with.
        sensor_size: of the result, if the transform changed it.
    """
    if not isinstance(source, Events):
        data = stream.data
        if stream.flat:
            data = repack_fields(data[[n for n in data.dtype.names or () if n != "y"]])
        return data.view(source.dtype) if data.dtype == untitled(source.dtype) else data
    size = sensor_size or source.sensor_size
    if stream.checked and stream.data.dtype == EVENT_DTYPE:
        return Events._trusted(stream.data, size, stream.ordered or None)
    return Events(stream.data, size)
