"""``spikesim energy``: what a network would use per inference, beside its baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikesim.cli.model import InputShape, JsonPath, ModelName, Settings, Weights
from spikesim.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import nn


def energy(
    model: ModelName,
    weights: Weights = None,
    settings: Settings = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Inputs: .npz, .npy or .safetensors with the array x.")
    ] = None,
    input_shape: InputShape = None,
    recordings: Annotated[
        Path | None, typer.Option(help="Inputs: the test recordings of a folder, for an event network.")
    ] = None,
    timesteps: Annotated[
        int | None,
        typer.Option(
            help="T. With recordings: frames of each (default 10). With an ANN: convert it first, for so many steps.",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[int, typer.Option(help="Use at most so many inputs.")] = 64,
    kind: Annotated[
        str, typer.Option("--input", help="What the array x holds: analog values, or events (whole counts).")
    ] = "analog",
    fold: Annotated[
        bool, typer.Option("--fold/--no-fold", help="Count batch-norm as part of the weights before it.")
    ] = True,
    profile: Annotated[str, typer.Option(help="Hardware profile: a name or a TOML file.")] = "horowitz45-fp32",
    json_path: JsonPath = None,
) -> None:
    """Count operations per layer and price them, beside a dense and a zero-skipping ANN.

    Energies are joules per inference. A spiking network takes inputs [T, N, ...] (or [N, ...] with an
    encoder), an ANN [N, ...]; with --timesteps an ANN is converted and set beside itself.

    Example: spikesim energy conv_snn --weights runs/nmnist/checkpoints/best.ckpt --recordings NMNIST
    """
    from spikesim.cli.model import load_model
    from spikesim.energy import energy_report
    from spikesim.models import fold_batchnorm
    from spikesim.nn import Network

    if kind not in ("analog", "events"):
        raise ConfigError(f"--input: given '{kind}', expected analog or events")
    loaded = load_model(model, weights, settings)
    options: dict[str, Any] = {"input": kind, "profile": profile}
    if recordings is not None:
        if calibration is not None or input_shape is not None:
            raise ConfigError("give one kind of input: --recordings, --calibration or --input-shape")
        x = _frames(recordings, 10 if timesteps is None else timesteps, samples)
        options["input"] = "events"
    else:
        x = _inputs(loaded, input_shape, calibration, samples)
        if timesteps is not None:
            if isinstance(loaded, Network):
                raise ConfigError("--timesteps converts an ANN, but the model is a spiking network already")
            from spikesim.converters import convert

            options["ann"] = fold_batchnorm(loaded) if fold else loaded
            loaded = convert(loaded, x, timesteps=timesteps).network
    report = energy_report(fold_batchnorm(loaded) if fold else loaded, x, **options)
    report.show()
    if json_path is not None:
        report.save(json_path)


def _inputs(model: nn.Module, shape: str | None, path: Path | None, samples: int) -> torch.Tensor:
    from spikesim.cli.model import example_input
    from spikesim.nn import Network

    x = example_input(shape, path, samples=min(samples, 8))
    over_time = isinstance(model, Network) and model.encoder is None
    return x[:, :samples] if over_time else x[:samples]


def _frames(folder: Path, timesteps: int, samples: int) -> torch.Tensor:
    import torch

    from spikesim.datasets import Frames, load_nmnist, random_split

    recordings = load_nmnist(folder).test
    share = min(1.0, samples / len(recordings))
    chosen = random_split(recordings.labels, (share, 1 - share), seed=0).parts[0]  # of every class
    frames = Frames(timesteps)
    return torch.stack([torch.from_numpy(frames(recordings[int(i)][0])) for i in chosen], dim=1)
