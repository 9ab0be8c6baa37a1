"""From any columns to the canonical ones and back: without loss, or an error that names field and event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, DTypeLike, NDArray

from spikesim.datasets.checks import FIELDS, SensorSize, bad_event, check_column
from spikesim.errors import EventError

if TYPE_CHECKING:
    import torch

EVENT_DTYPE = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.uint8)])
"""x and y in pixels, t in microseconds, p 0 (darker) or 1 (brighter): 13 bytes an event."""

TimeUnit = Literal["s", "ms", "us", "ns"]
Rounding = Literal["exact", "nearest"]

_PER_SECOND: dict[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_ALIASES = {
    "x": ("x", "col", "column", "x_address"),
    "y": ("y", "row", "y_address"),
    "t": ("t", "ts", "time", "timestamp", "timestamps"),
    "p": ("p", "pol", "polarity", "on"),
}


class EventColumns(NamedTuple):
    """The four columns of a recording, each ``[N]``."""

    x: NDArray[np.int16]
    y: NDArray[np.int16]
    t: NDArray[np.int64]
    p: NDArray[np.uint8]


class EventTensors(NamedTuple):
    """The four columns of a recording as tensors, each ``[N]``."""

    x: torch.Tensor
    y: torch.Tensor
    t: torch.Tensor
    p: torch.Tensor


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


def field_of(name: str) -> str | None:
    """Return which of x, y, t and p a field of a file is called by ``name``, or ``None``.

    Example:
        >>> from spikesim.datasets.convert import field_of
        >>> field_of("Timestamp"), field_of("pol"), field_of("cluster")
        ('t', 'p', None)
    """
    plain = name.strip().lower()
    return next((field for field, names in _ALIASES.items() if plain in names), None)


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
    if column.dtype.kind not in "iuf":
        if column.size == 0:
            return np.zeros(0, np.int64)
        raise EventError(f"{name} is of dtype {column.dtype}; expected integers, booleans or whole floats")
    return column


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
        >>> from spikesim.datasets.convert import microseconds
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


def canonical(
    columns: dict[str, NDArray[Any]],
    sensor_size: SensorSize,
    time_unit: TimeUnit = "us",
    rounding: Rounding = "exact",
    first: int = 0,
    polarity: PolarityRule | None = None,
) -> NDArray[Any]:
    """Return checked events as one array of :data:`EVENT_DTYPE`.

    Args:
        columns: x, y, t and p, each ``[N]`` as :func:`one_dimensional` makes them.
        sensor_size: ``(W, H, P)``.
        time_unit: the unit of t.
        rounding: as :func:`microseconds`.
        first: the number of the first event, where the columns are a part of a recording.
        polarity: the rule that has read the parts before.

    Raises:
        EventError: names the field and the first bad event.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.convert import canonical
        >>> canonical({"x": np.array([3]), "y": np.array([5]), "t": np.array([0.25]), "p": np.array([-1])},
        ...           (34, 34, 2), time_unit="ms").tolist()
        [(3, 5, 250, 0)]
    """
    lengths = {name: len(columns[name]) for name in FIELDS}
    if len(set(lengths.values())) > 1:
        raise EventError(f"event columns differ in length: {lengths}; expected one value per event in each")
    width, height, _ = sensor_size
    sensor = f"(sensor {width} x {height}): crop the recording or name the sensor it was made with"
    data = np.empty(lengths["t"], EVENT_DTYPE)
    rule = polarity or PolarityRule()
    if tuple(columns[name].dtype.str for name in FIELDS) in _USUAL and time_unit == "us" and rounding == "exact":
        p = rule(columns["p"], first)
        if p.dtype == columns["p"].dtype and _gather(*(columns[name] for name in "xyt"), p, width, height, data):
            return data
    x, y = (whole_numbers(name, columns[name], first) for name in "xy")
    _settle("x", x, width, f"0 <= x < {width} {sensor}", first, data)
    _settle("y", y, height, f"0 <= y < {height} {sensor}", first, data)
    t = microseconds(columns["t"], time_unit, rounding, first)
    _settle("t", t, 2**63, "microseconds from 0 on, below 2**63", first, data)
    p = rule(whole_numbers("p", columns["p"], first), first)
    _settle("p", p, 2, "a polarity of 0 or 1 (or -1 and 1)", first, data)
    return data


_USUAL = {("<i2", "<i2", "<i8", "|u1"), ("<i8", "<i8", "<i8", "<i8"), ("<u4", "<u4", "<u4", "<u4")}
"""Dtypes of x, y, t and p that are worth a kernel of their own: ours, NumPy's, and those of SpikingJelly's files."""


@njit(cache=True, nogil=True)
def _gather(x: Any, y: Any, t: Any, p: Any, width: Any, height: Any, data: Any) -> Any:
    """Put four columns together; whether all values are in range."""
    sound = True
    for i in range(len(data)):
        column, row, time, on = np.int64(x[i]), np.int64(y[i]), np.int64(t[i]), np.int64(p[i])
        sound &= (column >= 0) & (column < width) & (row >= 0) & (row < height) & (time >= 0) & (on >= 0) & (on < 2)
        data[i]["x"], data[i]["y"], data[i]["t"], data[i]["p"] = column, row, time, on
    return sound


def _settle(name: str, column: NDArray[Any], limit: int, expected: str, first: int, data: NDArray[Any]) -> None:
    """Put a column into its place; a value that is not from 0 to below ``limit`` is an error."""
    if not len(column):
        return
    at = int(_put(column.astype(column.dtype.newbyteorder("="), copy=False), limit - 1, data[name]))
    if at >= 0:
        raise bad_event(name, first + at, column[at], expected)


@njit(cache=True, nogil=True)
def _put(column: Any, most: Any, out: Any) -> Any:
    for i in range(len(column)):
        value = np.int64(column[i])  # what is beyond 2**63 becomes negative
        if value < 0 or value > most:
            return i
        out[i] = value
    return -1


def fitted(name: str, column: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return a column in another dtype; a value that it cannot hold is an error.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.convert import fitted
        >>> fitted("t", np.array([5, 70_000]), np.uint16)
        Traceback (most recent call last):
        ...
        spikesim.datasets.checks.BadEventError: event 1 has t = 70000; expected a value that uint16 can hold
    """
    wanted = np.dtype(dtype)
    if wanted.kind not in "biuf":
        raise EventError(f"{name} is asked for as {wanted}; expected a dtype of numbers or booleans")
    with np.errstate(over="ignore", invalid="ignore"):
        made = column.astype(wanted)
        # Ranges, not a cast back: t = 2**63 - 1 as a float casts back to anything.
        lost = made.astype(np.longdouble) != column.astype(np.longdouble)
    if lost.any():
        at = int(np.argmax(lost))
        raise bad_event(name, at, column[at], f"a value that {wanted} can hold")
    return made


