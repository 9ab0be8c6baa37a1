"""Representations of events by the time that has passed: voxel grids and time surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numba import njit

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.records import in_order
from spikesim.datasets.transforms.base import DISORDER, Applied, EventTransform, outside
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.settings import check_positive, check_whole
from spikesim.datasets.transforms.slices import time_windows
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError


@njit(cache=True, nogil=True)
def _voxel_grid(data: Any, first: Any, last: Any, scale: Any, grid: Any) -> Any:
    """Fill all bins but the last, which takes what would lie beyond them."""
    bins, height, width = grid.shape[0] - 1, grid.shape[2], grid.shape[3]
    flat, area = grid.reshape(grid.size), height * width
    for i in range(len(data)):
        event = data[i]
        x, y, t = np.int64(event["x"]), np.int64(event["y"]), np.int64(event["t"])
        if not (0 <= x < width and 0 <= y < height):
            return -1 - i
        if not (first <= t <= last):
            return DISORDER
        sign = np.float32(1) if event["p"] else np.float32(-1)
        place = (t - first) * scale
        left = np.int64(place)
        k = left * area + y * width + x
        if left >= bins:  # the last event, at the end of the last bin
            flat[k - area] += sign
            continue
        part = sign * np.float32(place - left)
        flat[k] += sign - part
        flat[k + area] += part
    return 0


@dataclass(frozen=True)
class ToVoxelGrid(EventTransform):
    """Share every event between the two nearest of T bins, brighter as +1 and darker as -1.

    Source: Zhu et al., CVPR 2019 (arXiv:1812.08156), section 3.1. With ``span="bins"`` the recording covers T
    bins, so that of the events of the last bin only the part on its left side is counted: this is Tonic's
    ``ToVoxelGrid``, but for the event at the very end, which Tonic loses. With ``span="centres"`` it covers T - 1, as
    published: the grid then sums to the events' polarity.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        n_time_bins: T.
        span: "bins" or "centres".

    Shape:
        float32 ``[T, 1, H, W]``. Events of one single time lie in the first bin.

    Raises:
        ConfigError: T is not 1 or more, or another word.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import ToVoxelGrid
        >>> events = Events.from_columns([0, 0, 0], [0, 0, 0], [0, 50, 100], [1, 0, 1], (1, 1, 2))
        >>> ToVoxelGrid(n_time_bins=3, span="centres")(events).ravel().tolist()
        [1.0, -1.0, 1.0]
    """

    sensor_size: SensorSize | None = None
    n_time_bins: int = 10
    span: Literal["bins", "centres"] = "bins"

    def __post_init__(self) -> None:
        check_whole("n_time_bins", self.n_time_bins, 1)
        if self.span not in ("bins", "centres"):
            raise ConfigError(f'span is {self.span!r}; expected "bins" or "centres"')

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`ToVoxelGrid`."""
        data, (width, height, _) = stream.data, stream.size
        bins = self.n_time_bins if self.span == "bins" else self.n_time_bins - 1
        shape = (self.n_time_bins + 1, 1, height, width)
        if len(data) == 0:
            return Applied(np.zeros(shape, np.float32)[:-1])
        first, last = int(data["t"][0]), int(data["t"][-1])
        for _ in range(2):
            grid = np.zeros(shape, np.float32)
            bad = _voxel_grid(data, first, last, bins / (last - first) if last > first else 0.0, grid)
            if bad != DISORDER:
                break
            first, last = int(data["t"].min()), int(data["t"].max())
        if bad < 0:
            raise outside(data, -1 - bad, stream.size, "ToVoxelGrid")
        return Applied(grid[:-1])


@njit(cache=True, nogil=True)
def _time_surface(data: Any, starts: Any, ends: Any, begin: Any, window: Any, tau: Any, out: Any) -> Any:
    polarities, height, width = out.shape[1], out.shape[2], out.shape[3]
    fade = np.float32(np.exp(-window / tau))
    for j in range(len(starts)):
        if j > 0:
            before, now = out[j - 1].ravel(), out[j].ravel()
            for k in range(len(now)):
                now[k] = before[k] * fade
        end = begin + (j + 1) * window
        for i in range(starts[j], ends[j]):
            event = data[i]
            x, y = np.int64(event["x"]), np.int64(event["y"])
            if not (0 <= x < width and 0 <= y < height):
                return -1 - i
            channel = 1 if event["p"] and polarities == 2 else 0
            # Written over: only the last event of a pixel shows.
            out[j, channel, y, x] = np.exp((np.int64(event["t"]) - end) / tau)
    return 0


@dataclass(frozen=True)
class ToTimesurface(EventTransform):
    """How long ago each pixel fired, as ``exp(-age / tau)``, at the end of every interval of ``dt``.

    Source: Lagorce et al., TPAMI 2017 (HOTS), over the whole sensor. As Tonic's ``ToTimesurface``; a surface is
    the one before, faded by ``exp(-dt / tau)``, and the events since.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        dt: interval in microseconds; the first begins at the first event.
        tau: time constant in microseconds.
        include_incomplete: also give a last surface for an interval that the recording does not fill.

    Shape:
        float32 ``[T, P, H, W]`` with T intervals, at least 1; zeros where a pixel has not fired.

    Raises:
        ConfigError: ``dt`` or ``tau`` is not positive.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import ToTimesurface
        >>> events = Events.from_columns([0, 0], [0, 0], [0, 2000], [1, 1], (1, 1, 2))
        >>> [f"{value:.3f}" for value in ToTimesurface(dt=1000, tau=1000)(events)[:, 1, 0, 0]]
        ['0.368', '0.135']
    """

    sensor_size: SensorSize | None = None
    dt: float = 10_000
    tau: float = 10_000
    include_incomplete: bool = False
    reasons: ClassVar[tuple[str, ...]] = ("remainder",)

    def __post_init__(self) -> None:
        check_positive("dt", self.dt, "microseconds")
        check_positive("tau", self.tau, "microseconds")

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`ToTimesurface`."""
        width, height, polarities = stream.size
        data = in_order(stream.data)
        t = data["t"].astype(np.int64, copy=False)
        starts, ends = time_windows(t, self.dt, "tonic", 0, self.include_incomplete, None, None)
        surfaces = np.zeros((len(starts), polarities, height, width), np.float32)
        begin = float(t[0]) if len(t) else 0.0
        bad = _time_surface(data, starts, ends, begin, float(self.dt), float(self.tau), surfaces)
        if bad < 0:
            raise outside(data, -1 - bad, stream.size, "ToTimesurface")
        return Applied(surfaces, (len(data) - int(ends[-1]),))
