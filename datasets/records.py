"""Arrays of event records: copied, selected and put in order as whole records, which NumPy does field by field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.errors import EventError


def untitled(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The same layout without titles, which Numba does not know and ``np.concatenate`` may refuse.

    >>> untitled(np.dtype([(("timestamp", "t"), "u8")]))
    dtype([('t', '<u8')])
    """
    fields: Any = dtype.fields or {}
    if all(len(field) == 2 for field in fields.values()):
        return dtype
    names = list(dtype.names or ())
    formats, offsets = [fields[name][0] for name in names], [fields[name][1] for name in names]
    plain = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": dtype.itemsize})
    packed = np.dtype(list(zip(names, formats)))
    return packed if packed == plain else plain


@njit(cache=True, nogil=True)
def brighter(event: Any) -> Any:
    """1 for an event of ON polarity, else 0, without a branch: to the processor polarities are as good as random.

    >>> brighter(np.ones(1, [("p", "?")])[0])
    1
    """
    return np.int64(event["p"] != 0)


def copied(data: NDArray[Any]) -> NDArray[Any]:
    """A copy of records as the bytes that they are: an eighth of the time of ``data.copy()``.

    >>> copied(np.ones(2, [("x", "i2"), ("t", "i8")])).tolist()
    [(1, 1), (1, 1)]
    """
    out = np.empty(data.shape, data.dtype)
    _assign(out, data)
    return out


def stacked(parts: Sequence[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Records of one dtype behind each other; a single part as it is.

    Args:
        parts: any number of arrays ``[N]``.
        dtype: of all.

    >>> stacked([np.zeros(1, [("x", "i2")]), np.ones(2, [("x", "i2")])], np.dtype([("x", "i2")]))["x"].tolist()
    [0, 1, 1]
    """
    if len(parts) == 1:
        return parts[0]
    made = np.empty(sum(len(part) for part in parts), dtype)
    place = 0
    for part in parts:
        _assign(made[place : place + len(part)], part)
        place += len(part)
    return made


def joined(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Records of one dtype behind each other.

    Args:
        first: what comes first.
        second: the others, of the same dtype.

    >>> joined(np.zeros(1, [("x", "i2")]), np.ones(2, [("x", "i2")]))["x"].tolist()
    [0, 1, 1]
    """
    return stacked((first, second), first.dtype)


def _assign(out: NDArray[Any], data: NDArray[Any]) -> None:
    if out.dtype == data.dtype and data.flags.c_contiguous and not data.dtype.hasobject:
        out.view(np.uint8)[...] = data.view(np.uint8)
    else:
        out[...] = data


@njit(cache=True, nogil=True)
def _compact(data: Any, keep: Any, out: Any) -> None:
    place = 0
    for i in range(len(data)):
        if keep[i]:
            out[place] = data[i]
            place += 1


def kept_of(data: NDArray[Any], keep: NDArray[np.bool_], count: int | None = None) -> NDArray[Any]:
    """``data[keep]``.

    Args:
        data: records ``[N]``, without titles.
        keep: which of them, ``[N]``.
        count: how many, if that is known.

    >>> len(kept_of(np.zeros(2, [("x", "i2"), ("t", "i8")]), np.array([True, False])))
    1
    """
    out = np.empty(int(np.count_nonzero(keep)) if count is None else count, data.dtype)
    _compact(data, keep, out)
    return out


@njit(cache=True, nogil=True)
def falls_within(data: Any, start: Any, end: Any) -> Any:
    """Whether an event from index ``start`` up to ``end`` is earlier than the one before it; for kernels."""
    for i in range(max(start, 1), end):  # noqa: SIM110 - Numba knows no any()
        if data[i]["t"] < data[i - 1]["t"]:
            return True
    return False


@njit(cache=True, nogil=True)
def _first_fall(t: Any) -> Any:
    for i in range(1, len(t)):
        if t[i] < t[i - 1]:
            return i
    return 0


def first_fall(t: NDArray[Any]) -> int:
    """Index of the first time that is earlier than the one before it; 0 if there is none.

    >>> first_fall(np.array([3, 3, 9])), first_fall(np.array([3, 9, 4]))
    (0, 2)
    """
    return int(_first_fall(t))


def in_order(data: NDArray[Any], refuse: str | None = None) -> NDArray[Any]:
    """The events in order of time; those of the same time keep their order.

    Args:
        data: the events.
        refuse: name of a transform that needs them in order, and cannot sort them without changing what is meant.

    Raises:
        EventError: they are out of order, and ``refuse`` is given.

    >>> in_order(np.array([(1, 9), (2, 3)], [("x", "i2"), ("t", "i8")]))["x"].tolist()
    [2, 1]
    """
    t = data["t"]
    fall = first_fall(t)
    if not fall:
        return data
    if refuse is not None:
        raise EventError(
            f"{refuse}: event {fall} is earlier than the one before it; what goes by the "
            "number of events needs them in order of time: sort the recording first (events.in_time_order())"
        )
    return data.take(np.argsort(t, kind="stable"))


@njit(cache=True, nogil=True)
def _places(t: Any, edges: Any, found: Any) -> None:
    for j in range(len(edges)):
        low, high = 0, len(t)
        while low < high:
            middle = (low + high) // 2
            if np.int64(t[middle]) < edges[j]:
                low = middle + 1
            else:
                high = middle
        found[j] = low


def places(t: NDArray[Any], edges: NDArray[Any]) -> NDArray[np.int64]:
    """``np.searchsorted(t, edges)`` for a field of records, of which that makes a copy.

    Args:
        t: times in ascending order, ``[N]``.
        edges: ``[K]``, integers or floats.

    >>> places(np.array([0, 3, 6]), np.array([3, 3.5])).tolist()
    [1, 2]
    """
    found = np.empty(len(edges), np.int64)
    _places(t, edges, found)
    return found
