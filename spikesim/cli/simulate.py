"""``spikesim simulate``: events from a video, a picture, a folder of pictures or an array."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikesim.cli.model import JsonPath
from spikesim.cli.simulate_plan import check_motion, described, moved, pixel_model, size_of, try_output
from spikesim.cli.simulate_report import plan, report_of, show, write_labels
from spikesim.errors import ConfigError

if TYPE_CHECKING:
    from spikesim.datasets import EventSimulator, PixelModel, Simulated
    from spikesim.datasets.simulator import Movie
    from spikesim.datasets.simulator.light import Encoding

_PIXELS, _MOVIE, _PICTURE = "Pixels", "Movie", "Picture"


def simulate(
    input: Annotated[
        Path,
        typer.Argument(metavar="INPUT", help="Video, GIF, picture, folder of pictures, or .npy of frames [F,H,W(,3)]."),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Event file; its ending says the format.")],
    preset: Annotated[
        str, typer.Option(help="Set of parameters: ideal, clean or noisy.", rich_help_panel=_PIXELS)
    ] = "clean",
    threshold: Annotated[
        float | None, typer.Option(help="Contrast threshold, in natural-log intensity.", rich_help_panel=_PIXELS)
    ] = None,
    threshold_off: Annotated[
        float | None, typer.Option(help="That of OFF events, if another.", rich_help_panel=_PIXELS)
    ] = None,
    threshold_std: Annotated[
        float | None, typer.Option(help="Its standard deviation over the pixels.", rich_help_panel=_PIXELS)
    ] = None,
    refractory: Annotated[
        int | None, typer.Option(metavar="US", help="Dead time after an event, microseconds.", rich_help_panel=_PIXELS)
    ] = None,
    cutoff: Annotated[
        float | None, typer.Option(metavar="HZ", help="Cut-off at white; 0 for none.", rich_help_panel=_PIXELS)
    ] = None,
    leak: Annotated[
        float | None, typer.Option(metavar="HZ", help="Leakage events of each pixel.", rich_help_panel=_PIXELS)
    ] = None,
    shot_noise: Annotated[
        float | None, typer.Option(metavar="HZ", help="Shot noise of a dark pixel.", rich_help_panel=_PIXELS)
    ] = None,
    hot_fraction: Annotated[
        float | None, typer.Option(help="Share of hot pixels, 0 to 1.", rich_help_panel=_PIXELS)
    ] = None,
    hot_rate: Annotated[
        float | None, typer.Option(metavar="HZ", help="Noise of a hot pixel.", rich_help_panel=_PIXELS)
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(help="Frames per second.", show_default="what INPUT says, else 30", rich_help_panel=_MOVIE),
    ] = None,
    speed: Annotated[
        float, typer.Option(help="How many times faster INPUT is shown; 0.1 is slow motion.", rich_help_panel=_MOVIE)
    ] = 1.0,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Size of the sensor.", rich_help_panel=_MOVIE)] = None,
    linear: Annotated[
        bool, typer.Option("--linear", help="INPUT holds linear light, not sRGB codes.", rich_help_panel=_MOVIE)
    ] = False,
    motion: Annotated[
        str | None,
        typer.Option(
            help="Move the first picture: saccade (N-MNIST's), translate or rotate.",
            show_default="saccade for a picture",
            rich_help_panel=_PICTURE,
        ),
    ] = None,
    velocity: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y", help="For translate, in pixels per second.", show_default="100,0", rich_help_panel=_PICTURE
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(metavar="DEG/S", help="For rotate, clockwise.", show_default="90", rich_help_panel=_PICTURE),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(metavar="S", help="For translate and rotate.", show_default="0.2", rich_help_panel=_PICTURE),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the differences between pixels, and of the noise.")] = 0,
    format: Annotated[str | None, typer.Option(help="Format of OUTPUT by name.", show_default="by its ending")] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE.npy", help="Also write which events are noise, as booleans.")
    ] = None,
    threads: Annotated[
        int, typer.Option(help="Threads; the events do not depend on it.", show_default="all cores")
    ] = 0,
    json_path: JsonPath = None,
) -> None:
    """Show a movie to a simulated event camera and write the events.

    The movie may be longer than memory; its events may not (13 bytes each), since the file is written whole.

    Example: spikesim simulate video.mp4 events.aedat4 --preset noisy
    """
    from rich.console import Console

    from spikesim.datasets import write_events
    from spikesim.datasets.simulator import open_movie

    if labels is not None and labels.suffix != ".npy":
        raise ConfigError(f"--labels: given '{labels}', expected a name that ends in .npy")
    if output.exists() and input.exists() and output.samefile(input):
        raise ConfigError(f"OUTPUT: {output} is INPUT; expected another file")
    if threads < 0:
        raise ConfigError(f"--threads: given {threads}, expected 1 or more, or 0 for all cores")
    changes = {
        "threshold": threshold, "threshold_off": threshold_off, "threshold_std": threshold_std,
        "refractory_us": refractory, "cutoff_hz": cutoff, "leak_hz": leak, "shot_noise_hz": shot_noise,
        "hot_fraction": hot_fraction, "hot_hz": hot_rate,
    }  # fmt: skip
    model, sensor = pixel_model(preset, changes), size_of(size)
    movie = open_movie(input, fps)
    if motion is None and movie.kind == "picture":
        motion = "saccade"
    given = {
        "fps": fps,
        "speed": None if speed == 1 else speed,
        "velocity": velocity,
        "rate": rate,
        "duration": duration,
    }
    timing = check_motion(motion, given)
    try_output(output, sensor or movie.size, format)
    console = Console(highlight=False, soft_wrap=True)
    for line in plan(movie, sensor, motion, preset, described(model), seed, output):
        console.print(line, markup=False)
    encoding: Encoding = "linear" if linear else "auto"
    if motion is None:
        made = _shown(movie, speed, sensor, encoding, model, seed, threads or _cores())
    else:
        made = moved(movie, motion, sensor, encoding, timing, model, seed)
    write_events(output, made.events, format)
    report = report_of(made, output)
    if labels is not None:
        write_labels(labels, made.noise)
    show(console, report)
    if json_path is not None:
        from spikesim.viz import write_text

        content = {"schema": 1, "input": str(input), "preset": preset, "seed": seed, "motion": motion, **report}
        write_text(json_path, json.dumps(content, indent=2) + "\n")


def _shown(
    movie: Movie,
    speed: float,
    size: tuple[int, int] | None,
    encoding: Encoding,
    model: PixelModel,
    seed: int,
    threads: int,
) -> Simulated:
    """Show the movie piece by piece, with a progress bar."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from spikesim.datasets import EventSimulator
    from spikesim.datasets.simulator.stream import joined

    camera: EventSimulator = EventSimulator(model, seed=seed, threads=threads)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    parts = []
    with (
        Progress(*columns, console=Console(stderr=True), transient=True) as bar,
        closing(movie.pieces(speed, size, encoding)) as pieces,
    ):
        task = bar.add_task("frames", total=movie.frames)
        for frames, times in pieces:
            parts.append(camera.push(frames, times))
            events = camera.tally.on + camera.tally.off
            bar.update(task, advance=len(frames), description=f"frames, {events} events")
    return joined([*parts, camera.finish()])


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
