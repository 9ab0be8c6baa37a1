"""From any columns to the canonical ones and back: without loss, or an error that names field and event."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from spikesim.datasets.checks import FIELDS, BadEventError, SensorSize, bad_event
from spikesim.datasets.columns import PolarityRule, Rounding, TimeUnit, microseconds, one_dimensional, whole_numbers
from spikesim.errors import EventError

if TYPE_CHECKING:
    import torch

EVENT_DTYPE = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.uint8)])
"""x and y in pixels, t in microseconds, p 0 (darker) or 1 (brighter): 13 bytes an event."""

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


def field_of(name: str) -> str | None:
    """Return which of x, y, t and p a field of a file is called by ``name``, or ``None``.

    Example:
        >>> from spikesim.datasets.convert import field_of
        >>> field_of("Timestamp"), field_of("pol"), field_of("cluster")
        ('t', 'p', None)
    """
    plain = name.strip().lower()
    return next((field for field, names in _ALIASES.items() if plain in names), None)


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
    rule = polarity or PolarityRule()
    before = copy(rule)
    try:
        return _checked(columns, sensor_size, time_unit, rounding, first, rule)
    except BadEventError as error:
        # Columns are looked at one after the other; an event before this one may be bad in another way.
        earlier = {name: column[: error.event - first] for name, column in columns.items()}
        if len(earlier["t"]):
            canonical(earlier, sensor_size, time_unit, rounding, first, before)
        raise


def _checked(
    columns: dict[str, NDArray[Any]],
    sensor_size: SensorSize,
    time_unit: TimeUnit,
    rounding: Rounding,
    first: int,
    rule: PolarityRule,
) -> NDArray[Any]:
    width, height, _ = sensor_size
    sensor = f"(sensor {width} x {height}): crop the recording or name the sensor it was made with"
    data = np.empty(len(columns["t"]), EVENT_DTYPE)
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
