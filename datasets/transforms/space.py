"""Transforms of where events happen: jitter, smaller sensors, and noise that is added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.records import copied, in_order, joined
from spikesim.datasets.transforms.base import Applied, EventTransform
from spikesim.datasets.transforms.crops import sides
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.settings import LARGEST, check_number, check_positive, check_whole, ends_of
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError


@njit(cache=True, nogil=True)
def _jitter(
    data: Any, one: Any, two: Any, across: Any, slope: Any, rest: Any, width: Any, height: Any, clip: Any, out: Any
) -> Any:
    """Shift events by two normal numbers each; gives how many are left on the sensor, or all, moved to its edge."""
    place = 0
    for i in range(len(data)):
        x = np.int64(data[i]["x"]) + np.int64(np.rint(across * one[i]))
        y = np.int64(data[i]["y"]) + np.int64(np.rint(slope * one[i] + rest * two[i]))
        if clip and not (0 <= x < width and 0 <= y < height):
            continue
        out[place] = data[i]
        out[place]["x"] = min(max(x, 0), width - 1)
        out[place]["y"] = min(max(y, 0), height - 1)
        place += 1
    return place


@dataclass(frozen=True)
class SpatialJitter(EventTransform):
    """Shift each event by normal noise, rounded to the nearest pixel.

    Tonic's ``SpatialJitter`` cuts the fraction off, which shifts a recording by half a pixel, and keeps events
    that leave the sensor unless told otherwise.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        var_x, var_y: variances in square pixels.
        sigma_xy: covariance.
        clip_outliers: drop events that leave the sensor, instead of moving them to its edge.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: no covariance matrix.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import SpatialJitter
        >>> SpatialJitter(var_x=0, var_y=0)(Events.from_columns([3], [5], [0], [1], (34, 34, 2))).x.tolist()
        [3]
    """

    sensor_size: SensorSize | None = None
    var_x: float = 1.0
    var_y: float = 1.0
    sigma_xy: float = 0.0
    clip_outliers: bool = True
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("outside",)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, least in (("var_x", 0), ("var_y", 0), ("sigma_xy", -LARGEST)):
            check_number(name, getattr(self, name), least, LARGEST, "a variance from 0 on, or a finite covariance")
        if self.sigma_xy**2 > self.var_x * self.var_y:
            raise ConfigError(
                f"var_x, var_y, sigma_xy are {self.var_x!r}, {self.var_y!r}, {self.sigma_xy!r}; expected variances "
                "from 0 on and a covariance with sigma_xy**2 <= var_x * var_y"
            )

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`SpatialJitter`."""
        n, (width, height, _) = len(stream.data), stream.size
        slope = self.sigma_xy / np.sqrt(self.var_x) if self.var_x else 0.0
        rest = np.sqrt(max(self.var_y - slope * slope, 0.0))
        settings = (float(np.sqrt(self.var_x)), float(slope), float(rest), width, height, self.clip_outliers)
        moved = np.empty(n, stream.data.dtype)
        kept = int(_jitter(stream.data, draw.normal(n), draw.normal(n), *settings, moved))
        return Applied(moved if kept == n else copied(moved[:kept]), (n - kept,))


@njit(cache=True, nogil=True)
def _multiply(values: Any, factor: Any) -> None:
    for i in range(len(values)):
        values[i] = np.int64(np.floor(values[i] * factor))


@dataclass(frozen=True)
class Downsample(EventTransform):
    """Multiply pixel coordinates and times with factors, rounding down; no event is dropped.

    Args:
        time_factor: for times.
        spatial_factor: for coordinates, or two of them for x and y.
        sensor_size: ``(W, H, P)``, needed with ``target_size`` for other input than :class:`spikesim.datasets.Events`.
        target_size: width and height of the sensor that results, in place of ``spatial_factor``.

    Raises:
        ConfigError: a factor that is not positive.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import Downsample
        >>> smaller = Downsample(spatial_factor=0.5)(Events.from_columns([3], [5], [10], [1], (34, 34, 2)))
        >>> smaller.x.tolist(), smaller.y.tolist(), smaller.sensor_size
        ([1], [2], (17, 17, 2))
    """

    time_factor: float = 1.0
    spatial_factor: float | tuple[float, float] = 1.0
    sensor_size: SensorSize | None = None
    target_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_positive("time_factor", self.time_factor, "times the time before")
        for factor in ends_of("spatial_factor", self.spatial_factor):
            check_positive("spatial_factor", factor, "times the coordinate before")
        if self.target_size is not None:
            sides("Downsample", self.target_size)

    def _factors(self, size: SensorSize) -> tuple[float, float]:
        if self.target_size is not None:
            width, height = sides("Downsample", self.target_size)
            return width / size[0], height / size[1]
        return ends_of("spatial_factor", self.spatial_factor)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`Downsample`."""
        width, height, polarities = stream.size
        across, down = self._factors(stream.size)
        data = copied(stream.data)
        for field, factor in (("t", self.time_factor), ("x", across), ("y", down)):
            if factor != 1:
                _multiply(data[field], float(factor))
        size = (int(np.floor((width - 1) * across)) + 1, int(np.floor((height - 1) * down)) + 1)
        if self.target_size is not None:
            size = sides("Downsample", self.target_size)
        return Applied(data, (), 0, (*size, polarities))


@dataclass(frozen=True)
class UniformNoise(EventTransform):
    """Add events that are uniform over pixels, polarities and the span of the recording.

    Polarities are drawn evenly; Tonic's ``UniformNoise`` gives boolean polarities that are all true.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        n: how many, or a range ``(low, high)`` from which the number is drawn.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: ``n`` is negative or no whole number.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import UniformNoise
        >>> noisy = UniformNoise(n=5)(Events.from_columns([3, 3], [5, 5], [0, 90], [1, 1], (34, 34, 2)))
        >>> len(noisy), noisy.sorted
        (7, True)
    """

    sensor_size: SensorSize | None = None
    n: int | tuple[int, int] = 0
    seed: int | None = None
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        low, high = ends_of("n", self.n)
        check_whole("n", low, 0)
        check_whole("n", high, int(low))

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`UniformNoise`; an empty recording has no span and stays empty."""
        data: Any = stream.data
        if len(data) == 0:
            return Applied(data)
        n = int(draw.integers(self.n[0], self.n[1] + 1, 1)[0]) if isinstance(self.n, (tuple, list)) else self.n
        width, height, polarities = stream.size
        noise = np.zeros(n, data.dtype)
        noise["x"], noise["y"] = draw.integers(0, width, n), draw.integers(0, height, n)
        noise["p"] = draw.integers(0, 2, n) if polarities == 2 else 0
        noise["t"] = np.sort(draw.integers(int(data["t"].min()), int(data["t"].max()) + 1, n))
        return Applied(in_order(joined(data, noise)), (), n)
