"""Fewer pixels that still fire like a camera: events are summed, and a pixel fires when its sum is large enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.records import in_order
from spikesim.datasets.transforms.base import Applied, EventTransform, outside
from spikesim.datasets.transforms.crops import target_within
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.settings import check_positive, check_whole
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError


@njit(cache=True, nogil=True)
def _integrate(
    data: Any, size: Any, target: Any, step: Any, threshold: Any, steps: Any, places: Any, signs: Any
) -> Any:
    """Sum the events of each large pixel, and let it fire where the sum is full at the end of a step.

    Fills the three last arrays, which have room for as many as there are events, and gives how many are filled; or
    ``-1 - index`` of an event outside the sensor. Only pixels that the step touched can fire, so no frame is made.
    """
    width, height = target
    sums = np.zeros(width * height, np.int64)
    touched = np.empty(len(data), np.int64)
    seen = np.full(width * height, -1, np.int64)
    start = np.int64(data[0]["t"])
    count, begin = 0, 0
    while begin < len(data):
        now = np.int64((np.int64(data[begin]["t"]) - start) // step)
        end, n = begin, 0
        while end < len(data) and np.int64((np.int64(data[end]["t"]) - start) // step) == now:
            x, y = np.int64(data[end]["x"]), np.int64(data[end]["y"])
            if not (0 <= x < size[0] and 0 <= y < size[1]):
                return -1 - end
            place = (y * height // size[1]) * width + x * width // size[0]
            sums[place] += 1 if data[end]["p"] else -1
            if seen[place] != now:
                seen[place] = now
                touched[n] = place
                n += 1
            end += 1
        row_by_row = np.sort(touched[:n])
        for sign in (1, -1):
            for place in row_by_row:
                if sign * sums[place] >= threshold:
                    sums[place] = 0
                    steps[count], places[count], signs[count] = now, place, sign
                    count += 1
        begin = end
    return count


@dataclass(frozen=True)
class EventDownsampling(EventTransform):
    """Bring a recording to fewer pixels and fewer events, by counting at each large pixel.

    "integrator": ON events count up and OFF events down; where the sum reaches the threshold at the end of a
    step of ``dt``, the pixel fires once and its sum returns to 0. "differentiator": the integrator runs in
    ``differentiator_time_bins`` steps for each ``dt``, and a pixel fires where it fired in more of them than in the
    ``dt`` before. Source: Ghosh et al., ICONS 2023 (https://doi.org/10.1145/3589737.3605994).

    Times and rules are those of Tonic's ``EventDownsampling``: an event of the integrator has the time at which
    its step begins, one of the differentiator that of the ``dt`` before the rise. Where Tonic goes wrong we differ:
    times count from the first event of the recording and not from 0, the last step counts although it is not full, no
    sum overflows, and a threshold of 0 (the default of Tonic's function, with which every silent pixel fires
    both ways in every step) is refused.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        target_size: width and height of the sensor that results, not above those of the sensor.
        downsampling_method: "integrator" or "differentiator".
        dt: length of a step in milliseconds.
        noise_threshold: sum at which a pixel fires, 1 or more.
        differentiator_time_bins: steps of the integrator for each ``dt`` of the differentiator.

    Raises:
        ConfigError: a setting that makes no sense.
        EventError: an event outside the sensor, or a target larger than it.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import EventDownsampling
        >>> events = Events.from_columns([0, 1, 1, 2], [0, 0, 1, 2], [0, 100, 900, 1500], [1, 1, 1, 0], (4, 4, 2))
        >>> fewer = EventDownsampling(target_size=(2, 2), dt=1.0, noise_threshold=2)(events)
        >>> fewer.x.tolist(), fewer.t.tolist(), fewer.p.tolist(), fewer.sensor_size
        ([0], [0], [1], (2, 2, 2))
    """

    sensor_size: SensorSize | None = None
    target_size: tuple[int, int] = (1, 1)
    downsampling_method: Literal["integrator", "differentiator"] = "integrator"
    dt: float = 1.0
    noise_threshold: int = 1
    differentiator_time_bins: int = 2
    reasons: ClassVar[tuple[str, ...]] = ("integrated",)

    def __post_init__(self) -> None:
        if self.downsampling_method not in ("integrator", "differentiator"):
            raise ConfigError(
                f'downsampling_method is {self.downsampling_method!r}; expected "integrator" or "differentiator"'
            )
        check_positive("dt", self.dt, "milliseconds")
        check_whole("noise_threshold", self.noise_threshold, 1)
        check_whole("differentiator_time_bins", self.differentiator_time_bins, 1)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`EventDownsampling`."""
        target = target_within("EventDownsampling", self.target_size, stream.size)
        after = (*target, stream.size[2])
        data = in_order(stream.data)
        if len(data) == 0:
            return Applied(data, (0,), 0, after)
        bins = self.differentiator_time_bins if self.downsampling_method == "differentiator" else 1
        steps, places, signs = (np.empty(len(data), np.int64) for _ in range(3))
        step = self.dt * 1000 / bins
        count = _integrate(data, stream.size[:2], target, step, self.noise_threshold, steps, places, signs)
        if count < 0:
            raise outside(data, -1 - count, stream.size, "EventDownsampling")
        steps, places, signs = steps[:count], places[:count], signs[:count]
        if self.downsampling_method == "differentiator":
            steps, places, signs = rises(steps // bins, places, signs, target[0] * target[1])
        found = np.zeros(len(steps), data.dtype)
        found["x"], found["y"], found["p"] = places % target[0], places // target[0], signs > 0
        found["t"] = int(data["t"][0]) + np.floor(steps * (self.dt * 1000)).astype(np.int64)
        return Applied(found, (len(data) - len(found),), 0, after)


def rises(
    steps: NDArray[np.int64], places: NDArray[np.int64], signs: NDArray[np.int64], pixels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Where a pixel fired more often than in the step before; the first step has none before it.

    Args:
        steps: of each firing, in ascending order, ``[N]``.
        places: its pixel.
        signs: 1 or -1.
        pixels: how many there are.

    Returns:
        The step before the rise, its pixel and its sign.

    >>> import numpy as np
    >>> [a.tolist() for a in rises(np.array([0, 1, 1]), np.array([3, 3, 3]), np.array([1, 1, 1]), 4)]
    [[0], [3], [1]]
    """
    in_step = 2 * pixels
    keys, counts = np.unique(steps * in_step + 2 * places + (signs > 0), return_counts=True)
    before = np.searchsorted(keys, keys - in_step)
    before_counts = np.where(keys[before] == keys - in_step, counts[before], 0)
    rising = keys[(counts > before_counts) & (keys >= in_step)]
    at = rising % in_step
    return rising // in_step - 1, at // 2, np.where(at % 2, 1, -1)
