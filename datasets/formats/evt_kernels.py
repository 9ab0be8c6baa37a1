"""Decoders of Prophesee's EVT words: loops with a state, as a word's meaning depends on those before it."""

from __future__ import annotations

from typing import Any

from numba import njit

# What a decoder remembers from word to word.
TIMED, HIGH, TURNS, LOW, ROWED, ROW, COLUMN, POLARITY, TRIGGERS = range(9)
STATE = 9


@njit(cache=True, nogil=True)
def _time_high(state: Any, high: int, bits: int) -> None:
    """Take the high bits of the time; a fall by more than half their range is an overflow."""
    if state[TIMED] and state[HIGH] - high > 1 << (bits - 1):
        state[TURNS] += 1
    if not state[TIMED] or state[HIGH] != high:
        state[LOW] = 0
    state[TIMED] = 1
    state[HIGH] = high


@njit(cache=True, nogil=True)
def decode2(words: Any, state: Any, x: Any, y: Any, t: Any, p: Any, place: Any) -> int:
    """EVT 2.0: one event a 32-bit word; returns how many were decoded into the columns."""
    n = 0
    for i in range(len(words)):
        word = int(words[i])
        kind = word >> 28
        if kind == 8:
            _time_high(state, word & 0xFFFFFFF, 28)
        elif kind < 2:
            if state[TIMED] and n < len(x):
                x[n], y[n], p[n], place[n] = (word >> 11) & 0x7FF, word & 0x7FF, kind, i
                t[n] = (((state[TURNS] << 28) + state[HIGH]) << 6) | ((word >> 22) & 0x3F)
                n += 1
        elif kind == 10:
            state[TRIGGERS] += 1
    return n


@njit(cache=True, nogil=True)
def decode21(heads: Any, masks: Any, state: Any, x: Any, y: Any, t: Any, p: Any, place: Any) -> int:
    """EVT 2.1: up to 32 events of a row in a 64-bit word, given in two halves."""
    n = 0
    for i in range(len(heads)):
        word = int(heads[i])
        kind = word >> 28
        if kind == 8:
            _time_high(state, word & 0xFFFFFFF, 28)
        elif kind < 2:
            if not state[TIMED]:
                continue
            mask = int(masks[i])
            time = (((state[TURNS] << 28) + state[HIGH]) << 6) | ((word >> 22) & 0x3F)
            for bit in range(32):
                if (mask >> bit) & 1 and n < len(x):
                    x[n], y[n], p[n], place[n] = ((word >> 11) & 0x7FF) + bit, word & 0x7FF, kind, i
                    t[n] = time
                    n += 1
        elif kind == 10:
            state[TRIGGERS] += 1
    return n


@njit(cache=True, nogil=True)
def decode3(words: Any, state: Any, x: Any, y: Any, t: Any, p: Any, place: Any) -> int:
    """EVT 3.0: row, column, polarity and time in 16-bit words of their own, sent when they change."""
    n = 0
    for i in range(len(words)):
        word = int(words[i])
        kind = word >> 12
        if kind == 0:
            state[ROW], state[ROWED] = word & 0x7FF, 1
        elif kind == 2 or kind == 4 or kind == 5:
            if kind == 2:
                first, polarity, mask, width = word & 0x7FF, (word >> 11) & 1, 1, 1
            else:
                width = 12 if kind == 4 else 8
                first, polarity, mask = state[COLUMN], state[POLARITY], word & ((1 << width) - 1)
                state[COLUMN] += width
            if not (state[TIMED] and state[ROWED]):
                continue
            time = (((state[TURNS] << 12) + state[HIGH]) << 12) | state[LOW]
            for bit in range(width):
                if (mask >> bit) & 1 and n < len(x):
                    x[n], y[n], p[n], place[n] = first + bit, state[ROW], polarity, i
                    t[n] = time
                    n += 1
        elif kind == 3:
            state[COLUMN], state[POLARITY] = word & 0x7FF, (word >> 11) & 1
        elif kind == 6:
            state[LOW] = word & 0xFFF
        elif kind == 8:
            _time_high(state, word & 0xFFF, 12)
        elif kind == 10:
            state[TRIGGERS] += 1
    return n
