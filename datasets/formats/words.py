"""Decoders of records of a fixed size, straight into events; what they mean say the formats that use them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.convert import EVENT_DTYPE

_OVERFLOW_ROW = 240
_OVERFLOW_US = 2**13


class Word(NamedTuple):
    """Where a 32-bit word holds what: the first bit and the number of bits of each field.

    Attributes:
        x, y, p: of the event.
        marks: bits that tell events from other records.
        event: what they hold in an event.
    """

    x: tuple[int, int]
    y: tuple[int, int]
    p: tuple[int, int]
    marks: int = 0
    event: int = 0

    def bits(self) -> tuple[int, ...]:
        """As the kernels take it: shift and mask of x, y and p, then marks and event."""
        fields = [number for first, count in (self.x, self.y, self.p) for number in (first, 2**count - 1)]
        return (*fields, self.marks, self.event)


def words_of(records: NDArray[Any]) -> tuple[NDArray[np.uint32], bool]:
    """Records of two words as uint32 ``[N, 2]`` of this machine, and whether their bytes are the wrong way round."""
    return records.view(np.uint32).reshape(-1, 2), not records.dtype[0].isnative


@njit(cache=True, nogil=True, inline="always")
def _turned(word: Any, swap: Any) -> Any:
    if swap:
        word = (word >> 24) | ((word >> 8) & 0xFF00) | ((word & 0xFF00) << 8) | ((word & 0xFF) << 24)
    return word


def room(count: int) -> NDArray[Any]:
    """Events to be filled in."""
    return np.empty(count, EVENT_DTYPE)


@njit(cache=True, nogil=True)
def timed_words(words: Any, swap: Any, time_at: Any, bits: Any, state: Any, out: Any) -> Any:
    """Pairs of a word and a time of 32 bits, which overflows where it falls by more than half its range.

    Args:
        words: uint32 ``[N, 2]``.
        swap: whether their bytes are the wrong way round.
        time_at: which of the two is the time.
        bits: of :class:`Word`.
        state: the time before as the file has it (-1 at the start), and what overflows have added so far.
        out: room for N events.

    Returns:
        How many are events, and the state after them.
    """
    x_bit, x_mask, y_bit, y_mask, p_bit, p_mask, marks, event = bits
    last, added = state
    n = 0
    for i in range(len(words)):
        low, word = _turned(np.int64(words[i, time_at]), swap), _turned(np.int64(words[i, 1 - time_at]), swap)
        if low - last < -(1 << 31):
            added += 1 << 32
        last = low
        if word & marks == event:
            out[n]["x"] = (word >> x_bit) & x_mask
            out[n]["y"] = (word >> y_bit) & y_mask
            out[n]["p"] = (word >> p_bit) & p_mask
            out[n]["t"] = low + added
            n += 1
    return n, (last, added)


@njit(cache=True, nogil=True)
def based_words(words: Any, swap: Any, ends: Any, bases: Any, bits: Any, out: Any) -> Any:
    """Pairs of a word and a time of 31 bits, in runs with what is to be added to their times.

    Args:
        words: uint32 ``[N, 2]``.
        swap: whether their bytes are the wrong way round.
        ends: where each run ends.
        bases: what is added in it.
        bits: of :class:`Word`.
        out: room for N events.

    Returns:
        How many are events, and the first event whose time has bit 31, or -1.
    """
    x_bit, x_mask, y_bit, y_mask, p_bit, p_mask, marks, event = bits
    n, begin = 0, 0
    for run in range(len(ends)):
        for i in range(begin, ends[run]):
            word, low = _turned(np.int64(words[i, 0]), swap), _turned(np.int64(words[i, 1]), swap)
            if word & marks == event:
                if low >> 31:
                    return n, i
                out[n]["x"] = (word >> x_bit) & x_mask
                out[n]["y"] = (word >> y_bit) & y_mask
                out[n]["p"] = (word >> p_bit) & p_mask
                out[n]["t"] = low + bases[run]
                n += 1
        begin = ends[run]
    return n, -1


@njit(cache=True, nogil=True)
def five_bytes(content: Any, added: Any, out: Any) -> Any:
    """40-bit records; gives how many are events, and what overflows have added to times at the end."""
    n = 0
    for i in range(len(content) // 5):
        y, high = content[5 * i + 1], np.int64(content[5 * i + 2])
        if y == _OVERFLOW_ROW:
            added += _OVERFLOW_US
            continue
        event = out[n]
        event["x"], event["y"], event["p"] = content[5 * i], y, high >> 7
        low = (high & 0x7F) << 16 | np.int64(content[5 * i + 3]) << 8 | np.int64(content[5 * i + 4])
        event["t"] = low + added
        n += 1
    return n, added


@njit(cache=True, nogil=True)
def fit(data: Any, width: Any, height: Any, last: Any) -> Any:
    """Whether all events are in range, and whether they are in order of time, also after a time before."""
    ordered = True
    for i in range(len(data)):
        event = data[i]
        x, y, t = event["x"], event["y"], event["t"]
        if x < 0 or x >= width or y < 0 or y >= height or t < 0 or event["p"] > 1:
            return False, False
        ordered &= t >= last
        last = t
    return True, ordered
