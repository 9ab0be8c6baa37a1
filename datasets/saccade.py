"""A picture moved before the event pixel as N-MNIST moved its digits before the camera."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.pixel import pixel_events, room_for

CORNERS = ((0.0, 0.0), (3.5, 7.0), (7.0, 0.0), (0.0, 0.0))
"""Shift (x, y) in pixels at the start and the end of each of the three saccades.

Orchard et al. 2015, https://doi.org/10.3389/fnins.2015.00437: a triangle, 100 ms a side.
"""


def triangle_path(
    frames_per_saccade: int = 30, saccade_us: int = 100_000
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the shift of the picture and the time at each frame of the three saccades.

    Args:
        frames_per_saccade: straight pieces for each side of the triangle.
        saccade_us: duration of one side in microseconds.

    Returns:
        Shifts ``[F, 2]`` in pixels (x, y) and times ``[F]`` in microseconds, F = 3 sides + 1.

    Example:
        >>> from spikesim.datasets.saccade import triangle_path
        >>> shifts, times = triangle_path(frames_per_saccade=2)
        >>> shifts[:3].tolist(), times.tolist()
        ([[0.0, 0.0], [1.75, 3.5], [3.5, 7.0]], [0, 50000, 100000, 150000, 200000, 250000, 300000])
    """
    sides = len(CORNERS) - 1
    at = np.arange(sides * frames_per_saccade + 1) / frames_per_saccade
    corners = np.array(CORNERS)
    shifts = np.stack([np.interp(at, np.arange(sides + 1), corners[:, axis]) for axis in range(2)], axis=1)
    return shifts, np.rint(at * saccade_us).astype(np.int64)


@njit(cache=True, nogil=True)
def _neighbours(pixels: Any, texels: Any, zoom: Any, origin: Any, shifts: Any) -> Any:
    """Return, for each pixel and frame along one axis, the first of two bordered texels and the second's weight."""
    first = np.empty((pixels, shifts.size), np.int64)
    weight = np.empty((pixels, shifts.size), np.float64)
    for i in range(pixels):
        for f in range(shifts.size):
            at = (i + 0.5 - origin - shifts[f]) / zoom - 0.5
            low = np.floor(at)
            first[i, f] = min(max(np.int64(low) + 1, 0), texels + 1)
            weight[i, f] = at - low
            if low < -1:  # wholly outside: both neighbours must be border
                weight[i, f] = 0.0
    return first, weight


@njit(cache=True, nogil=True)
def picture_events(
    picture: Any,
    zoom: Any,
    origin_x: Any,
    origin_y: Any,
    shifts: Any,
    times: Any,
    log_offset: Any,
    thresholds: Any,
    refractory: Any,
) -> Any:
    """Return the events of a moving picture, unsorted, without rendering its frames.

    ``picture`` ``[h, w]`` is enlarged ``zoom`` times by bilinear interpolation, black outside, its top
    left corner at (``origin_x``, ``origin_y``) plus the shift of the frame. Each pixel's log intensity is
    sampled along time straight into the pixel model, which keeps it in the cache.
    """
    height, width = thresholds.shape
    count = times.size
    bordered = np.zeros((picture.shape[0] + 3, picture.shape[1] + 3), np.float64)
    bordered[1:-2, 1:-2] = picture
    columns, rights = _neighbours(width, picture.shape[1], zoom, origin_x, shifts[:, 0])
    rows, downs = _neighbours(height, picture.shape[0], zoom, origin_y, shifts[:, 1])
    dark = np.log(log_offset)
    keys = np.empty(8192, np.int64)
    trace = np.empty(count, np.float64)
    used = 0
    for y in range(height):
        for x in range(width):
            lit = False
            for f in range(count):
                row, column, right, down = rows[y, f], columns[x, f], rights[x, f], downs[y, f]
                upper = (1.0 - right) * bordered[row, column] + right * bordered[row, column + 1]
                lower = (1.0 - right) * bordered[row + 1, column] + right * bordered[row + 1, column + 1]
                intensity = (1.0 - down) * upper + down * lower
                if intensity > 0.0:
                    trace[f] = np.log(log_offset + intensity)
                    lit = True
                else:
                    trace[f] = dark
            if lit:
                keys = room_for(keys, used, trace, thresholds[y, x])
                used = pixel_events(trace, times, thresholds[y, x], refractory, x, y, keys, used)
    return keys[:used]
