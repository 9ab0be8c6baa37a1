"""The event container: one checked, read-only structured array per recording."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from spikesim.datasets import convert
from spikesim.datasets.checks import SensorSize, check_sensor_size
from spikesim.datasets.columns import Rounding, TimeUnit, one_dimensional
from spikesim.datasets.convert import EVENT_DTYPE, EventColumns, EventTensors
from spikesim.datasets.records import copied, first_fall, in_order, kept_of

__all__ = ["EVENT_DTYPE", "Events"]


@dataclass(frozen=True, eq=False, repr=False)
class Events:
    """A recording of an event camera.

    ``Events(data, sensor_size)`` takes a structured array with the fields x, y, t and p in any order,
    by name or title, such as Tonic's; :meth:`from_columns` takes four columns. Any integers, booleans
    and floats of whole numbers will do, and polarities of 0/1 or -1/+1. Both copy and check.
    Recordings without events, or with one, are legal everywhere. Events that are not in order of time
    are kept as they are and reported by :attr:`sorted`.

    Args:
        data: structured array ``[N]`` (or ``[N, 1]``).
        sensor_size: width, height and polarities (1 or 2).
        time_unit: the unit of ``data["t"]``: ``"s"``, ``"ms"``, ``"us"`` or ``"ns"``.
        rounding: ``"exact"`` refuses times that are not whole microseconds (a float time is one if the
            microsecond, converted back to its dtype, gives the same value); ``"nearest"`` rounds them.

    Attributes:
        data: the events, ``[N]`` of :data:`EVENT_DTYPE`, read-only; Tonic's transforms take it as it is.
        sensor_size: ``(W, H, P)``.
        sorted: whether ``t`` never decreases.

    Raises:
        EventError: a field is missing, or a value is no number, no whole number or out of range; names
            the field and the first bad event.

    Example:
        >>> from spikesim.datasets import Events
        >>> events = Events.from_columns(x=[3, 4], y=[5, 5], t=[10, 250], p=[1, 0], sensor_size=(34, 34, 2))
        >>> events
        Events(2 events over 240 us, sensor 34x34x2)
        >>> events.t.tolist(), events.sorted
        ([10, 250], True)
    """

    data: NDArray[Any]
    sensor_size: SensorSize
    sorted: bool = field(init=False)
    time_unit: InitVar[TimeUnit] = "us"
    rounding: InitVar[Rounding] = "exact"

    def __post_init__(self, time_unit: TimeUnit, rounding: Rounding) -> None:
        self._fill(convert.structured_columns(np.asarray(self.data)), time_unit, rounding)

    def _fill(self, columns: dict[str, NDArray[Any]], time_unit: TimeUnit, rounding: Rounding) -> None:
        """Check the columns, then store them once, read-only."""
        size = check_sensor_size(self.sensor_size)
        self._store(convert.canonical(columns, size, time_unit, rounding), size)

    def _store(self, data: NDArray[Any], sensor_size: SensorSize, in_order: bool | None = None) -> None:
        data.flags.writeable = False  # the checks and the flag stay true
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "sensor_size", sensor_size)
        object.__setattr__(self, "sorted", first_fall(data["t"]) == 0 if in_order is None else in_order)

    @classmethod
    def _trusted(cls, data: NDArray[Any], sensor_size: SensorSize, in_order: bool | None = None) -> Events:
        """A recording of events that are known to fit; takes over ``data``, of :data:`EVENT_DTYPE`.

        ``in_order`` says whether they are in order of time, if that is known.
        """
        events = cls.__new__(cls)
        events._store(data, sensor_size, in_order)
        return events

    @classmethod
    def from_columns(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        t: ArrayLike,
        p: ArrayLike,
        sensor_size: SensorSize,
        *,
        time_unit: TimeUnit = "us",
        rounding: Rounding = "exact",
    ) -> Events:
        """Build a recording from four columns (lists, arrays or tensors), each ``[N]``.

        Args:
            x: column of the pixel.
            y: row of the pixel.
            t: time, in ``time_unit``.
            p: polarity: 0 or 1, or -1 and 1, or boolean.
            sensor_size: ``(W, H, P)``.
            time_unit: as for the class.
            rounding: as for the class.

        Returns:
            The checked recording.

        Raises:
            EventError: names the field and the first bad event.

        Example:
            >>> from spikesim.datasets import Events
            >>> Events.from_columns([40], [0], [0], [1], (34, 34, 2))
            Traceback (most recent call last):
            ...
            spikesim.datasets.checks.BadEventError: event 0 has x = 40; expected 0 <= x < 34 (sensor 34 x 34): \
