"""One column of events: numbers of any kind, times of any unit, polarities of both conventions."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesim.datasets.checks import bad_event, check_column
from spikesim.errors import EventError

TimeUnit = Literal["s", "ms", "us", "ns"]
Rounding = Literal["exact", "nearest"]

_PER_SECOND: dict[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class PolarityRule:
    """Reads polarities as 0/1 or as -1/+1, the same way for the whole of a recording.

    Where a -1 occurs there must be no 0: nobody could say what a mixture means.
    """

    def __init__(self) -> None:
        self._minus = self._zero = False

    def __call__(self, column: NDArray[Any], first: int = 0) -> NDArray[Any]:
        """Return the column with 0 for -1; ``first`` is the number of its first event."""
        if column.size == 0:
            return column
        low = int(column.min())
        if low >= 0 and not self._minus:
            self._zero = self._zero or low == 0
            return column
        zero, minus = column == 0, column == -1
        clash = zero if self._minus else minus if self._zero else None
        if clash is None and minus.any() and zero.any():
            clash = zero if int(np.argmax(zero)) > int(np.argmax(minus)) else minus
        if clash is not None and clash.any():
            at = int(np.argmax(clash))
            raise bad_event("p", first + at, column[at], "0 and 1, or -1 and 1; this recording mixes 0 and -1")
        self._minus = self._minus or bool(minus.any())
        self._zero = self._zero or bool(zero.any())
        return np.where(minus, 0, column)


def one_dimensional(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return a column as an array ``[N]`` of booleans, integers or floats, in its own width."""
    given: Any = values
    if hasattr(given, "detach"):
        given = given.detach().cpu()
    try:
        column = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise EventError(f"{name} is no array of numbers ({error}); expected one number per event") from error
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise EventError(f"{name} has shape {column.shape}; expected one value per event, [N]")
    if column.dtype.kind == "b":
        return column.view(np.uint8)
    if np.ma.is_masked(given):
        raise bad_event(name, int(np.argmax(np.ma.getmaskarray(given).ravel())), "masked", "a number")
    if column.dtype.kind == "O" and column.size:
        return _numbers(name, column)
    if column.dtype.kind not in "iuf":
        if column.size == 0:
            return np.zeros(0, np.int64)
        raise EventError(f"{name} is of dtype {column.dtype}; expected integers, booleans or whole floats")
    return column


def _numbers(name: str, column: NDArray[Any]) -> NDArray[Any]:
    """Python's numbers, which NumPy leaves as they are where one of them does not fit."""
    for at, value in enumerate(column):
        if not isinstance(value, Real):
            raise bad_event(name, at, value, "a number")
        if isinstance(value, Integral) and not -(2**63) <= int(value) < 2**63:
            raise bad_event(name, at, value, "a number of 64 bits")
    return column.astype(np.int64 if all(isinstance(value, Integral) for value in column) else np.float64)


def whole_numbers(name: str, column: NDArray[Any], first: int = 0) -> NDArray[Any]:
    """Return a column of integers; floats must hold whole numbers."""
    if column.dtype.kind != "f":
        return column
    with np.errstate(invalid="ignore", over="ignore"):
        bad = ~(np.isfinite(column) & (np.abs(column) < 2.0**53) & (np.rint(column) == column))
    if bad.any():
        at = int(np.argmax(bad))
        raise bad_event(name, first + at, column[at], "a whole number")
    return column.astype(np.int64)


def microseconds(
    column: NDArray[Any], unit: TimeUnit = "us", rounding: Rounding = "exact", first: int = 0
) -> NDArray[Any]:
    """Return times in whole microseconds.

    Args:
        column: times ``[N]``, integers or floats of any width.
        unit: the unit of the times.
        rounding: ``"exact"`` refuses a time that the nearest microsecond does not give back in the
            dtype of ``column``; ``"nearest"`` rounds it.
        first: the number of the first event, where the column is a part of a recording.

    Returns:
        Integers ``[N]``.

    Raises:
        EventError: names the first event whose time is not a number, negative, too large or, where
            ``rounding="exact"``, not a whole microsecond.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.columns import microseconds
        >>> microseconds(np.array([0.25, 1.5], np.float32), "ms").tolist()
        [250, 1500]
    """
    if unit not in _PER_SECOND or rounding not in get_args(Rounding):
        raise EventError(
            f"time_unit is {unit!r} and rounding {rounding!r}; expected one of {', '.join(_PER_SECOND)} "
            "and 'exact' or 'nearest'"
        )
    if column.size == 0 or (unit == "us" and column.dtype.kind != "f"):
        return column
    scale = 10**6 // _PER_SECOND[unit] if unit != "ns" else 1
    if column.dtype.kind != "f":
        check_column("t", column, 2**63 // scale, f"0 <= t < 2**63 us (t is in {unit})", first)
        if unit != "ns":
            return column.astype(np.int64) * scale
        wide = column.astype(np.uint64)
        rest = wide % np.uint64(1000)
        result = (wide // np.uint64(1000) + (rest >= 500)).astype(np.int64)
        lost = rest != 0
    else:
        with np.errstate(invalid="ignore", over="ignore"):
            bad = ~((column >= 0) & np.isfinite(column))
            scaled = column.astype(np.float64) * scale if unit != "ns" else column.astype(np.float64) / 1000
            bad |= ~(scaled < 2.0**63)
        if bad.any():
            at = int(np.argmax(bad))
            raise bad_event("t", first + at, column[at], f"a time from 0 to 2**63 us (t is in {unit})")
        result = np.rint(scaled).astype(np.int64)
        back = result / scale if unit != "ns" else result * 1000.0
        with np.errstate(over="ignore"):
            lost = back.astype(column.dtype) != column
    if rounding == "exact" and lost.any():
        at = int(np.argmax(lost))
        raise bad_event(
            "t",
            first + at,
            column[at],
            f"a whole microsecond (t is read as {unit}): pass the time_unit it is in, or rounding='nearest'",
        )
    return result
