"""A picture that is moved before the camera: along any path, translated, rotated, or as N-MNIST's were."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesim.datasets.simulator.light import Encoding, linear_picture, resized
from spikesim.datasets.simulator.model import PixelModel
from spikesim.datasets.simulator.saccade import triangle_path
from spikesim.datasets.simulator.scene import Motion, Scene, check_size, check_velocity, frame_times
from spikesim.datasets.simulator.warp import Border, about, draw
from spikesim.errors import ConfigError, EventError

_BORDERS = ("black", "edge", "reflect", "wrap")


def move_picture(
    picture: ArrayLike,
    times_us: ArrayLike,
    shifts: ArrayLike,
    angles: ArrayLike | None = None,
    *,
    sensor_size: tuple[int, ...] | None = None,
    zoom: float = 1.0,
    border: Border = "reflect",
    encoding: Encoding = "auto",
    model: PixelModel | None = None,
    seed: int = 0,
) -> Motion:
    """Record a picture that moves along a path, in the middle of the sensor where the shift is 0.

    It is drawn with bilinear interpolation, so it may stand between pixels.

    Args:
        picture: grey ``[H, W]`` or colour ``[H, W, 3]``.
        times_us: time of each frame in microseconds, ``[F]``: increasing integers.
        shifts: where the picture is in each frame, (x, y) in pixels, ``[F, 2]``.
        angles: how far it is turned about its middle, in radians from x towards y (clockwise to the eye), ``[F]``; 0
            by default.
        sensor_size: ``(W, H)``; as large as the enlarged picture by default.
        zoom: pixels of the sensor for each of the picture's.
        border: what lies beyond the picture: ``"black"``, ``"edge"`` (its last pixels), ``"reflect"`` (its mirror
            image) or ``"wrap"`` (itself again).
        encoding: what the numbers mean: ``"srgb"`` codes, ``"linear"`` light, or ``"auto"``: sRGB if they are uint8 or
            uint16.
        model: parameters of the pixels; the preset ``"clean"`` by default.
        seed: of the camera.

    Returns:
        The recording, with the flow of the picture; under ``"black"`` it is 0 beside the picture.

    Raises:
        EventError: the picture or the times have another shape, dtype or bad values.
        ConfigError: another argument is out of range.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.simulator import move_picture
        >>> checks = np.kron(np.indices((6, 6)).sum(0) % 2, np.ones((8, 8)))
        >>> motion = move_picture(checks, [0, 5000, 10_000], [[0, 0], [2, 0], [2, 1]])
        >>> motion.events.sensor_size, motion.flow()[:, :, 9, 9].tolist()
        ((48, 48, 2), [[400.0, 0.0], [0.0, 200.0]])
    """
    light = linear_picture(picture, encoding)
    if border not in _BORDERS:
        raise ConfigError(f"border is {border!r}; expected one of {', '.join(_BORDERS)}")
    if not (np.isfinite(zoom) and 0 < zoom <= 1000):
        raise ConfigError(f"zoom is {zoom!r}; expected more than 0 and at most 1000")
    times, path = np.asarray(times_us), np.asarray(shifts, np.float64)
    turned = np.zeros(len(path)) if angles is None else np.asarray(angles, np.float64)
    if times.ndim != 1 or len(times) < 2 or times.dtype.kind not in "iu":
        raise EventError(
            f"times_us has shape {times.shape} and dtype {times.dtype}; expected two or more integers in microseconds"
        )
    if path.shape != (len(times), 2) or turned.shape != (len(times),):
        raise EventError(
            f"shifts have shape {path.shape} and angles {turned.shape}; expected [F, 2] and [F] with F = {len(times)} "
            "times"
        )
    if not (np.isfinite(path).all() and np.isfinite(turned).all() and abs(path).max() < 2**40):
        raise ConfigError(
            "shifts or angles hold a number that is not finite, or too large; expected pixels and radians"
        )
    sides = zoom * light.shape[1], zoom * light.shape[0]
    size = check_size(sensor_size or tuple(max(1, round(side)) for side in sides))
    middle = sides[0] / 2, sides[1] / 2
    corner, turns = about(middle, turned)
    origin = size[0] / 2 - middle[0], size[1] / 2 - middle[1]

    def frames(first: int, last: int) -> NDArray[np.float64]:
        chosen = slice(first, last)
        return draw(light, zoom, origin, (path + corner)[chosen], turns[chosen], size[:2], border)

    def flow_of(interval: int) -> NDArray[np.float32]:
        return _flow(times, path, turned, interval, size, (sides, zoom) if border == "black" else None)

    return Scene(size, times.astype(np.int64), frames, flow_of).record(model, seed)


def translate(
    picture: ArrayLike,
    velocity: tuple[float, float],
    *,
    sensor_size: tuple[int, ...] | None = None,
    zoom: float = 1.0,
    border: Border = "reflect",
    encoding: Encoding = "auto",
    duration_us: int = 200_000,
    fps: float = 1000.0,
    model: PixelModel | None = None,
    seed: int = 0,
) -> Motion:
    """Record a picture that moves in a straight line from the middle of the sensor.

    Args:
        picture: grey ``[H, W]`` or colour ``[H, W, 3]``.
        velocity: (x, y) in pixels per second.
        sensor_size: as :func:`move_picture`, like the others.
        zoom: pixels of the sensor for each of the picture's.
        border: what lies beyond the picture.
        encoding: what its numbers mean.
        duration_us: length of the recording in microseconds.
        fps: frames per second that are drawn.
        model: parameters of the pixels; the preset ``"clean"`` by default.
        seed: of the camera.

    Returns:
        The recording, with the flow ``velocity``.

    Raises:
        EventError: as :func:`move_picture`.
        ConfigError: as :func:`move_picture`.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.simulator import translate
        >>> motion = translate(np.kron(np.eye(4), np.ones((6, 6))), (50.0, -30.0))
        >>> motion.flow(0, 1)[0, :, 0, 0].tolist()
        [50.0, -30.0]
    """
    x, y = check_velocity(velocity)
    times = frame_times(duration_us, fps)
    shifts = times[:, None] * 1e-6 * np.array([x, y])
    return move_picture(
        picture, times, shifts, sensor_size=sensor_size, zoom=zoom, border=border, encoding=encoding, model=model,
        seed=seed,
    )  # fmt: skip


def rotate(
    picture: ArrayLike,
    rate: float,
    *,
    sensor_size: tuple[int, ...] | None = None,
    zoom: float = 1.0,
    border: Border = "reflect",
    encoding: Encoding = "auto",
    duration_us: int = 200_000,
    fps: float = 1000.0,
    model: PixelModel | None = None,
    seed: int = 0,
) -> Motion:
    """Record a picture that turns about its middle.

    Args:
        picture: grey ``[H, W]`` or colour ``[H, W, 3]``.
        rate: in radians per second, from x towards y (clockwise to the eye).
        sensor_size: as :func:`move_picture`, like the others.
        zoom: pixels of the sensor for each of the picture's.
        border: what lies beyond the picture.
        encoding: what its numbers mean.
        duration_us: length of the recording in microseconds.
        fps: frames per second that are drawn.
        model: parameters of the pixels; the preset ``"clean"`` by default.
        seed: of the camera.

    Returns:
        The recording, with the flow, which grows with the distance from the middle.

    Raises:
        EventError: as :func:`move_picture`.
        ConfigError: as :func:`move_picture`.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.simulator import rotate
        >>> motion = rotate(np.kron(np.eye(4), np.ones((6, 6))), 2.0)
        >>> motion.flow(0, 1)[0, :, 12, 20].round(3).tolist()        # 8.5 to the right, 0.5 below the middle
        [-1.0, 17.0]
    """
    if not isinstance(rate, (int, float, np.number)) or not np.isfinite(rate):
        raise ConfigError(f"rate is {rate!r}; expected radians per second")
    times = frame_times(duration_us, fps)
    return move_picture(
        picture, times, np.zeros((len(times), 2)), times * 1e-6 * rate, sensor_size=sensor_size, zoom=zoom,
        border=border, encoding=encoding, model=model, seed=seed,
    )  # fmt: skip


def saccade(
    picture: ArrayLike,
    *,
    sensor_size: tuple[int, ...] | None = None,
    zoom: float = 1.0,
    border: Border = "black",
    encoding: Encoding = "auto",
    frames_per_saccade: int = 100,
    model: PixelModel | None = None,
    seed: int = 0,
) -> Motion:
    """Record a picture as N-MNIST and N-Caltech101 were recorded: three saccades of 100 ms around a triangle.

    A picture that is larger than the sensor is brought to the largest size that fits it, as N-Caltech101's pictures
    were (Orchard et al. 2015, https://doi.org/10.3389/fnins.2015.00437; 240 x 180 pixels there).

    Args:
        picture: grey ``[H, W]`` or colour ``[H, W, 3]``.
        sensor_size: ``(W, H)``; as large as the picture by default.
        zoom: pixels of the sensor for each of the picture's.
        border: what lies beyond the picture; there it was a black screen.
        encoding: what its numbers mean.
        frames_per_saccade: pieces of each side of the triangle that are drawn.
        model: parameters of the pixels; the preset ``"clean"`` by default.
        seed: of the camera.

    Returns:
        The recording, 300 ms long, with the flow of the picture.

    Raises:
        EventError: as :func:`move_picture`.
        ConfigError: as :func:`move_picture`.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.simulator import saccade
        >>> motion = saccade(np.kron(np.eye(4), np.ones((5, 5))), sensor_size=(34, 34))
        >>> int(motion.scene.times_us[-1]), motion.flow(0, 1)[0, :, 17, 17].tolist()
        (300000, [35.0, 70.0])
    """
    light = linear_picture(picture, encoding)
    if isinstance(frames_per_saccade, bool) or not isinstance(frames_per_saccade, int) or frames_per_saccade < 1:
        raise ConfigError(f"frames_per_saccade is {frames_per_saccade!r}; expected 1 or more")
    if sensor_size is not None:
        width, height, _ = check_size(sensor_size)
        fits = min(width / (zoom * light.shape[1]), height / (zoom * light.shape[0]))
        if fits < 1:
            rows, columns = (max(1, round(side * fits)) for side in light.shape)
            light = resized(light, columns, rows)
    shifts, times = triangle_path(frames_per_saccade)
    shifts = shifts - (shifts.min(0) + shifts.max(0)) / 2
    return move_picture(
        light, times, shifts, sensor_size=sensor_size, zoom=zoom, border=border, encoding="linear", model=model,
        seed=seed,
    )  # fmt: skip


def _flow(
    times: NDArray[np.int64],
    path: NDArray[np.float64],
    angles: NDArray[np.float64],
    interval: int,
    size: tuple[int, int, int],
    extent: tuple[tuple[float, float], float] | None,
) -> NDArray[np.float32]:
    """Flow ``[2, H, W]`` at the middle of an interval; 0 where no picture of these sides and zoom is or was."""
    seconds = float(times[interval + 1] - times[interval]) * 1e-6
    velocity = (path[interval + 1] - path[interval]) / seconds
    rate = (angles[interval + 1] - angles[interval]) / seconds
    middle = (path[interval + 1] + path[interval]) / 2
    y, x = np.indices(size[1::-1]) + 0.5
    x, y = x - size[0] / 2, y - size[1] / 2
    flow = np.stack([velocity[0] - rate * (y - middle[1]), velocity[1] + rate * (x - middle[0])])
    if extent is not None:
        (width, height), zoom = extent
        touched = np.zeros(x.shape, np.bool_)
        for frame in (interval, interval + 1):
            cosine, sine = np.cos(angles[frame]), np.sin(angles[frame])
            beside, below = x - path[frame, 0], y - path[frame, 1]
            # Interpolation lets the picture fade over half of one of its pixels.
            touched |= (abs(cosine * beside + sine * below) < (width + zoom) / 2) & (
                abs(cosine * below - sine * beside) < (height + zoom) / 2
            )
        flow *= touched
    return flow.astype(np.float32)
