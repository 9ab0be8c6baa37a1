"""``spikesim compare``: one ANN converted by several methods, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikesim.cli.convert import PROFILE
from spikesim.cli.model import ModelName, Settings, Weights
from spikesim.errors import CheckFailed


def compare(
    model: ModelName,
    calibration: Annotated[Path, typer.Option(help="Typical inputs: .npz, .npy or .safetensors with the array x.")],
    evaluate: Annotated[Path, typer.Option(help="Labelled data, with the arrays x and y.")],
    weights: Weights = None,
    settings: Settings = None,
    timesteps: Annotated[
        list[int] | None, typer.Option(help="T to convert for; may be repeated. 1, 2, 4 and 8 by default.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="A method by name, or settings such as 'neuron=burst(3), readout=count, early_exit=0.99'; may be "
            "repeated. All named ones by default."
        ),
    ] = None,
    profile: Annotated[str, typer.Option(help="Hardware profile for the energy: a name or a TOML file.")] = PROFILE,
    output: Annotated[
        list[Path] | None,
        typer.Option(help="Write the table as .csv or .json, or pictures as .png, .svg or .pdf; may be repeated."),
    ] = None,
) -> None:
    """Convert a trained ANN by several methods and compare accuracy, spikes, energy and latency.

    A method that cannot be had loses no other: its row says why. Exits with 3 if none can.

    Example: spikesim compare my_model:build --weights w.safetensors --calibration train.npz --evaluate test.npz
    """
    from rich.console import Console

    from spikesim.cli.convert import check_place, labelled
    from spikesim.cli.model import check_takes, fitting, load_model, read_inputs
    from spikesim.cli.watching import watching
    from spikesim.converters import compare as compare_methods
    from spikesim.converters.recipes import METHODS

    for path in output or []:
        check_place(path, (".csv", ".json", ".png", ".svg", ".pdf"))
    ann = load_model(model, weights, settings)
    inputs, data = fitting(ann, read_inputs(ann, calibration).x), labelled(evaluate, ann)
    check_takes(ann, inputs, str(calibration))
    check_takes(ann, data[0], str(evaluate))
    steps, chosen = timesteps or [1, 2, 4, 8], method or list(METHODS)
    with watching() as bars:
        moved = bars.steps(len(steps) * len(chosen), "comparing")
        found = compare_methods(
            ann,
            inputs,
            data,
            timesteps=steps,
            methods=chosen,
            profile=profile,
            watch=lambda row: moved(f"{row.method}, T={row.timesteps}"),
        )
    Console().print(found)
    for path in output or []:
        if path.suffix.lower() in (".csv", ".json") or len(found.failures) < len(found.rows):
            found.save(path)
            Console(soft_wrap=True).print(f"written to {path}", highlight=False, markup=False)
    if len(found.failures) == len(found.rows):
        raise CheckFailed(f"no method could be had; the first said: {found.failures[0].failed}")
