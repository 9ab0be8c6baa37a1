"""``spikesim audit``: what a conversion would do to every operation, before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikesim.cli.model import AllowAnalog, InputShape, JsonPath, ModelName, Settings, Weights
from spikesim.errors import CheckFailed


def audit(
    model: ModelName,
    weights: Weights = None,
    settings: Settings = None,
    input_shape: InputShape = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Example inputs instead: .npz, .npy or .safetensors with the array x.")
    ] = None,
    allow_analog: AllowAnalog = None,
    json_path: JsonPath = None,
) -> None:
    """List every operation of an ANN with a verdict: exact, folded, approximated or unsupported.

    Nothing is changed. Exits with 3 if the network cannot be converted.

    Example: spikesim audit digits_cnn --input-shape 1,8,8
    """
    from rich.console import Console

    from spikesim.cli.model import check_takes, example_input, fitting, load_model
    from spikesim.converters import audit as audit_model
    from spikesim.viz import write_text

    ann = load_model(model, weights, settings)
    x = fitting(ann, example_input(ann, input_shape, calibration))
    check_takes(ann, x, str(calibration or "--input-shape"))
    report = audit_model(ann, x, allow_analog=allow_analog or ())
    Console().print(report)
    if json_path is not None:
        write_text(json_path, report.to_json() + "\n")
    if not report.convertible:
        raise CheckFailed(f"{model} cannot be converted as it is; rewrite the operations marked unsupported")
