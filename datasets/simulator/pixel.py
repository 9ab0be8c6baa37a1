"""The pixel between two frames: one definition, whatever walks over pixels and frames.

A pixel remembers a signal level. When the signal has moved away from it by the pixel's threshold, the pixel emits an
event and remembers the new level; then it is held for the refractory period and remembers the level at the end of it,
as the reset switch of a real pixel does (Lichtsteiner et al. 2008, https://doi.org/10.1109/JSSC.2007.914337). Between
frames the signal is a straight line, so the time of a crossing is exact (ESIM, Rebecq et al. 2018).

Leakage lets the remembered level sink, which is the same as a signal that rises. Shot noise is a Poisson process in
continuous time: candidates come at the highest rate that a pixel can have, each with random numbers of its own, and
one is taken with the share of that rate which the light of the moment has (thinning, Lewis and Shedler 1979,
https://doi.org/10.1002/nav.3800260304). So frames neither cut the process nor know of it. A noise event resets the
pixel as any other; a candidate in the dead time is lost.

Events travel as one integer each (time, row, column, polarity, noise flag from the top bit down): sorting the
integers orders them by time with a fixed rule for ties.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from spikesim.datasets.counter import bits_at

TIME = 32
ROW = 17
COLUMN = 2
SIDE = 0x7FFF
"""Fifteen bits of row or column."""

LARGEST_SPAN_US = 2**31
"""First time, counted from that of the first key, that does not fit an event's integer."""

_UNIT = 1.0 / 9007199254740992.0  # 2**-53


@njit(cache=True, nogil=True, error_model="numpy")
def candidate_wait(key: Any, pixel: Any, number: Any) -> Any:
    """Time from a candidate to the next, in mean waits: exponential, drawn for the number of the next one."""
    counter = (np.uint64(pixel) << np.uint64(32)) + np.uint64(2) * np.uint64(number)
    return -np.log(1.0 - np.float64(bits_at(key, counter) >> np.uint64(11)) * _UNIT)


@njit(cache=True, nogil=True, error_model="numpy")
def interval_events(
    start: Any, end: Any, before: Any, after: Any, light_before: Any, light_after: Any,
    where: Any, pixel: Any, base: Any, on: Any, off: Any, hot: Any, receptor: Any, key: Any,
    level: Any, dead_until: Any, due: Any, candidate: Any, keys: Any, used: Any,
) -> Any:  # fmt: skip
    """Append the events of one pixel between two frames to ``keys``.

    Args:
        start: time of the first frame in microseconds.
        end: time of the second.
        before: signal at the first.
        after: signal at the second, with what leakage adds in between.
        light_before: linear light at the first, which noise depends on.
        light_after: linear light at the second.
        where: row and column in their bits of a key.
        pixel: number of the pixel.
        base: time that the keys count from.
        on: its threshold of ON events.
        off: its threshold of OFF events.
        hot: its own rate of noise, per microsecond.
        receptor: what all pixels share.
        key: of the draws of noise.
        level: what it remembers.
        dead_until: the end of its dead time.
        due: time of its next candidate of noise.
        candidate: number of that candidate.
        keys: where the events go.
        used: how many there are already.

    Returns:
        ``level``, ``dead_until``, ``due``, ``candidate`` and ``used`` now; -1 instead of the last if ``keys`` is too
        small, and then nothing has happened.
    """
    slope = (after - before) / (end - start)
    now = start
    awake = True
    if dead_until >= start:
        awake = dead_until < end
        if awake:
            level = before + slope * (dead_until - start)
            now = dead_until
    highest = receptor.shot + hot
    while awake:
        what = np.int64(0)
        if after - level >= on:
            what = np.int64(2)
            reached = level + on
            # Rounding must not move an event out of its interval or into the dead time.
            at = min(max(start + (reached - before) / slope, now), end)
        elif level - after >= off:
            reached = level - off
            at = min(max(start + (reached - before) / slope, now), end)
        else:
            reached = level
            at = np.inf
        while due <= end and due < at:
            bits = bits_at(key, (np.uint64(pixel) << np.uint64(32)) + np.uint64(2 * candidate + 1))
            passed = due
            candidate += 1
            due += candidate_wait(key, pixel, candidate) / highest
            light = min(light_before + (light_after - light_before) * ((passed - start) / (end - start)), 1.0)
            rate = receptor.shot * (1.0 - (1.0 - receptor.shot_bright) * light) + hot
            if passed >= now and np.float64(bits >> np.uint64(11)) * _UNIT * highest < rate:
                what = np.int64((bits & np.uint64(1)) << np.uint64(1)) | np.int64(1)
                at = passed
                reached = before + slope * (at - start)
                break
        if at == np.inf:
            break
        if used >= keys.size:
            return level, dead_until, due, candidate, np.int64(-1)
        keys[used] = ((np.int64(at) - base) << TIME) | where | what
        used += 1
        level = reached
        now = at
        if receptor.refractory > 0:
            dead_until = at + receptor.refractory
            if dead_until >= end:
                break
            level = before + slope * (dead_until - start)
            now = dead_until
    while due <= end:  # in the dead time
        candidate += 1
        due += candidate_wait(key, pixel, candidate) / highest
    return level, dead_until, due, candidate, np.int64(used)


@njit(cache=True, nogil=True)
def fill(keys: Any, base: Any, events: Any, noise: Any) -> Any:
    """Unpack keys into an array of events, whose times count from 0, and noise flags; return how many are ON."""
    on = 0
    for i in range(keys.size):
        key = keys[i]
        events[i].x = (key >> COLUMN) & SIDE
        events[i].y = (key >> ROW) & SIDE
        events[i].t = (key >> TIME) + base
        events[i].p = (key >> 1) & 1
        noise[i] = key & 1
        on += (key >> 1) & 1
    return on


def unpack(keys: Any) -> tuple[Any, Any, Any, Any]:
    """Return the columns x, y, t and p of packed events; t counts from their base."""
    return (keys >> COLUMN) & SIDE, (keys >> ROW) & SIDE, keys >> TIME, (keys >> 1) & 1
