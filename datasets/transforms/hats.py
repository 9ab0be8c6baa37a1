"""Histograms of averaged time surfaces (HATS)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numba import njit

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.records import brighter, in_order
from spikesim.datasets.transforms.base import Applied, EventTransform, outside
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.settings import check_positive, check_whole
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError

_RESCALED = 40.0  # time constants after which sums are written for a new moment; exp(40) keeps float64 precise


@njit(cache=True, nogil=True)
def _places(side: Any, cell: Any) -> Any:
    """For each row or column of the sensor: its cell, and where it lies in it. A division by a variable is slow."""
    cells, rest = np.empty(side, np.int64), np.empty(side, np.int64)
    for i in range(side):
        cells[i] = i // cell
        rest[i] = i - cells[i] * cell
    return cells, rest


@njit(cache=True, nogil=True)
def _buckets(
    data: Any, size: Any, reach: Any, width: Any, height: Any, polarities: Any, heads: Any, t: Any, at: Any
) -> Any:
    """Sort events by cell and polarity, in order of time within each.

    Fills ``heads`` with where each bucket begins, ``t`` with times and ``at`` with pixels of the cell with a margin
    of ``reach`` around it, and gives ``-1 - index`` of an event outside the sensor.
    """
    column, right = _places(width, size)
    row, down = _places(height, size)
    wide, side = column[width - 1] + 1, size + 2 * reach
    told_apart = np.int64(polarities == 2)
    which = np.empty(len(data), np.int32)
    for i in range(len(data)):
        event = data[i]
        x, y = np.int64(event["x"]), np.int64(event["y"])
        if not (0 <= x < width and 0 <= y < height):
            return -1 - i
        which[i] = (row[y] * wide + column[x]) * polarities + (brighter(event) & told_apart)
        heads[which[i] + 1] += 1
    for b in range(1, len(heads)):
        heads[b] += heads[b - 1]
    place = heads[:-1].copy()
    for i in range(len(data)):
        event = data[i]
        k = place[which[i]]
        place[which[i]] += 1
        t[k] = np.int64(event["t"])
        at[k] = (down[np.int64(event["y"])] + reach) * side + right[np.int64(event["x"])] + reach
    return 0


@njit(cache=True, nogil=True)
def _cell(
    t: Any, at: Any, side: Any, window: Any, tau: Any, linear: Any, weights: Any, sums: Any, counts: Any, out: Any
) -> None:
    """Sum the surfaces of one cell's events.

    Each pixel of the cell carries the sum of what its events within the window weigh, so that an event looks at
    the pixels beside it and not at all events before it. With exponential decay sums and weights are written as of
    the moment ``since``: at t they are smaller by exp(-(t - since) / tau). Pixels of the margin stay empty.
    """
    diameter = out.shape[0]
    reach = diameter // 2
    sums[:] = 0
    counts[:] = 0
    oldest, since = 0, t[0]
    for k in range(len(t)):
        now = t[k]
        while t[oldest] < now - window:
            pixel = at[oldest]
            counts[pixel] -= 1
            # Of the last one not even a rounding error stays.
            sums[pixel] = sums[pixel] - weights[oldest] if counts[pixel] else 0.0
            oldest += 1
        fade = 1.0
        if oldest == k:
            since = now
        elif not linear:
            fade = np.exp((since - now) / tau)
            if now - since > _RESCALED * tau:
                weights[oldest:k] *= fade
                sums *= fade
                since, fade = now, 1.0
        corner = at[k] - reach * side - reach
        for dy in range(diameter):
            for dx in range(diameter):
                pixel = corner + dy * side + dx
                if linear:
                    n = counts[pixel]
                    out[dy, dx] += n + (sums[pixel] - n * (now - since)) / (3.0 * tau)
                else:
                    out[dy, dx] += sums[pixel] * fade
        out[reach, reach] += 1.0
        weights[k] = now - since if linear else 1.0 / fade
        counts[at[k]] += 1
        sums[at[k]] += weights[k]
    out /= len(t)


@njit(cache=True, nogil=True)
def _hats(heads: Any, t: Any, at: Any, size: Any, window: Any, tau: Any, linear: Any, out: Any) -> None:
    side = size + 2 * (out.shape[1] // 2)
    sums, counts = np.zeros(side * side), np.zeros(side * side, np.int64)
    weights = np.empty(len(t))
    for b in range(len(heads) - 1):
        begin, end = heads[b], heads[b + 1]
        if end > begin:
            _cell(t[begin:end], at[begin:end], side, window, tau, linear, weights[begin:end], sums, counts, out[b])


@dataclass(frozen=True)
class ToAveragedTimesurface(EventTransform):
    """HATS: for each cell of the sensor, the mean over its events of what happened around each shortly before.

    An event's surface weighs the earlier events of its cell and polarity within ``time_window`` by ``exp(-age /
    tau)`` (or ``1 - age / (3 tau)``), at their place relative to it, and itself as 1. Source: Sironi et al., CVPR
    2018, equations 3 to 6; as Tonic's ``ToAveragedTimesurface``, whose times however are float32 and so lose
    microseconds after 16 s. What an event costs does not depend on how long the window is.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        surface_size: S, side of a surface in pixels; odd, and not larger than a cell.
        cell_size: side of a cell in pixels.
        time_window: how far back events count, in microseconds.
        tau: time constant in microseconds.
        decay: "exp" or "lin".

    Shape:
        float32 ``[cells, P, S, S]``, cells row by row; zeros for a cell without events.

    Raises:
        ConfigError: a size or time that makes no sense.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import ToAveragedTimesurface
        >>> events = Events.from_columns([1, 2], [1, 1], [0, 100], [1, 1], (10, 10, 2))
        >>> surfaces = ToAveragedTimesurface(surface_size=3, decay="lin")(events)
        >>> [f"{value:.3f}" for value in surfaces[0, 1, 1]]
        ['0.333', '1.000', '0.000']
    """

    sensor_size: SensorSize | None = None
    surface_size: int = 5
    cell_size: int = 10
    time_window: float = 1000
    tau: float = 100
    decay: Literal["exp", "lin"] = "exp"

    def __post_init__(self) -> None:
        check_whole("surface_size", self.surface_size, 1)
        check_whole("cell_size", self.cell_size, 1)
        if self.surface_size % 2 == 0 or self.surface_size > self.cell_size:
            raise ConfigError(
                f"surface_size is {self.surface_size}; expected an odd number, not above cell_size = {self.cell_size}"
            )
        check_positive("time_window", self.time_window, "microseconds")
        check_positive("tau", self.tau, "microseconds")
        if self.decay not in ("exp", "lin"):
            raise ConfigError(f'decay is {self.decay!r}; expected "exp" or "lin"')

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`ToAveragedTimesurface`."""
        width, height, polarities = stream.size
        wide, high = -(-width // self.cell_size), -(-height // self.cell_size)
        surfaces = np.zeros((wide * high * polarities, self.surface_size, self.surface_size))
        data = in_order(stream.data)
        heads = np.zeros(len(surfaces) + 1, np.int64)
        t, at = np.empty(len(data), np.int64), np.empty(len(data), np.int32)
        bad = _buckets(data, self.cell_size, self.surface_size // 2, width, height, polarities, heads, t, at)
        if bad < 0:
            raise outside(data, -1 - bad, stream.size, "ToAveragedTimesurface")
        window = np.int64(np.floor(self.time_window))
        _hats(heads, t, at, self.cell_size, window, float(self.tau), self.decay == "lin", surfaces)
        shape = (wide * high, polarities, self.surface_size, self.surface_size)
        return Applied(surfaces.astype(np.float32).reshape(shape))