crop the recording or name the sensor it was made with
        """
        events = cls.__new__(cls)
        object.__setattr__(events, "sensor_size", sensor_size)
        given = {"x": x, "y": y, "t": t, "p": p}
        events._fill({name: one_dimensional(name, given[name]) for name in given}, time_unit, rounding)
        return events

    @classmethod
    def empty(cls, sensor_size: SensorSize) -> Events:
        """Return a recording without events.

        Args:
            sensor_size: ``(W, H, P)``.

        Example:
            >>> from spikesim.datasets import Events
            >>> len(Events.empty((34, 34, 2)))
            0
        """
        return cls.from_columns([], [], [], [], sensor_size)

    @property
    def x(self) -> NDArray[np.int16]:
        """Column of each event's pixel, ``[N]``."""
        return self.data["x"]

    @property
    def y(self) -> NDArray[np.int16]:
        """Row of each event's pixel, ``[N]``."""
        return self.data["y"]

    @property
    def t(self) -> NDArray[np.int64]:
        """Time of each event in microseconds, ``[N]``."""
        return self.data["t"]

    @property
    def p(self) -> NDArray[np.uint8]:
        """Polarity of each event, 0 or 1, ``[N]``."""
        return self.data["p"]

    @property
    def duration_us(self) -> int:
        """Microseconds from the earliest to the latest event; 0 for fewer than two events."""
        return int(self.t.max() - self.t.min()) if len(self) else 0

    @property
    def first_unsorted(self) -> int | None:
        """Index of the first event that is earlier than the one before it, or ``None``."""
        return first_fall(self.t) or None

    def select(self, index: slice | NDArray[Any]) -> Events:
        """Return the events that a slice, a boolean mask ``[N]`` or an array of indices picks.

        Args:
            index: what numpy takes as an index of a one-dimensional array, except a single number.

        Returns:
            A new recording of the same sensor.

        Example:
            >>> from spikesim.datasets import Events
            >>> events = Events.from_columns([3, 4], [5, 5], [10, 250], [1, 0], (34, 34, 2))
            >>> events.select(events.t < 100).x.tolist()
            [3]
        """
        if isinstance(index, slice):
            return self._trusted(copied(self.data[index]), self.sensor_size)
        if isinstance(index, np.ndarray) and index.dtype == np.bool_ and index.shape == self.data.shape:
            return self._trusted(kept_of(self.data, index), self.sensor_size)
        if isinstance(index, np.ndarray) and index.dtype.kind in "iu" and index.ndim == 1:
            return self._trusted(self.data.take(index), self.sensor_size)
        return self._trusted(np.array(np.atleast_1d(self.data[index])), self.sensor_size)

    def in_time_order(self) -> Events:
        """Return the events ordered by time; events of the same time keep their order.

        Example:
            >>> from spikesim.datasets import Events
            >>> late_first = Events.from_columns([1, 2], [0, 0], [9, 3], [0, 1], (34, 34, 2))
            >>> late_first.sorted, late_first.first_unsorted, late_first.in_time_order().t.tolist()
            (False, 1, [3, 9])
        """
        return self if self.sorted else self._trusted(in_order(self.data), self.sensor_size, in_order=True)

    def to_structured(self, dtype: DTypeLike = EVENT_DTYPE) -> NDArray[Any]:
        """Return the events as a structured array of another dtype, such as Tonic's.

        Args:
            dtype: fields x, y, t and p (by name or title) in any order and type.

        Raises:
            EventError: a value does not fit; names the field and the event.

        Example:
            >>> from spikesim.datasets import Events
            >>> events = Events.from_columns([3], [5], [10], [1], (34, 34, 2))
            >>> events.to_structured([("t", "u4"), ("x", "u1"), ("y", "u1"), ("p", "?")])
            array([(10, 3, 5,  True)], dtype=[('t', '<u4'), ('x', 'u1'), ('y', 'u1'), ('p', '?')])
        """
        return convert.to_structured(self.data, dtype)

    def to_columns(self) -> EventColumns:
        """Return copies of the four columns, each contiguous.

        Example:
            >>> from spikesim.datasets import Events
            >>> Events.from_columns([3], [5], [10], [1], (34, 34, 2)).to_columns().t
            array([10])
        """
        return EventColumns(*(np.array(self.data[name]) for name in EventColumns._fields))

    def to_torch(self) -> EventTensors:
        """Return copies of the four columns as tensors; :meth:`from_columns` takes them back.

        Example:
            >>> from spikesim.datasets import Events
            >>> Events.from_columns([3], [5], [10], [1], (34, 34, 2)).to_torch().t
            tensor([10])
        """
        import torch

        return EventTensors(*(torch.from_numpy(column) for column in self.to_columns()))

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Events):
            return NotImplemented
        return self.sensor_size == other.sensor_size and np.array_equal(self.data, other.data)

    __hash__ = None  # type: ignore[assignment]  # compared by value

    def __repr__(self) -> str:
        size = "x".join(str(length) for length in self.sensor_size)
        order = "" if self.sorted else ", not in order of time"
        return f"Events({len(self)} events over {self.duration_us} us, sensor {size}{order})"
