"""Bars, gratings and dots that move with a known velocity, drawn without stair-steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from spikesim.datasets.counter import key_of, uniform_at
from spikesim.datasets.simulator.model import PixelModel
from spikesim.datasets.simulator.scene import Motion, Scene, check_light, check_size, check_velocity, frame_times
from spikesim.errors import ConfigError

_PER_SECOND = 1e-6
_PLACE_STREAM = 101


def moving_bar(
    velocity: tuple[float, float],
    *,
    sensor_size: tuple[int, ...] = (128, 128),
    width: float = 8.0,
    light: float = 1.0,
    background: float = 0.2,
    duration_us: int = 200_000,
    fps: float = 1000.0,
    model: PixelModel | None = None,
    seed: int = 0,
) -> Motion:
    """Record an endless bar that moves across its own direction, through the middle of the sensor at half time.

    Every pixel of a frame has the light of the area that the bar covers of it, exactly.

    Args:
        velocity: (x, y) in pixels per second; the bar's edges are at right angles to it.
        sensor_size: ``(W, H)``.
        width: of the bar in pixels.
        light: linear light of the bar.
        background: linear light beside it.
        duration_us: length of the recording in microseconds.
        fps: frames per second that are drawn.
        model: parameters of the pixels; the preset ``"clean"`` by default.
        seed: of the camera.

    Returns:
        The recording, with the flow: ``velocity`` where the bar passes between two frames, 0 elsewhere.

    Raises:
        ConfigError: an argument is out of range.

    Example:
        >>> from spikesim.datasets.simulator import moving_bar
        >>> motion = moving_bar((300.0, 0.0), sensor_size=(40, 30), width=4)
        >>> int(motion.events.p[0]), motion.event_flow()[0].tolist()  # its bright edge comes first
        (1, [300.0, 0.0])
    """
    x_speed, y_speed = check_velocity(velocity, moving=True)
    size, times = check_size(sensor_size), frame_times(duration_us, fps)
    check_light(light=light, background=background)
    if not (np.isfinite(width) and width > 0):
        raise ConfigError(f"width is {width!r}; expected pixels, more than 0")
    speed = float(np.hypot(x_speed, y_speed))
    normal = x_speed / speed, y_speed / speed
    ahead = _along(size, normal)
    middle = duration_us / 2

    def covered(first: int, last: int) -> NDArray[np.float64]:
        """Share of each pixel between where the rear edge is in one frame and the front edge in another."""
        rear, front = (speed * (float(times[k]) - middle) * _PER_SECOND for k in (first, last))
        behind = _half_plane(ahead - front - width / 2, normal)
        return np.maximum(_half_plane(ahead - rear + width / 2, normal) - behind, 0.0)  # rounding

    def draw(first: int, last: int) -> NDArray[np.float64]:
        shares = np.stack([covered(k, k) for k in range(first, last)])
        return background + (light - background) * shares

    def flow_of(interval: int) -> NDArray[np.float32]:
        passed = covered(interval, interval + 1) > 0
        return np.stack([passed * np.float32(part) for part in (x_speed, y_speed)])

    return Scene(size, times, draw, flow_of).record(model, seed)


def moving_grating(
    velocity: tuple[float, float],
    *,
    sensor_size: tuple[int, ...] = (128, 128),
    wavelength: float = 16.0,
    contrast: float = 0.8,
    light: float = 0.5,
    duration_us: int = 200_000,
    fps: float = 1000.0,
    model: PixelModel | None = None,
    seed: int = 0,
) -> Motion:
    """Record a sine grating that moves across its stripes.

    Every pixel of a frame has the mean of the sine over its area, exactly. Only motion across the stripes can be
    seen (the aperture problem), and that is the velocity here.

    Args:
        velocity: (x, y) in pixels per second; the stripes are at right angles to it.
        sensor_size: ``(W, H)``.
        wavelength: in pixels.
        contrast: (brightest - darkest) / (brightest + darkest), from 0 to 1.
        light: mean linear light.
        duration_us: length of the recording in microseconds.
        fps: frames per second that are drawn.
        model: parameters of the pixels; the preset ``"clean"`` by default.
        seed: of the camera.

    Returns:
        The recording, with the flow ``velocity`` everywhere.

    Raises:
        ConfigError: an argument is out of range.

    Example:
        >>> from spikesim.datasets.simulator import moving_grating
        >>> motion = moving_grating((0.0, 100.0), sensor_size=(20, 20))
        >>> motion.flow(0, 1)[0, :, 3, 5].tolist()
        [0.0, 100.0]
    """
    x_speed, y_speed = check_velocity(velocity, moving=True)
    size, times = check_size(sensor_size), frame_times(duration_us, fps)
    check_light(light=light)
    if not (np.isfinite(wavelength) and wavelength > 0):
        raise ConfigError(f"wavelength is {wavelength!r}; expected pixels, more than 0")
    if not 0 <= contrast <= 1:
        raise ConfigError(f"contrast is {contrast!r}; expected 0 to 1")
    speed = float(np.hypot(x_speed, y_speed))
    normal = x_speed / speed, y_speed / speed
    ahead = _along(size, normal)
    # The mean of a sine over a box is the sine, weakened by a sinc along each side.
    seen = contrast * float(np.prod([np.sinc(part / wavelength) for part in normal]))

    def draw(first: int, last: int) -> NDArray[np.float64]:
        passed = speed * _PER_SECOND * times[first:last, None, None]
        return light * (1.0 + seen * np.sin(2 * np.pi / wavelength * (ahead - passed)))

    def flow_of(interval: int) -> NDArray[np.float32]:
        del interval
        return np.stack([np.full(ahead.shape, part, np.float32) for part in (x_speed, y_speed)])

    return Scene(size, times, draw, flow_of).record(model, seed)


def moving_dots(
    velocity: ArrayLike,
    *,
    sensor_size: tuple[int, ...] = (128, 128),
    count: int = 40,
    radius: float = 2.5,
    light: float = 1.0,
    background: float = 0.2,
    duration_us: int = 200_000,
    fps: float = 1000.0,
    model: PixelModel | None = None,
    seed: int = 0,
) -> Motion:
    """Record round dots at random places; what leaves the sensor on one side comes back on the other.

    A pixel's light is that of the share of it that a dot covers, with the edge of the dot taken as straight and upright
    within a pixel: for the whole dot less than a tenth off, and less for larger ones.

    Args:
        velocity: (x, y) in pixels per second, of all dots or of each, ``[2]`` or ``[count, 2]``.
        sensor_size: ``(W, H)``.
        count: number of dots.
        radius: in pixels, 1 or more.
        light: linear light of the dots.
        background: linear light beside them.
        duration_us: length of the recording in microseconds.
        fps: frames per second that are drawn.
        model: parameters of the pixels; the preset ``"clean"`` by default.
        seed: of the places and the camera.

    Returns:
        The recording, with the flow: the velocity of the dot that touches a pixel in one of the two frames (the last
        one where there are several), else 0.

    Raises:
        ConfigError: an argument is out of range.

    Example:
        >>> from spikesim.datasets.simulator import moving_dots
        >>> motion = moving_dots([[100.0, 0.0], [0.0, -50.0]], count=2, sensor_size=(40, 30), seed=1)
        >>> sorted({tuple(flow) for flow in motion.event_flow().tolist()} - {(0.0, 0.0)})
        [(0.0, -50.0), (100.0, 0.0)]
    """
    size, times = check_size(sensor_size), frame_times(duration_us, fps)
    check_light(light=light, background=background)
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
        raise ConfigError(f"count is {count!r}; expected a number of dots, 1 or more")
    if not (np.isfinite(radius) and radius >= 1):
        raise ConfigError(f"radius is {radius!r}; expected pixels, 1 or more")
    try:
        velocities = np.broadcast_to(np.asarray(velocity, np.float64), (count, 2))
    except ValueError as error:
        shape = np.shape(velocity) if not isinstance(velocity, (list, tuple)) else velocity
        raise ConfigError(f"velocity is {shape}; expected (x, y), or {count} of them") from error
    if not np.isfinite(velocities).all():
        raise ConfigError("velocity holds a number that is not finite; expected pixels per second")
    # A dot is out of sight before it comes back on the other side.
    room = np.array(size[:2], np.float64) + 2 * radius + 1
    key = key_of(seed, _PLACE_STREAM)
    drawn = np.array([uniform_at(key, np.uint64(k)) for k in range(2 * count)]).reshape(count, 2)

    def places(time: float) -> NDArray[np.float64]:
        return (drawn * room + velocities * (time * _PER_SECOND)) % room - radius - 0.5

    def draw(first: int, last: int) -> NDArray[np.float64]:
        frames = np.zeros((last - first, size[1], size[0]))
        for frame, time in zip(frames, times[first:last], strict=True):
            _cover(frame, places(float(time)), float(radius))
        return background + (light - background) * frames

    def flow_of(interval: int) -> NDArray[np.float32]:
        flow = np.zeros((2, size[1], size[0]), np.float32)
        for time in times[interval : interval + 2]:
            _carry(flow, places(float(time)), velocities.astype(np.float32), float(radius))
        return flow

    return Scene(size, times, draw, flow_of).record(model, seed)


def _along(size: tuple[int, int, int], normal: tuple[float, float]) -> NDArray[np.float64]:
    """How far the middle of each pixel lies along a direction, from the middle of the sensor, ``[H, W]``."""
    width, height, _ = size
    x, y = np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2
    return normal[0] * x[None, :] + normal[1] * y[:, None]


def _half_plane(distance: NDArray[np.float64], normal: tuple[float, float]) -> NDArray[np.float64]:
    """Share of a pixel that lies on the positive side of an edge, its middle being ``distance`` from it.

    Across the edge a unit square is the sum of two uniform pieces, as long as its sides look from there.
    """
    long, short = max(abs(part) for part in normal), min(abs(part) for part in normal)
    if short < 1e-6:
        return np.clip(distance / long + 0.5, 0.0, 1.0)
    corners = [(long + short) / 2, (long - short) / 2]

    def area(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.square(np.maximum(at, 0.0)) / (2 * long * short)

    shares = area(distance + corners[0]) - area(distance + corners[1])
    shares += area(distance - corners[0]) - area(distance - corners[1])
    return np.clip(shares, 0.0, 1.0)


@njit(cache=True, nogil=True)
def _cover(frame: Any, places: Any, radius: Any) -> None:
    """Raise each pixel ``[H, W]`` to the share of it that a dot covers."""
    height, width = frame.shape
    for k in range(len(places)):
        x0, y0 = places[k, 0], places[k, 1]
        for y in range(max(int(y0 - radius - 1), 0), min(int(y0 + radius + 2), height)):
            for x in range(max(int(x0 - radius - 1), 0), min(int(x0 + radius + 2), width)):
                inside = radius - np.hypot(x + 0.5 - x0, y + 0.5 - y0) + 0.5
                frame[y, x] = max(frame[y, x], min(max(inside, 0.0), 1.0))


@njit(cache=True, nogil=True)
def _carry(flow: Any, places: Any, velocities: Any, radius: Any) -> None:
    """Set the flow ``[2, H, W]`` at each pixel that a dot touches."""
    height, width = flow.shape[1:]
    for k in range(len(places)):
        x0, y0 = places[k, 0], places[k, 1]
        for y in range(max(int(y0 - radius - 1), 0), min(int(y0 + radius + 2), height)):
            for x in range(max(int(x0 - radius - 1), 0), min(int(x0 + radius + 2), width)):
                if np.hypot(x + 0.5 - x0, y + 0.5 - y0) < radius + 0.5:
                    flow[0, y, x], flow[1, y, x] = velocities[k, 0], velocities[k, 1]
