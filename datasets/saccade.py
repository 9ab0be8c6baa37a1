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


@njit(cache=True, nogil=True, inline="always")
def _texel(picture: Any, row: Any, column: Any) -> Any:
    if 0 <= row < picture.shape[0] and 0 <= column < picture.shape[1]:
        return picture[row, column]
    return 0.0


@njit(cache=True, nogil=True, inline="always")
def _between(picture: Any, row: Any, column: Any, right: Any) -> Any:
    return (1.0 - right) * _texel(picture, row, column) + right * _texel(picture, row, column + 1)


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
    dark = np.log(log_offset)
    keys = np.empty(8192, np.int64)
    trace = np.empty(count, np.float64)
    used = 0
    for y in range(height):
        for x in range(width):
            lit = False
            for f in range(count):
                u = (x + 0.5 - origin_x - shifts[f, 0]) / zoom - 0.5
                v = (y + 0.5 - origin_y - shifts[f, 1]) / zoom - 0.5
                column = int(np.floor(u))
                row = int(np.floor(v))
                right = u - column
                down = v - row
                intensity = (1.0 - down) * _between(picture, row, column, right)
                intensity += down * _between(picture, row + 1, column, right)
                if intensity > 0.0:
                    trace[f] = np.log(log_offset + intensity)
                    lit = True
                else:
                    trace[f] = dark
            if lit:
                keys = room_for(keys, used, trace, thresholds[y, x])
                used = pixel_events(trace, times, thresholds[y, x], refractory, x, y, keys, used)
    return keys[:used]
