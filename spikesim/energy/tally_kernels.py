"""One pass over one row of an activation, compiled for the processor."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import njit, prange

NONZERO, BINARY, SIGNED, UNITS, MESSAGES = range(5)  # what is counted
ILLEGAL, LARGE = 1, 2  # what may be wrong with a row: a value breaks its type; a count may not fit


@njit(cache=True, nogil=True)
def _strange(row: Any, mode: Any) -> Any:
    """Whether a value is neither zero nor one (nor minus one)."""
    strange = np.int32(0)
    if mode == BINARY:
        for i in range(len(row)):
            strange |= np.int32((row[i] != 0) & (row[i] != 1))
    elif mode == SIGNED:
        for i in range(len(row)):
            strange |= np.int32((row[i] != 0) & (row[i] != 1) & (row[i] != -1))
    return strange != 0


@njit(cache=True, nogil=True)
def _nonzero(row: Any, places: Any, channels: Any, positions: Any, inner: Any) -> None:
    """Values that are not zero at each position."""
    if inner:
        for p in range(positions):
            part = row[p * channels : (p + 1) * channels]
            total = np.int32(0)
            for c in range(channels):
                total += np.int32(part[c] != 0)
            places[p] = total
        return
    places[:] = 0
    for c in range(channels):
        part = row[c * positions : (c + 1) * positions]
        for p in range(positions):
            places[p] += np.int32(part[p] != 0)


@njit(cache=True, nogil=True)
def _units(
    row: Any, mode: Any, scale: Any, low: Any, high: Any, limit: Any, tolerance: Any,
    places: Any, channels: Any, positions: Any, inner: Any,
) -> Any:  # fmt: skip
    """Whole numbers of events of ``scale`` each; MESSAGES counts a value once whatever it holds."""
    # One loop for each order of memory, without branches: they are vectorised.
    strange, large, messages = np.int32(0), np.int32(0), np.int64(0)
    one_each = mode == MESSAGES
    places[:] = 0
    outer, within = (positions, channels) if inner else (channels, positions)
    for a in range(outer):
        part = row[a * within : (a + 1) * within]
        some = np.int32(0)
        total = np.int32(0)
        for b in range(within):
            unit = part[b] / scale
            count = np.rint(unit)
            size = abs(count)
            sound = (abs(unit - count) <= max(tolerance * size, tolerance)) & (low <= count) & (count <= high)
            strange |= np.int32(not sound)
            large |= np.int32(not size <= limit)
            held = np.int32(size)
            fires = np.int32(held != 0)
            some += fires
            held = fires if one_each else held
            total += held
            if not inner:
                places[b] += held
        if inner:
            places[a] = total
        messages += some
    return np.uint8(ILLEGAL * (strange != 0) + LARGE * (large != 0)), messages


@njit(cache=True, nogil=True)
def tally_row(
    row: Any, channels: Any, positions: Any, inner: Any,
    mode: Any, scale: Any, low: Any, high: Any, limit: Any, tolerance: Any, places: Any,
) -> Any:  # fmt: skip
    """Events per position of one row, values that are not zero, and what is wrong with the row.

    Args:
        row: values of one row in the order of memory.
        channels: how many.
        positions: how many.
        inner: whether the channels of a position lie together.
        mode: what is counted.
        scale: value of one event.
        low: least legal count.
        high: greatest legal count.
        limit: greatest count whose sum over channels fits.
        tolerance: distance from a whole number that is rounding.
        places: int32 ``[positions]``, filled.
    """
    if mode in (UNITS, MESSAGES):
        return _units(row, mode, scale, low, high, limit, tolerance, places, channels, positions, inner)
    # Two loops over a row that stays in the cache are quicker than one that keeps two sums for each position.
    status = np.uint8(ILLEGAL) if _strange(row, mode) else np.uint8(0)
    _nonzero(row, places, channels, positions, inner)
    return status, places.sum()


def _tally(
    values: Any, rows: Any, channels: Any, positions: Any, inner: Any,
    mode: Any, scale: Any, low: Any, high: Any, limit: Any, tolerance: Any,
    places: Any, messages: Any, status: Any,
) -> None:  # fmt: skip
    size = channels * positions
    for r in prange(rows):
        status[r], messages[r] = tally_row(
            values[r * size : (r + 1) * size], channels, positions, inner,
            mode, scale, low, high, limit, tolerance, places[r],
        )  # fmt: skip


TALLY = SimpleNamespace(
    run=njit(cache=True, nogil=True)(_tally), run_parallel=njit(cache=True, nogil=True, parallel=True)(_tally)
)
