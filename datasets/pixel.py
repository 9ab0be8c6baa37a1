"""The Numba kernels of the ideal event pixel. All are sequential and release the GIL.

A pixel remembers a log intensity. When the log intensity has moved away from it by the pixel's
threshold, the pixel emits an event and remembers the new level; then it is held for the refractory
period and remembers the level at the end of it, as the reset switch of a real pixel does
(Lichtsteiner et al. 2008, https://doi.org/10.1109/JSSC.2007.914337). Between frames the log
intensity is a straight line, so the time of a crossing is exact (ESIM, Rebecq et al. 2018).

Events travel as one integer each (time, row, column, polarity, noise flag from the top bit down):
sorting the integers orders them by time with a fixed rule for ties.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from spikesim.datasets.counter import normal_at, uniform_at

_TIME = 32
_ROW = 17
_COLUMN = 2
_SIDE = 0x7FFF  # fifteen bits of row or column
LARGEST_TIME_US = 2**31
"""First time that does not fit an event's integer."""


@njit(cache=True, nogil=True)
def room_for(keys: Any, used: Any, trace: Any, threshold: Any) -> Any:
    """Return ``keys``, or a larger copy, with room for every event that ``trace`` can cause."""
    travelled = 0.0
    for f in range(1, trace.size):
        travelled += abs(trace[f] - trace[f - 1])
    needed = used + int(travelled / threshold) + 2  # an event uses up at least one threshold of travel
    if needed <= keys.size:
        return keys
    larger = np.empty(max(needed, 2 * keys.size), np.int64)
    larger[:used] = keys[:used]
    return larger


@njit(cache=True, nogil=True)
def pixel_events(trace: Any, times: Any, threshold: Any, refractory: Any, x: Any, y: Any, keys: Any, used: Any) -> Any:
    """Append the events of one pixel to ``keys`` and return how many are used.

    ``trace`` is the log intensity ``[F]`` (float64) at ``times`` ``[F]`` (int64 us); ``keys`` comes
    from :func:`room_for`.
    """
    where = (np.int64(y) << _ROW) | (np.int64(x) << _COLUMN)
    level = trace[0]
    dead_until = 0.0
    held = False
    for f in range(1, trace.size):
        start = float(times[f - 1])
        end = float(times[f])
        slope = (trace[f] - trace[f - 1]) / (end - start)
        now = start
        if held:
            if dead_until >= end:
                continue
            level = trace[f - 1] + slope * (dead_until - start)
            now = dead_until
            held = False
        while True:
            if trace[f] - level >= threshold:
                up = np.int64(1)
                crossed = level + threshold
            elif level - trace[f] >= threshold:
                up = np.int64(0)
                crossed = level - threshold
            else:
                break
            # Rounding must not move an event out of its segment or into the dead time.
            now = min(max(start + (crossed - trace[f - 1]) / slope, now), end)
            keys[used] = (np.int64(now) << _TIME) | where | (up << 1)
            used += 1
            level = crossed
            if refractory > 0:
                dead_until = now + refractory
                if dead_until >= end:
                    held = True
                    break
                level = trace[f - 1] + slope * (dead_until - start)
                now = dead_until
    return used


@njit(cache=True, nogil=True)
def movie_events(log_frames: Any, times: Any, thresholds: Any, refractory: Any) -> Any:
    """Return the events of a movie ``[F, H, W]`` of log intensity, unsorted."""
    count, height, width = log_frames.shape
    keys = np.empty(4096, np.int64)
    trace = np.empty(count, np.float64)
    used = 0
    for y in range(height):
        for x in range(width):
            for f in range(count):
                trace[f] = log_frames[f, y, x]
            keys = room_for(keys, used, trace, thresholds[y, x])
            used = pixel_events(trace, times, thresholds[y, x], refractory, x, y, keys, used)
    return keys[:used]


@njit(cache=True, nogil=True)
def draw_thresholds(key: Any, mean: Any, spread: Any, height: Any, width: Any) -> Any:
    """Draw one threshold per pixel, normal and never below a tenth of the mean."""
    thresholds = np.empty((height, width), np.float64)
    for y in range(height):
        for x in range(width):
            drawn = mean + spread * normal_at(key, np.uint64(y * width + x))
            thresholds[y, x] = max(drawn, 0.1 * mean)
    return thresholds


@njit(cache=True, nogil=True)
def with_noise(
    keys: Any, fraction: Any, key: Any, first: Any, last: Any, refractory: Any, height: Any, width: Any
) -> Any:
    """Return the events in order, with ``fraction`` times as many noise events among them.

    Noise is uniform over pixels, polarities and the time from ``first`` to ``last``. A noise event
    within the refractory period of another event of its pixel is dropped.
    """
    noisy = int(np.floor(fraction * keys.size + 0.5))
    every = np.empty(keys.size + noisy, np.int64)
    every[: keys.size] = keys
    for i in range(noisy):
        at = np.uint64(4 * i)
        t = first + np.int64(uniform_at(key, at) * (last - first + 1))
        x = np.int64(uniform_at(key, at + np.uint64(1)) * width)
        y = np.int64(uniform_at(key, at + np.uint64(2)) * height)
        p = np.int64(uniform_at(key, at + np.uint64(3)) * 2)
        every[keys.size + i] = (t << _TIME) | (y << _ROW) | (x << _COLUMN) | (p << 1) | 1
    every.sort()
    if refractory <= 0 or noisy == 0:
        return every
    kept = np.ones(every.size, np.bool_)
    near = np.full((height, width), np.int64(1) << 62, np.int64)
    for i in range(every.size - 1, -1, -1):  # against the signal event that follows
        t = every[i] >> _TIME
        y = (every[i] >> _ROW) & _SIDE
        x = (every[i] >> _COLUMN) & _SIDE
        if every[i] & 1:
            kept[i] = near[y, x] - t >= refractory
        else:
            near[y, x] = t
    near[:] = -(np.int64(1) << 62)
    for i in range(every.size):  # against whatever came before
        t = every[i] >> _TIME
        y = (every[i] >> _ROW) & _SIDE
        x = (every[i] >> _COLUMN) & _SIDE
        if every[i] & 1 and t - near[y, x] < refractory:
            kept[i] = False
        if kept[i]:
            near[y, x] = t
    return every[kept]


def unpack(keys: Any) -> tuple[Any, Any, Any, Any]:
    """Return the columns x, y, t and p of packed events."""
    return (keys >> _COLUMN) & _SIDE, (keys >> _ROW) & _SIDE, keys >> _TIME, (keys >> 1) & 1