def to_structured(data: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return events of :data:`EVENT_DTYPE` in another structured dtype, whole."""
    wanted = np.dtype(dtype)
    sources = {name: _source(wanted, name) for name in wanted.names or ()}
    if not sources or sorted(field or "?" for field in sources.values()) != sorted(FIELDS):
        raise EventError(f"the dtype asked for is {wanted}; expected a structured one with the fields x, y, t and p")
    made = np.empty(len(data), wanted)
    for name, source in sources.items():
        if source is not None:
            made[name] = fitted(source, data[source], wanted[name])
    return made


def _source(dtype: np.dtype[Any], name: str) -> str | None:
    """Which field goes into the field ``name``: by its name, or by its title."""
    fields: Any = dtype.fields
    field = fields[name]
    title = field[2] if len(field) > 2 else None
    return field_of(name) or (field_of(title) if isinstance(title, str) else None)


def structured_columns(array: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the columns x, y, t and p of a structured array, found by name or title."""
    names = array.dtype.fields
    if names is None:
        raise EventError(
            f"events are a plain array of dtype {array.dtype}; expected a structured array with the "
            "fields x, y, t and p. Use Events.from_columns(x, y, t, p, sensor_size) for columns"
        )
    called = {field: [name for name in array.dtype.names or () if field_of(name) == field] for field in FIELDS}
    # The plain name or title wins; another spelling counts where there is exactly one.
    found = {field: field if field in names else "".join(called[field][:1]) for field in FIELDS}
    missing = [field for field in FIELDS if not found[field] or (field not in names and len(called[field]) > 1)]
    if missing:
        raise EventError(
            f"events have the fields {', '.join(array.dtype.names or ())}; expected x, y, t and p, of which "
            f"{', '.join(missing)} missing"
        )
    return {field: one_dimensional(field, array[name]) for field, name in found.items()}
