"""Noise as a share of the signal events: what is behind ``PixelModel(noise=...)``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from spikesim.datasets.counter import uniform_at
from spikesim.datasets.events import Events
from spikesim.datasets.simulator.pixel import COLUMN, LARGEST_SPAN_US, ROW, SIDE, TIME, unpack
from spikesim.errors import EventError


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
        every[keys.size + i] = (t << TIME) | (y << ROW) | (x << COLUMN) | (p << 1) | 1
    every.sort()
    if refractory <= 0 or noisy == 0:
        return every
    kept = np.ones(every.size, np.bool_)
    near = np.full((height, width), np.int64(1) << 62, np.int64)
    for i in range(every.size - 1, -1, -1):  # against the signal event that follows
        t = every[i] >> TIME
        y = (every[i] >> ROW) & SIDE
        x = (every[i] >> COLUMN) & SIDE
        if every[i] & 1:
            kept[i] = near[y, x] - t >= refractory
        else:
            near[y, x] = t
    near[:] = -(np.int64(1) << 62)
    for i in range(every.size):  # against whatever came before
        t = every[i] >> TIME
        y = (every[i] >> ROW) & SIDE
        x = (every[i] >> COLUMN) & SIDE
        if every[i] & 1 and t - near[y, x] < refractory:
            kept[i] = False
        if kept[i]:
            near[y, x] = t
    return every[kept]


def with_share(events: Events, share: float, key: np.uint64, first: int, last: int, refractory: int) -> Events:
    """Return a recording with noise events among its own.

    Args:
        events: the signal, in order of time.
        share: noise events for each of its events.
        key: of the draws.
        first: time of the first frame in microseconds.
        last: time of the last frame.
        refractory: dead time in microseconds, which noise keeps too.

    Raises:
        EventError: the movie is too long for this kind of noise.
    """
    if share == 0:
        return events
    if last - first >= LARGEST_SPAN_US:
        raise EventError(
            f"the movie lasts {last - first} us; expected less than 2**31 us (36 minutes) for noise as a share of the "
            "signal: use shot_noise_hz"
        )
    x, y, t, p = (events.data[name].astype(np.int64) for name in ("x", "y", "t", "p"))
    keys = ((t - first) << TIME) | (y << ROW) | (x << COLUMN) | (p << 1)
    width, height, _ = events.sensor_size
    keys = with_noise(keys, share, key, 0, last - first, refractory, height, width)
    x, y, t, p = unpack(keys)
    return Events.from_columns(x, y, t + first, p, events.sensor_size)
