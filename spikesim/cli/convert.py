"""``spikesim convert``: a trained ANN to a spiking network, with the proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikesim.cli.model import AllowAnalog, ModelName, Settings, Weights

if TYPE_CHECKING:
    from torch import nn


def convert(
    model: ModelName,
    calibration: Annotated[
        Path, typer.Option(help="Typical inputs: .npz, .npy or .safetensors with the array x; labels y if any.")
    ],
    weights: Weights = None,
    settings: Settings = None,
    timesteps: Annotated[int, typer.Option(help="Time steps T that the thresholds are made for.")] = 32,
    neuron: Annotated[
        str | None,
        typer.Option(
            help="What stands for a ReLU: if, signed_if, st_bif, burst(5), group(4), multi_threshold(4) or parallel. "
            "if by default, st_bif with --exact."
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Run until nothing moves, and certify the outputs against the quantised ANN."),
    ] = False,
    threshold: Annotated[
        str, typer.Option(help="Rule: mse, lloyd, gaussian, ltb, max, or percentile(p) such as percentile(99.9).")
    ] = "mse",
    granularity: Annotated[str, typer.Option(help="One threshold per channel or per layer.")] = "channel",
    calibrate: Annotated[
        str, typer.Option(help="Stages without labels, in this order: weights, scale, bias, potential; or none.")
    ] = "bias",
    allow_analog: AllowAnalog = None,
    evaluate: Annotated[
        Path | None, typer.Option(help="Labelled data to measure accuracy on, with the arrays x and y.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the network and its report; energy takes the folder as its MODEL.")
    ] = None,
) -> None:
    """Convert a trained ANN to a spiking network.

    Shows the spiking layers, what is left of the ANN's nonlinearities (nothing, or the conversion is
    refused) and, with labels, accuracy after 1, 2, 4, ... time steps.

    Example: spikesim convert my_model:build --weights w.safetensors --calibration train.npz --timesteps 16
    """
    from rich.console import Console

    from spikesim.cli.arrays import read_arrays
    from spikesim.cli.model import check_takes, fitting, load_model
    from spikesim.converters import convert as convert_model

    ann = load_model(model, weights, settings)
    inputs = fitting(ann, read_arrays(calibration).x)
    check_takes(ann, inputs, str(calibration))
    data = None if evaluate is None else labelled(evaluate, ann)
    if data is not None:
        check_takes(ann, data[0], str(evaluate))
    converted = convert_model(
        ann,
        inputs,
        timesteps=timesteps,
        neuron=neuron,
        exact=exact,
        threshold=threshold,
        granularity=granularity,  # type: ignore[arg-type]  # the converter names a wrong one
        calibrate=calibrate,
        allow_analog=allow_analog or (),
        evaluate=data,
    )
    Console().print(converted.report)
    if output is not None:
        converted.save(output)
        Console(soft_wrap=True).print(f"written to {output}", highlight=False, markup=False)


def labelled(path: Path, model: nn.Module) -> tuple[Any, Any]:
    """Inputs for a model and labels of a file."""
    from spikesim.cli.arrays import read_arrays
    from spikesim.cli.model import fitting
    from spikesim.errors import ConfigError

    arrays = read_arrays(path)
    if arrays.y is None:
        raise ConfigError(f"{path} holds no labels; --evaluate needs the arrays x and y")
    return fitting(model, arrays.x), arrays.y
