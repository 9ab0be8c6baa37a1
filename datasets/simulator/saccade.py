"""The path of N-MNIST and N-Caltech101, whose pictures stood before a camera that moved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
        >>> from spikesim.datasets.simulator.saccade import triangle_path
        >>> shifts, times = triangle_path(frames_per_saccade=2)
        >>> shifts[:3].tolist(), times.tolist()
        ([[0.0, 0.0], [1.75, 3.5], [3.5, 7.0]], [0, 50000, 100000, 150000, 200000, 250000, 300000])
    """
    sides = len(CORNERS) - 1
    at = np.arange(sides * frames_per_saccade + 1) / frames_per_saccade
    corners = np.array(CORNERS)
    shifts = np.stack([np.interp(at, np.arange(sides + 1), corners[:, axis]) for axis in range(2)], axis=1)
    return shifts, np.rint(at * saccade_us).astype(np.int64)
