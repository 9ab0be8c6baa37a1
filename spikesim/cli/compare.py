"""``spikesim compare``: one ANN converted by several methods, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikesim.cli.model import ModelName, Settings, Weights


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
        list[str] | None, typer.Option(help="A method by name; may be repeated. All of them by default.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the table as .csv or .json.")] = None,
) -> None:
    """Convert a trained ANN by several methods and compare accuracy, spikes and latency.

    Example: spikesim compare my_model:build --weights w.safetensors --calibration train.npz --evaluate test.npz
    """
    from rich.console import Console

    from spikesim.cli.arrays import read_arrays
    from spikesim.cli.convert import labelled
    from spikesim.cli.model import check_takes, fitting, load_model
    from spikesim.converters.compare import METHODS
    from spikesim.converters.compare import compare as compare_methods

    ann = load_model(model, weights, settings)
    inputs, data = fitting(ann, read_arrays(calibration).x), labelled(evaluate, ann)
    check_takes(ann, inputs, str(calibration))
    check_takes(ann, data[0], str(evaluate))
    found = compare_methods(ann, inputs, data, timesteps=timesteps or (1, 2, 4, 8), methods=method or tuple(METHODS))
    Console().print(found)
    if output is not None:
        found.save(output)
        Console(soft_wrap=True).print(f"written to {output}", highlight=False, markup=False)
