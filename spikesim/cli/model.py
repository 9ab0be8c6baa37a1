"""The model arguments that ``audit``, ``convert`` and ``energy`` share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikesim.errors import ConfigError, ShapeError, SpikesimError

if TYPE_CHECKING:
    from torch import nn

    from spikesim.cli.arrays import Arrays
    from spikesim.converters.inputs import Inputs

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="package.module:factory, found in the current folder too, or a network of spikesim by name "
        "(digits_cnn, conv_snn), or a folder written by spikesim convert --output, or a NIR graph (.nir).",
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
    list[str] | None,
    typer.Option(
        metavar="C,H,W",
        help="Shape of one input without batch (and time); random values are used. For a model of several inputs "
        "NAME=C,H,W, repeatedly.",
    ),
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
    if Path(name).is_dir() or Path(name).suffix.lower() == ".nir":
        return _load_network(Path(name), weights, settings)
    from spikesim.models import build
    from spikesim.training import load_weights

    model = build(name, **_settings(settings or []))
    if weights is not None:
        load_weights(model, weights)
    return model.eval()


def _load_network(path: Path, weights: Path | None, settings: list[str] | None) -> nn.Module:
    """A network that a folder or a NIR graph holds with its weights."""
    from spikesim.converters import from_nir, load_converted

    if weights is not None or settings:
        raise ConfigError(f"{path} is a network and holds its own weights; leave out --weights and --set")
    return (load_converted(path).network if path.is_dir() else from_nir(path)).eval()


def of_snntorch(model: nn.Module) -> nn.Module:
    """Layers of snnTorch as a network of the engine, with equal spikes; what steps through time itself, as it is."""
    from torch import nn

    from spikesim.converters import from_snntorch
    from spikesim.energy.foreign import foreign_neuron

    found = foreign_neuron(model)
    layers = isinstance(model, nn.Sequential) or (found is not None and found[0] == "(root)")
    return from_snntorch(model).eval() if layers and found is not None and found[1] == "snntorch" else model


def example_input(model: nn.Module, shape: list[str] | None, path: Path | None, samples: int = 2) -> Inputs:
    """Give inputs from a file, or uniform random values in 0 to 1 where only shapes are known.

    Raises:
        ConfigError: neither or both are given, or the file cannot be read.
        ShapeError: a shape is not a list of positive integers.
    """
    if (not shape) == (path is None):
        raise ConfigError("give example inputs: either --input-shape, such as 1,28,28, or --calibration FILE")
    if path is not None:
        return read_inputs(model, path).x
    from spikesim.converters.signature import required

    sizes, needed = parse_shape(shape or []), required(model)
    if len(needed) > 1 and not isinstance(sizes, dict):
        each = " ".join(f"--input-shape {name}=..." for name in needed)
        raise ShapeError(f"{type(model).__name__} takes {len(needed)} inputs, one shape is given: give {each}")
    return random_input(sizes, samples)


def random_input(sizes: list[int] | dict[str, list[int]], *lead: int) -> Inputs:
    """Uniform random values in 0 to 1, ``lead`` before the sizes of a sample; the same at every call."""
    import torch

    generator = torch.Generator().manual_seed(0)
    if isinstance(sizes, dict):
        return {name: torch.rand(*lead, *size, generator=generator) for name, size in sizes.items()}
    return torch.rand(*lead, *sizes, generator=generator)


def read_inputs(model: nn.Module, path: Path) -> Arrays:
    """The inputs of a model, and labels where there are any, from a file.

    Raises:
        ConfigError: the file cannot be read, or lacks what the model takes.
        ShapeError: its arrays do not fit together.
    """
    from spikesim.cli.arrays import read_arrays
    from spikesim.converters.signature import names_of, optional, required
    from spikesim.nn import Network

    if isinstance(model, Network):
        graph = getattr(model.module, "graph", None)
        return read_arrays(path, names_of(graph) if graph is not None else ())
    return read_arrays(path, required(model), optional(model))


def parse_shape(shapes: list[str]) -> list[int] | dict[str, list[int]]:
    """Read the values of ``--input-shape``: one shape, or several by name.

    Raises:
        ShapeError: one is not a list of positive integers, or several lack names.
    """
    found: dict[str, list[int]] = {}
    for text in shapes:
        name, _, shape = text.rpartition("=")
        try:
            sizes = [int(part) for part in shape.split(",")]
        except ValueError:
            sizes = []
        if not sizes or min(sizes) < 1:
            raise ShapeError(f"--input-shape: given '{text}', expected positive sizes such as 1,28,28")
        if name in found or (len(shapes) > 1 and not name):
            raise ShapeError(
                f"--input-shape: given '{text}' among {len(shapes)} shapes, expected each once and with the name "
                "of its input, such as image=1,28,28"
            )
        found[name] = sizes
    return found.get("", found)


def fitting(model: nn.Module, x: Inputs) -> Any:
    """Inputs as a model takes them: whole numbers where it looks tokens up, for files are read as fractions.

    Of several inputs those stay whole that are so in the file; none does where nothing is looked up.
    """
    import torch
    from torch import nn

    looks_up = any(isinstance(module, nn.Embedding) for module in model.modules())
    if isinstance(x, torch.Tensor):
        return x.long() if looks_up else x
    return (
        x if looks_up or not isinstance(x, dict) else {name: t.to(torch.get_default_dtype()) for name, t in x.items()}
    )


def takes_steps(model: nn.Module) -> bool:
    """Whether inputs are ``[T, N, ...]``: a network without encoder, unless it is an exact one, which knows its T."""
    from spikesim.converters.settling import SettlingNetwork
    from spikesim.nn import Network

    return isinstance(model, Network) and model.encoder is None and not isinstance(model, SettlingNetwork)


def check_takes(model: nn.Module, x: Inputs, what: str) -> None:
    """Run a model on one sample, so that inputs of a wrong shape are told from defects of ours.

    Args:
        model: in eval mode.
        x: inputs ``[N, ...]``, or ``[T, N, ...]`` for a network without encoder; several by name.
        what: where they come from, for the message.

    Raises:
        ShapeError: the model's forward fails on them; torch's own message is quoted.
    """
    import torch

    from spikesim.converters.inputs import each, first, sample_shapes
    from spikesim.converters.signature import Signature
    from spikesim.nn import Network

    over_time = takes_steps(model)
    some = each(lambda t: t[:1, :1], x) if over_time else first(x, 1)
    with torch.no_grad():
        try:
            if isinstance(model, Network):
                model(some)
            else:
                Signature.of(model, some).call(model, some)
        except Exception as error:
            of_shape = ShapeError if isinstance(error, SpikesimError) else (RuntimeError, ValueError, IndexError)
            if not isinstance(error, of_shape):
                raise
            form = "[T, N, ...]" if over_time else "[N, ...]"
            given = f"{form} = {list(x.shape)}" if isinstance(x, torch.Tensor) else f"samples of {sample_shapes(x)}"
            raise ShapeError(
                f"{type(model).__name__} fails on the inputs of {what}, {given}: "
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
