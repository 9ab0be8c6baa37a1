"""Scenes whose motion is known: frames and optical flow, drawn when they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize, check_sensor_size
from spikesim.datasets.events import Events
from spikesim.datasets.simulator.model import PixelModel
from spikesim.datasets.simulator.stream import EventSimulator, joined
from spikesim.errors import ConfigError, EventError

_PIECE = 2**21  # pixels of all frames that are drawn at a time
_LONGEST_US = 2**52


@dataclass(frozen=True)
class Scene:
    """Something that moves before the camera.

    Frames and flow are drawn for the intervals that are asked for, so that a long scene takes no memory.

    Attributes:
        sensor_size: ``(W, H, 2)``.
        times_us: time of each frame in microseconds, ``[F]``.
        draw: gives frames ``[n, H, W]`` of linear light from one frame up to, but not including, another.
        flow_of: gives the optical flow float32 ``[2, H, W]`` (x, y) in pixels per second between a frame and the next,
            at the middle of that time; 0 where nothing moves.

    Example:
        >>> from spikesim.datasets.simulator import moving_bar
        >>> scene = moving_bar((60.0, 0.0), sensor_size=(32, 24)).scene
        >>> scene.draw(0, 2).shape, float(scene.flow_of(0).max())
        ((2, 24, 32), 60.0)
    """

    sensor_size: SensorSize
    times_us: NDArray[np.int64]
    draw: Callable[[int, int], NDArray[np.float64]]
    flow_of: Callable[[int], NDArray[np.float32]]

    def pieces(self) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
        """Yield the frames and their times, a bounded number at a time."""
        step = max(1, _PIECE // (self.sensor_size[0] * self.sensor_size[1]))
        for first in range(0, len(self.times_us), step):
            last = min(first + step, len(self.times_us))
            yield self.draw(first, last), self.times_us[first:last]

    def record(self, model: PixelModel | None = None, seed: int = 0) -> Motion:
        """Show the scene to a camera.

        Args:
            model: parameters of the pixels; the preset ``"clean"`` by default.
            seed: of the camera.

        Raises:
            ConfigError: the model has noise as a share of the signal.
        """
        camera = EventSimulator(model or PixelModel.preset("clean"), seed=seed)
        parts = [camera.push(frames, times) for frames, times in self.pieces()]
        return Motion(*joined([*parts, camera.finish()]), self)


@dataclass(frozen=True)
class Motion:
    """A recording whose optical flow is known.

    Attributes:
        events: the recording.
        noise: which events are shot noise or come from a hot pixel, bool ``[N]``.
        scene: what was before the camera.

    Example:
        >>> from spikesim.datasets.simulator import moving_bar
        >>> motion = moving_bar((60.0, 0.0), sensor_size=(32, 24))
        >>> motion.flow(0, 2).shape, motion.event_flow()[0].tolist()
        ((2, 2, 24, 32), [60.0, 0.0])
    """

    events: Events
    noise: NDArray[np.bool_]
    scene: Scene

    def flow(self, first: int = 0, last: int | None = None) -> NDArray[np.float32]:
        """Return the optical flow in pixels per second.

        Args:
            first: interval between two frames to begin with.
            last: first interval that is left out; all that follow by default (8 bytes for each pixel of each).

        Returns:
            float32 ``[intervals, 2, H, W]``: x (to the right) and y (down).
        """
        width, height, _ = self.scene.sensor_size
        chosen = range(len(self.scene.times_us) - 1)[first:last]
        flow = np.zeros((len(chosen), 2, height, width), np.float32)
        for k, interval in enumerate(chosen):
            flow[k] = self.scene.flow_of(interval)
        return flow

    def event_flow(self) -> NDArray[np.float32]:
        """Return the optical flow at the pixel and in the interval of each event, ``[N, 2]``, in pixels per second."""
        times, events = self.scene.times_us, self.events
        interval = np.clip(np.searchsorted(times, events.t, side="right") - 1, 0, max(len(times) - 2, 0))
        flow = np.zeros((len(events), 2), np.float32)
        edges = np.flatnonzero(np.diff(interval, prepend=-1))
        for first, last in zip(edges, [*edges[1:], len(events)], strict=True):
            of = self.scene.flow_of(int(interval[first]))
            flow[first:last] = of[:, events.y[first:last], events.x[first:last]].T
        return flow


def frame_times(duration_us: int, fps: float) -> NDArray[np.int64]:
    """Return the times of a scene's frames.

    Args:
        duration_us: in microseconds, 1 or more.
        fps: frames per second; at most a million.

    Raises:
        ConfigError: there would be fewer than two frames, or one of the numbers makes no sense.

    Example:
        >>> from spikesim.datasets.simulator.scene import frame_times
        >>> frame_times(100_000, 30).tolist()
        [0, 33333, 66667, 100000]
    """
    if isinstance(duration_us, bool) or not isinstance(duration_us, (int, np.integer)) or duration_us < 1:
        raise ConfigError(f"duration_us is {duration_us!r}; expected whole microseconds, 1 or more")
    if duration_us >= _LONGEST_US:
        raise ConfigError(f"duration_us is {duration_us}; expected less than 2**52")
    if not (np.isfinite(fps) and 0 < fps <= 1e6):
        raise ConfigError(f"fps is {fps!r}; expected more than 0 and at most 1000000 frames per second")
    count = int(np.floor(duration_us * fps / 1e6 + 1e-9)) + 1
    if count < 2:
        raise ConfigError(f"{duration_us} us at {fps:g} frames per second hold one frame; expected two or more")
    return np.rint(np.arange(count) * (1e6 / fps)).astype(np.int64)


def check_velocity(velocity: tuple[float, float], moving: bool = False) -> tuple[float, float]:
    """Return a velocity (x, y) in pixels per second as two floats.

    Args:
        velocity: to check.
        moving: whether it must not be zero.

    Raises:
        ConfigError: it is no pair of finite numbers, or zero.

    Example:
        >>> from spikesim.datasets.simulator.scene import check_velocity
        >>> check_velocity((3, 4))
        (3.0, 4.0)
    """
    try:
        x, y = (float(part) for part in velocity)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"velocity is {velocity!r}; expected (x, y) in pixels per second") from error
    if not (np.isfinite(x) and np.isfinite(y)):
        raise ConfigError(f"velocity is ({x}, {y}); expected finite numbers of pixels per second")
    if moving and x == 0 and y == 0:
        raise ConfigError("velocity is (0, 0); expected a direction to move in, in pixels per second")
    return x, y


def check_size(sensor_size: tuple[int, ...]) -> SensorSize:
    """Return ``(W, H)`` or ``(W, H, 2)`` as the latter.

    Args:
        sensor_size: to check.

    Raises:
        EventError: a side is out of range.

    Example:
        >>> from spikesim.datasets.simulator.scene import check_size
        >>> check_size((34, 34))
        (34, 34, 2)
    """
    try:
        sides = tuple(sensor_size)
    except TypeError as error:
        raise EventError(f"sensor_size is {sensor_size!r}; expected (width, height)") from error
    return check_sensor_size((*sides, 2) if len(sides) == 2 else sides)


def check_light(**lights: float) -> None:
    """Refuse light that is negative or infinite.

    Args:
        **lights: numbers by the names of their arguments.

    Raises:
        ConfigError: names the argument.

    Example:
        >>> from spikesim.datasets.simulator.scene import check_light
        >>> check_light(light=1.0, background=0)
    """
    for name, value in lights.items():
        if not (np.isfinite(value) and value >= 0):
            raise ConfigError(f"{name} is {value!r}; expected linear light, 0 or more (white is 1)")
