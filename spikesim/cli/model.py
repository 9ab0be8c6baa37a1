"""The model arguments that ``audit``, ``convert`` and ``energy`` share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikesim.errors import ConfigError, ShapeError, SpikesimError

if TYPE_CHECKING:
    import torch
    from torch import nn

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="package.module:factory, found in the current folder too, or a network of spikesim by name "
        "(digits_cnn, conv_snn), or a folder written by spikesim convert --output.",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Weights: safetensors, a saved state_dict, or a checkpoint of a training run."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="An argument for the factory; may be given repeatedly."),
]
InputShape = Annotated[
    str | None,
    typer.Option(metavar="C,H,W", help="Shape of one input without batch (and time); random values are used."),
]
AllowAnalog = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="An operation that may stay analog, by its name in the audit; may be repeated."),
]
JsonPath = Annotated[Path | None, typer.Option("--json", metavar="PATH", help="Also write the result as JSON.")]


def load_model(name: str, weights: Path | None, settings: list[str] | None) -> nn.Module:
    """Build the model, load its weights and put it into eval mode.

    Raises:
        ConfigError: no such factory, or it does not take the settings.
        CheckpointError: the weights cannot be read or do not fit.
    """
    if Path(name).is_dir():
        return _load_folder(Path(name), weights, settings)
    from spikesim.models import build
    from spikesim.training import load_weights

    model = build(name, **_settings(settings or []))
    if weights is not None:
        load_weights(model, weights)
    return model.eval()


def _load_folder(folder: Path, weights: Path | None, settings: list[str] | None) -> nn.Module:
    from spikesim.converters import load_converted

    if weights is not None or settings:
        raise ConfigError(f"{folder} is a converted network and holds its own weights; leave out --weights and --set")
    return load_converted(folder).network.eval()


def example_input(shape: str | None, path: Path | None, samples: int = 2) -> torch.Tensor:
    """Give inputs from a file, or uniform random values in 0 to 1 where only a shape is known.

    Raises:
        ConfigError: neither or both are given, or the file cannot be read.
        ShapeError: the shape is not a list of positive integers.
    """
    import torch

    from spikesim.cli.arrays import read_arrays

    if (shape is None) == (path is None):
        raise ConfigError("give example inputs: either --input-shape, such as 1,28,28, or --calibration FILE")
    if path is not None:
        return read_arrays(path).x
    return torch.rand(samples, *parse_shape(shape or ""), generator=torch.Generator().manual_seed(0))


def parse_shape(shape: str) -> list[int]:
    """Read the value of ``--input-shape``.

    Raises:
        ShapeError: it is not a list of positive integers.
    """
    try:
        sizes = [int(part) for part in shape.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise ShapeError(f"--input-shape: given '{shape}', expected positive sizes such as 1,28,28")
    return sizes


def fitting(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Inputs as a model takes them: whole numbers where it looks tokens up, for files are read as fractions."""
    from torch import nn

    return x.long() if any(isinstance(module, nn.Embedding) for module in model.modules()) else x


def takes_steps(model: nn.Module) -> bool:
    """Whether inputs are ``[T, N, ...]``: a network without encoder, unless it is an exact one, which knows its T."""
    from spikesim.converters.settling import SettlingNetwork
    from spikesim.nn import Network

    return isinstance(model, Network) and model.encoder is None and not isinstance(model, SettlingNetwork)


def check_takes(model: nn.Module, x: torch.Tensor, what: str) -> None:
    """Run a model on one sample, so that inputs of a wrong shape are told from defects of ours.

    Args:
        model: in eval mode.
        x: inputs ``[N, ...]``, or ``[T, N, ...]`` for a network without encoder.
        what: where they come from, for the message.

    Raises:
        ShapeError: the model's forward fails on them; torch's own message is quoted.
    """
    import torch

    over_time = takes_steps(model)
    with torch.no_grad():
        try:
            model(x[:1, :1] if over_time else x[:1])
        except Exception as error:
            of_shape = ShapeError if isinstance(error, SpikesimError) else (RuntimeError, ValueError, IndexError)
            if not isinstance(error, of_shape):
                raise
            form = "[T, N, ...]" if over_time else "[N, ...]"
            raise ShapeError(
                f"{type(model).__name__} fails on the inputs of {what}, {form} = {list(x.shape)}: "
                f"{str(error).splitlines()[0] if str(error) else type(error).__name__}; give inputs of the shape that "
                "it takes"
            ) from error


def _settings(texts: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()):
            raise ConfigError(f"--set: given '{text}', expected NAME=VALUE such as width=16")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:  # a bare word is a string
            found[name] = value
    return found
