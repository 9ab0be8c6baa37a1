"""The event container: one checked, read-only structured array per recording."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesim.datasets.checks import FIELDS, SensorSize, check_column, check_sensor_size, integer_column
from spikesim.errors import EventError

EVENT_DTYPE = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.uint8)])
"""x and y in pixels, t in microseconds, p 0 (darker) or 1 (brighter): 13 bytes an event."""


@dataclass(frozen=True, eq=False, repr=False)
class Events:
    """A recording of an event camera.

    ``Events(data, sensor_size)`` takes a structured array with the fields x, y, t and p in any order
    and of any integer width (p may be boolean), such as Tonic's; :meth:`from_columns` takes four
    columns. Both copy and check. Recordings without events, or with one, are legal everywhere.
    Events that are not in order of time are kept as they are and reported by :attr:`sorted`.

    Args:
        data: structured array ``[N]`` (or ``[N, 1]``).
        sensor_size: width, height and polarities (1 or 2).

    Attributes:
        data: the events, ``[N]`` of :data:`EVENT_DTYPE`, read-only; Tonic's transforms take it as it is.
        sensor_size: ``(W, H, P)``.
        sorted: whether ``t`` never decreases.

    Raises:
        EventError: a field is missing or not of integers, or a value is out of range; names the field
            and the first bad event.

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

    def __post_init__(self) -> None:
        array = np.asarray(self.data)
        if array.dtype.names is None:
            raise EventError(
                f"events are a plain array of dtype {array.dtype}; expected a structured array with the "
                "fields x, y, t and p. Use Events.from_columns(x, y, t, p, sensor_size) for columns"
            )
        missing = [name for name in FIELDS if name not in array.dtype.names]
        if missing:
            raise EventError(f"events have the fields {', '.join(array.dtype.names)}; {', '.join(missing)} missing")
        self._fill({name: array[name] for name in FIELDS})

    def _fill(self, columns: dict[str, ArrayLike]) -> None:
        """Check the columns, then store them once, read-only."""
        width, height, polarities = check_sensor_size(self.sensor_size)
        checked = {name: integer_column(name, columns[name]) for name in FIELDS}
        lengths = {name: len(column) for name, column in checked.items()}
        if len(set(lengths.values())) > 1:
            raise EventError(f"event columns differ in length: {lengths}; expected one value per event in each")
        sensor = f"(sensor {width} x {height}): crop the recording or name the sensor it was made with"
        check_column("x", checked["x"], width, f"0 <= x < {width} {sensor}")
        check_column("y", checked["y"], height, f"0 <= y < {height} {sensor}")
        check_column("t", checked["t"], 2**63, "microseconds from 0 on, below 2**63")
        check_column("p", checked["p"], 2, "a polarity of 0 or 1 (map -1 to 0)")
        data = np.empty(lengths["t"], EVENT_DTYPE)
        for name in FIELDS:
            data[name] = checked[name]
        self._store(data, (width, height, polarities))

    def _store(self, data: NDArray[Any], sensor_size: SensorSize) -> None:
        data.flags.writeable = False  # the checks and the flag stay true
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "sensor_size", sensor_size)
        object.__setattr__(self, "sorted", bool((data["t"][1:] >= data["t"][:-1]).all()))

    @classmethod
    def _trusted(cls, data: NDArray[Any], sensor_size: SensorSize) -> Events:
        """A recording of events that are known to fit; takes over ``data``, of :data:`EVENT_DTYPE`."""
        events = cls.__new__(cls)
        events._store(data, sensor_size)
        return events

    @classmethod
    def from_columns(cls, x: ArrayLike, y: ArrayLike, t: ArrayLike, p: ArrayLike, sensor_size: SensorSize) -> Events:
        """Build a recording from four columns.

        Args:
            x: column of the pixel, ``[N]``.
            y: row of the pixel, ``[N]``.
            t: time in microseconds, ``[N]``.
            p: polarity, 0 or 1 (or boolean), ``[N]``.
            sensor_size: ``(W, H, P)``.

        Returns:
            The checked recording.

        Raises:
            EventError: names the field and the first bad event.

        Example:
            >>> from spikesim.datasets import Events
            >>> Events.from_columns([40], [0], [0], [1], (34, 34, 2))
            Traceback (most recent call last):
            ...
            spikesim.errors.EventError: event 0 has x = 40; expected 0 <= x < 34 (sensor 34 x 34): \
crop the recording or name the sensor it was made with
        """
        events = cls.__new__(cls)
        object.__setattr__(events, "sensor_size", sensor_size)
        events._fill({"x": x, "y": y, "t": t, "p": p})
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
        return None if self.sorted else int(np.argmax(np.diff(self.t) < 0)) + 1

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
        return self._trusted(np.array(np.atleast_1d(self.data[index])), self.sensor_size)

    def in_time_order(self) -> Events:
        """Return the events ordered by time; events of the same time keep their order.

        Example:
            >>> from spikesim.datasets import Events
            >>> late_first = Events.from_columns([1, 2], [0, 0], [9, 3], [0, 1], (34, 34, 2))
            >>> late_first.sorted, late_first.first_unsorted, late_first.in_time_order().t.tolist()
            (False, 1, [3, 9])
        """
        return self if self.sorted else self.select(np.argsort(self.t, kind="stable"))

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
