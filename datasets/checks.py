"""What an event column may hold, and the messages when it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
        width, height, polarities = (int(size) for size in sensor_size)
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


def integer_column(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return one event column as a one-dimensional integer array, in its own width.

    The width is kept so that a range check sees the value that was given, not one that wrapped.

    Args:
        name: the field, for the message.
        values: ``[N]`` or ``[N, 1]`` integers or booleans.

    Returns:
        An integer array ``[N]``.

    Raises:
        EventError: the column has another shape or is not of integers.
    """
    column = np.asarray(values)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise EventError(f"{name} has shape {column.shape}; expected one value per event, [N]")
    if column.size == 0:
        return np.zeros(0, np.int64)
    if column.dtype.kind == "b":
        return column.astype(np.uint8)
    if column.dtype.kind not in "iu":
        raise EventError(
            f"{name} is of dtype {column.dtype}; expected integers"
            + (": scale to microseconds and round" if name == "t" else "")
        )
    return column


def check_column(name: str, column: NDArray[Any], limit: int, expected: str) -> None:
    """Refuse a column with a value outside ``0 <= value < limit``.

    Args:
        name: the field, for the message.
        column: integers ``[N]``.
        limit: first value that is too large.
        expected: how the range reads in the message, with what to do.

    Raises:
        EventError: names the field, the first bad event and its value.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.checks import check_column
        >>> check_column("x", np.array([3, 40]), 34, "0 <= x < 34")
        Traceback (most recent call last):
        ...
        spikesim.errors.EventError: event 1 has x = 40; expected 0 <= x < 34
    """
    if column.size == 0 or (int(column.min()) >= 0 and int(column.max()) < limit):
        return
    # Comparing at both ends keeps unsigned 64-bit values right.
    bad = (column < 0) | (column >= limit) if column.dtype.kind == "i" else column >= limit
    first = int(np.argmax(bad))
    raise EventError(f"event {first} has {name} = {int(column[first])}; expected {expected}")
