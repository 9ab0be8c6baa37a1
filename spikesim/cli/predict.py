"""``spikesim predict``: what a run takes a recording for, while its events arrive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikesim.cli.evaluate import Device, Run

if TYPE_CHECKING:
    from spikesim.training import Prediction


def predict(
    run: Run,
    recording: Annotated[Path, typer.Argument(help="A recording of any format that spikesim reads.")],
    window_us: Annotated[
        int | None,
        typer.Option("--window", min=1, metavar="US", help="Microseconds of a window, instead of the run's frames."),
    ] = None,
    window_events: Annotated[
        int | None,
        typer.Option("--events", min=1, metavar="N", help="Events of a window, instead of the run's frames."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line instead of words.")] = False,
    device: Device = "auto",
) -> None:
    """Name the class of a recording after every window of events, with the confidence of the network.

    The windows are the frames that the run was trained on, T of them, unless --window or --events gives their length:
    then the recording may be of any length, and each line reads out the last T windows.

    Example: spikesim predict runs/gesture recording.aedat4 --json
    """
    from spikesim.training import load_run
    from spikesim.training import predict as predictions
    from spikesim.training.run import device_of

    place = device_of(device)
    trained = load_run(run, place)
    for said in predictions(trained, recording, window_us=window_us, window_events=window_events, device=place):
        # echo flushes: whoever reads the other end of a pipe gets each line when it is known.
        typer.echo(_object(said, trained.classes) if as_json else _line(said))


def _line(said: Prediction) -> str:
    named = f"{said.named} ({100 * said.confidence:.1f} %)" if said.named is not None else "waits"
    return f"{said.until_us / 1e6:12.6f} s  window {said.step:4d}  {said.events:7d} events  {named}"


def _object(said: Prediction, classes: tuple[str, ...]) -> str:
    return json.dumps(
        {
            "window": said.step,
            "until_us": said.until_us,
            "events": said.events,
            "class": said.named,
            "confidence": said.confidence,
            "scores": dict(zip(classes, said.scores)),
        }
    )
