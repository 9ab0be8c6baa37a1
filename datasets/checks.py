"""What an event column may hold, and the messages when it does not."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesim.errors import EventError

SensorSize = tuple[int, int, int]
"""Width, height and number of polarities, in Tonic's order."""

FIELDS = ("x", "y", "t", "p")
_LARGEST_SIDE = 2**15 - 1  # x and y are stored as int16


def check_sensor_size(sensor_size: Any) -> SensorSize:
    """Return ``sensor_size`` as three plain integers.

    Args:
        sensor_size: width, height and polarities (1 or 2), as Tonic writes them.

    Returns:
        The three integers.

    Raises:
        EventError: there are not three sizes, or one of them is out of range.

    Example:
        >>> from spikesim.datasets.checks import check_sensor_size
        >>> check_sensor_size([34, 34, 2])
        (34, 34, 2)
    """
    try:
        width, height, polarities = (operator.index(size) for size in sensor_size)
    except (TypeError, ValueError) as error:
        raise EventError(
            f"sensor_size is {sensor_size!r}; expected three integers (width, height, polarities), "
            "for example (34, 34, 2)"
        ) from error
    if not (1 <= width <= _LARGEST_SIDE and 1 <= height <= _LARGEST_SIDE and polarities in (1, 2)):
        raise EventError(
            f"sensor_size is ({width}, {height}, {polarities}); expected a width and a height from 1 to "
            f"{_LARGEST_SIDE} and 1 or 2 polarities"
        )
    return width, height, polarities


class BadEventError(EventError):
    """An event that cannot be taken as it is; knows which one.

    Attributes:
        event: its number, counted from 0.
    """

    event: int = 0


def bad_event(name: str, event: int, value: Any, expected: str) -> BadEventError:
    """Return the error for one value of one event.

    Args:
        name: the field.
        event: the number of the event.
        value: what it holds.
        expected: how the range reads in the message, with what to do.

    Example:
        >>> from spikesim.datasets.checks import bad_event
        >>> bad_event("x", 1, 40, "0 <= x < 34")
        BadEventError('event 1 has x = 40; expected 0 <= x < 34')
    """
    shown = value.item() if isinstance(value, np.generic) else value
    error = BadEventError(f"event {event} has {name} = {shown}; expected {expected}")
    error.event = event
    return error


def check_column(name: str, column: NDArray[Any], limit: int, expected: str, first: int = 0) -> None:
    """Refuse a column with a value outside ``0 <= value < limit``.

    Args:
        name: the field, for the message.
        column: integers ``[N]``.
        limit: first value that is too large.
        expected: how the range reads in the message, with what to do.
        first: the number of the first event, where the column is a part of a recording.

    Raises:
        EventError: names the field, the first bad event and its value.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.checks import check_column
        >>> check_column("x", np.array([3, 40]), 34, "0 <= x < 34")
        Traceback (most recent call last):
        ...
        spikesim.datasets.checks.BadEventError: event 1 has x = 40; expected 0 <= x < 34
    """
    if column.size == 0 or (int(column.min()) >= 0 and int(column.max()) < limit):
        return
    # Comparing at both ends keeps unsigned 64-bit values right.
    bad = (column < 0) | (column >= limit) if column.dtype.kind == "i" else column >= limit
    at = int(np.argmax(bad))
    raise bad_event(name, first + at, column[at], expected)
