"""Events from frames: what an ideal event camera would report of a movie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesim.datasets.checks import check_sensor_size
from spikesim.datasets.counter import key_of
from spikesim.datasets.events import Events
from spikesim.datasets.pixel import LARGEST_TIME_US, draw_thresholds, movie_events, unpack, with_noise
from spikesim.errors import ConfigError, EventError

THRESHOLD_STREAM = 1
NOISE_STREAM = 2


@dataclass(frozen=True)
class PixelModel:
    """The parameters of the ideal event pixel.

    Args:
        threshold: mean contrast threshold, in natural-log intensity; greater than 0.
        threshold_std: standard deviation of the threshold over the pixels; 0 makes them equal.
        refractory_us: dead time after an event, in whole microseconds. The pixel sees nothing of what
            happens in it, and starts again from the intensity at its end.
        noise: noise events for each signal event, uniform over pixels, time and polarity.
        log_offset: added to the intensity before the logarithm; greater than 0.

    Raises:
        ConfigError: a parameter is out of range.

    Example:
        >>> from spikesim.datasets import PixelModel
        >>> PixelModel(threshold=0.2).refractory_us
        1000
    """

    threshold: float = 0.3
    threshold_std: float = 0.01
    refractory_us: int = 1000
    noise: float = 0.02
    log_offset: float = 0.1

    def __post_init__(self) -> None:
        # Written so that a NaN fails too.
        limits = {
            "threshold": (self.threshold >= 1e-6, "at least 1e-6"),
            "threshold_std": (self.threshold_std >= 0, "0 or more"),
            "refractory_us": (
                isinstance(self.refractory_us, int) and self.refractory_us >= 0,
                "whole microseconds, 0 or more",
            ),
            "noise": (0 <= self.noise <= 10, "between 0 and 10 noise events for each signal event"),
            "log_offset": (self.log_offset > 0, "greater than 0"),
        }
        for name, (good, expected) in limits.items():
            if not (good and np.isfinite(getattr(self, name))):
                raise ConfigError(f"PixelModel {name} is {getattr(self, name)!r}; expected {expected}")


def simulate_events(
    frames: ArrayLike, times_us: ArrayLike, model: PixelModel | None = None, *, seed: int = 0
) -> Events:
    """Turn a movie into events with the ideal pixel model.

    The log intensity ``log(log_offset + frame)`` is taken as a straight line between frames, so the
    crossing times are exact; a ramp of log contrast c gives ``floor(c / threshold)`` events without a
    refractory period. The first frame sets what each pixel remembers.

    Args:
        frames: intensities ``[F, H, W]``, 0 or more (1 is white by convention).
        times_us: time of each frame ``[F]`` in microseconds, increasing integers from 0 on, below 2**31.
        model: parameters of the pixel; ``PixelModel()`` by default.
        seed: fixes the thresholds and the noise.

    Returns:
        The events in order of time, sensor ``(W, H, 2)``.

    Raises:
        EventError: frames or times have another shape or bad values.

    References:
        ESIM: Rebecq et al. 2018, https://proceedings.mlr.press/v87/rebecq18a.html; the dead time is
        that of Lichtsteiner et al. 2008.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets import PixelModel, simulate_events
        >>> model = PixelModel(threshold=0.5, threshold_std=0, refractory_us=0, noise=0, log_offset=1)
        >>> brighter = np.exp([[[0.0]], [[1.25]]]) - 1            # log intensity rises by 1.25
        >>> simulate_events(brighter, [0, 1000], model).t.tolist()
        [400, 800]
    """
    movie, times = _check_movie(frames, times_us)
    model = model or PixelModel()
    _, height, width = movie.shape
    thresholds = draw_thresholds(
        key_of(seed, THRESHOLD_STREAM), float(model.threshold), float(model.threshold_std), height, width
    )
    keys = movie_events(np.log(movie + model.log_offset), times, thresholds, model.refractory_us)
    noise_key = key_of(seed, NOISE_STREAM)
    keys = with_noise(keys, float(model.noise), noise_key, times[0], times[-1], model.refractory_us, height, width)
    return Events.from_columns(*unpack(keys), (width, height, 2))


def _check_movie(frames: ArrayLike, times_us: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    movie = np.asarray(frames, np.float64)
    times: NDArray[Any] = np.asarray(times_us)
    if movie.ndim != 3 or len(movie) == 0:
        raise EventError(f"frames have shape {movie.shape}; expected [F, H, W] with at least one frame")
    check_sensor_size((movie.shape[2], movie.shape[1], 2))
    if times.shape != (len(movie),) or times.dtype.kind not in "iu":
        raise EventError(
            f"times_us has shape {times.shape} and dtype {times.dtype}; expected one integer in "
            f"microseconds for each of the {len(movie)} frames"
        )
    if int(times[0]) < 0 or int(times[-1]) >= LARGEST_TIME_US:
        raise EventError(f"times_us runs from {times[0]} to {times[-1]}; expected 0 to below 2**31 us")
    times = times.astype(np.int64)
    if (np.diff(times) <= 0).any():
        first = int(np.argmax(np.diff(times) <= 0)) + 1
        raise EventError(
            f"times_us of frame {first} is {times[first]}, after {times[first - 1]}; expected a later time"
        )
    good = np.isfinite(movie) & (movie >= 0)
    if not good.all():
        f, y, x = np.unravel_index(int(np.argmin(good)), movie.shape)
        raise EventError(f"frame {f} has intensity {movie[f, y, x]} at x = {x}, y = {y}; expected 0 or more")
    return movie, times
