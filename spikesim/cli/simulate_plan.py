"""What ``spikesim simulate`` is asked for: pixels, sizes, motions and outputs, checked before the work begins."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikesim.errors import ConfigError, EventError

if TYPE_CHECKING:
    from spikesim.datasets import PixelModel, Simulated
    from spikesim.datasets.simulator import Movie
    from spikesim.datasets.simulator.light import Encoding

MOTIONS = ("saccade", "translate", "rotate")


def pixel_model(preset: str, changes: dict[str, Any]) -> PixelModel:
    """The preset with what the options change.

    Args:
        preset: its name.
        changes: parameters by name; ``None`` leaves one as it is.
    """
    from spikesim.datasets import PixelModel

    chosen = {name: value for name, value in changes.items() if value is not None}
    if "threshold" in chosen and "threshold_off" not in chosen:
        # One number on the command line is meant for both polarities.
        chosen["threshold_off"] = chosen["threshold"] if PixelModel.preset(preset).threshold_off is not None else None
    return PixelModel.preset(preset, **chosen)


def described(model: PixelModel) -> str:
    """The parameters that are at work, in a line."""
    off = model.threshold if model.threshold_off is None else model.threshold_off
    parts = [f"thresholds {model.threshold:g} / {off:g} (std {model.threshold_std:g})"]
    parts.append(f"log({model.log_offset:g} + I)" if model.log_offset else "log(I)")
    if model.linear_below:
        parts.append(f"linear below {model.linear_below:.3g}")
    rest = {
        "refractory period": (model.refractory_us, "us"),
        "cut-off": (model.cutoff_hz, "Hz"),
        "leakage": (model.leak_hz, "Hz"),
        "shot noise": (model.shot_noise_hz, "Hz"),
        "hot pixels": (model.hot_hz if model.hot_fraction else 0, f"Hz in {100 * model.hot_fraction:g} %"),
    }
    return ", ".join([*parts, *(f"{name} {value:g} {unit}" for name, (value, unit) in rest.items() if value)])


def size_of(text: str | None) -> tuple[int, int] | None:
    """``"346x260"`` as width and height."""
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdigit() and 0 < int(side) < 2**15 for side in sides):
        raise ConfigError(f"--size: given '{text}', expected WIDTHxHEIGHT, such as 346x260, up to 32767 each")
    return int(sides[0]), int(sides[1])


def check_motion(motion: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """What the options say about a motion, in the units of the library; refuses those that mean nothing for it.

    Args:
        motion: one of :data:`MOTIONS`, or ``None`` for a movie as it is.
        given: ``fps``, ``speed``, ``velocity``, ``rate`` and ``duration``, ``None`` where not given.
    """
    if motion is not None and motion not in MOTIONS:
        raise ConfigError(f"--motion: given '{motion}', expected one of {', '.join(MOTIONS)}")
    wanted = {
        None: ("fps", "speed"),
        "saccade": (),
        "translate": ("velocity", "duration", "fps"),
        "rotate": ("rate", "duration", "fps"),
    }
    for name, value in given.items():
        if value is not None and name not in wanted[motion]:
            fitting = [str(kind) for kind, names in wanted.items() if name in names and kind is not None]
            expected = f"--motion {' or '.join(fitting)}" if fitting else "a movie without --motion"
            raise ConfigError(f"--{name}: means nothing for {motion or 'a movie as it is'}; expected {expected}")
    options: dict[str, Any] = {}
    if motion == "translate":
        options["velocity"] = _velocity(given["velocity"] or "100,0")
    if motion == "rotate":
        options["rate"] = math.radians(90.0 if given["rate"] is None else given["rate"])
    if motion in ("translate", "rotate"):
        seconds = 0.2 if given["duration"] is None else given["duration"]
        if not (math.isfinite(seconds) and 0 < seconds < 1e9):
            raise ConfigError(f"--duration: given {seconds}, expected seconds, more than 0")
        options["duration_us"] = round(seconds * 1e6)
        if given["fps"] is not None:
            options["fps"] = given["fps"]
    return options


def _velocity(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--velocity: given '{text}', expected X,Y in pixels per second, such as 30,-10") from error
    return x, y


def moved(
    movie: Movie,
    motion: str,
    size: tuple[int, int] | None,
    encoding: Encoding,
    options: dict[str, Any],
    model: PixelModel,
    seed: int,
) -> Simulated:
    """Record the first picture of a movie, moved.

    Args:
        movie: where it is.
        motion: one of :data:`MOTIONS`.
        size: of the sensor.
        encoding: what its numbers mean.
        options: from :func:`check_motion`.
        model: parameters of the pixels.
        seed: of the camera.
    """
    from spikesim.datasets import Simulated
    from spikesim.datasets.simulator import rotate, saccade, translate
    from spikesim.datasets.simulator.light import resized

    light = movie.picture(encoding)
    camera: dict[str, Any] = {"model": model, "seed": seed, "encoding": "linear"}
    if motion == "saccade":
        made = saccade(light, sensor_size=size, **camera)
    else:
        light = light if size is None else resized(light, *size)
        made = (translate if motion == "translate" else rotate)(light, **options, **camera)
    return Simulated(made.events, made.noise)


def try_output(path: Path, size: tuple[int, int], format: str | None) -> None:
    """Write nothing, and an event at the end of each row, to a file beside the output, and delete it.

    So a missing folder or extra, or a format that cannot hold such a sensor, is known before the work.

    Args:
        path: the output.
        size: width and height of the sensor.
        format: as :func:`~spikesim.datasets.write_events`.

    Raises:
        EventError: the output cannot be written, or cannot hold the events of such a sensor.
    """
    import numpy as np

    from spikesim.datasets import Events, write_events

    if path.is_dir():
        raise ConfigError(f"OUTPUT: {path} is a folder; expected the name of a file, such as {path / 'events.aedat'}")
    width, height = size
    y = np.arange(height)
    nothing = Events.empty((width, height, 2))
    last = Events.from_columns(np.full(height, width - 1), y, np.zeros(height, int), y % 2, (width, height, 2))
    trial = path.with_name(f".trial-{path.name}")
    for events, tried in ((nothing, ""), (last, f" (an event at the end of each row of {width} x {height} pixels)")):
        try:
            write_events(trial, events, format)
        except EventError as error:
            raise type(error)(str(error).replace(str(trial), str(path)) + tried) from error
        finally:
            trial.unlink(missing_ok=True)
