"""``spikesim train``: flags onto :class:`spikesim.training.TrainConfig`, nothing more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spikesim.errors import ConfigError
from spikesim.training.config import TrainConfig

_UNSET = {"threads": "torch's own choice"}


def _flag(name: str) -> Any:
    """Describe a setting once: help and default are those of the configuration."""
    field = TrainConfig.model_fields[name]
    default = _UNSET.get(name, "") if field.default is None else str(field.default)
    return typer.Option(help=f"{field.description} {default and f'Default: {default}.'}".rstrip(), show_default=False)


def train(
    data: Annotated[
        Path | None, typer.Argument(help=TrainConfig.model_fields["data"].description, show_default=False)
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings in a TOML file; flags replace single ones.", show_default=False),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Continue the run in this folder, with its own settings.", show_default=False),
    ] = None,
    dataset: Annotated[str | None, _flag("dataset")] = None,
    protocol: Annotated[str | None, _flag("protocol")] = None,
    out: Annotated[Path | None, _flag("out")] = None,
    model: Annotated[str | None, _flag("model")] = None,
    width: Annotated[int | None, _flag("width")] = None,
    tau: Annotated[float | None, _flag("tau")] = None,
    timesteps: Annotated[int | None, _flag("timesteps")] = None,
    frames: Annotated[str | None, _flag("frames")] = None,
    epochs: Annotated[int | None, _flag("epochs")] = None,
    batch_size: Annotated[int | None, _flag("batch_size")] = None,
    accumulate: Annotated[int | None, _flag("accumulate")] = None,
    loss: Annotated[str | None, _flag("loss")] = None,
    rule: Annotated[str | None, _flag("rule")] = None,
    label_smoothing: Annotated[float | None, _flag("label_smoothing")] = None,
    rate_penalty: Annotated[float | None, _flag("rate_penalty")] = None,
    rate_low: Annotated[float | None, _flag("rate_low")] = None,
    rate_high: Annotated[float | None, _flag("rate_high")] = None,
    synop_penalty: Annotated[float | None, _flag("synop_penalty")] = None,
    optimizer: Annotated[str | None, _flag("optimizer")] = None,
    lr: Annotated[float | None, _flag("lr")] = None,
    weight_decay: Annotated[float | None, _flag("weight_decay")] = None,
    clip: Annotated[float | None, _flag("clip")] = None,
    ema: Annotated[float | None, _flag("ema")] = None,
    patience: Annotated[int | None, _flag("patience")] = None,
    precision: Annotated[str | None, _flag("precision")] = None,
    compile: Annotated[bool | None, _flag("compile")] = None,
    warmup: Annotated[float | None, _flag("warmup")] = None,
    shift: Annotated[int | None, _flag("shift")] = None,
    val_fraction: Annotated[float | None, _flag("val_fraction")] = None,
    seed: Annotated[int | None, _flag("seed")] = None,
    workers: Annotated[int | None, _flag("workers")] = None,
    tensorboard: Annotated[bool | None, _flag("tensorboard")] = None,
    threads: Annotated[int | None, _flag("threads")] = None,
    device: Annotated[str | None, _flag("device")] = None,
    devices: Annotated[int | None, _flag("devices")] = None,
    strategy: Annotated[str | None, _flag("strategy")] = None,
    sync_batchnorm: Annotated[bool | None, _flag("sync_batchnorm")] = None,
) -> None:
    """Train a spiking network on event-camera recordings.

    The weights are selected on a validation split of the training recordings; the test recordings are
    used once, at the end. Ctrl-C keeps the last completed epoch and says how to continue.

    Example: spikesim train data --dataset nmnist --timesteps 10 --epochs 25 --out runs/nmnist
    """
    given: dict[str, Any] = {name: value for name, value in locals().items() if value is not None}
    given.pop("resume", None)
    given.pop("config", None)
    if resume is not None and config is not None:
        raise ConfigError("--resume continues a run with its own settings; leave out --config")
    if resume is not None and given:
        flags = ", ".join("DATA" if name == "data" else f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError(f"--resume continues a run with its own settings; leave out {flags}")
    if resume is None and data is None and config is None:
        raise ConfigError("no recordings given; give their folder, --config, or --resume with the folder of a run")
    _run(resume, config, given)


def _run(folder: Path | None, file: Path | None, given: dict[str, Any]) -> None:
    from rich.console import Console

    from spikesim import training
    from spikesim.training.ranks import place

    quiet = not place().first  # of several processes under torchrun one speaks
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, quiet=quiet)
    try:
        if folder is not None:
            result = training.resume(folder, progress=True)
        else:
            config = training.read_config(file, **given) if file is not None else training.TrainConfig(**given)
            errors.print(
                f"training {config.model} on {config.data}: T={config.timesteps} ({config.frames}), "
                f"{config.epochs} epochs, batch {config.batch_size}, seed {config.seed}, into {config.out}"
            )
            if changed := [f"{name} = {value}" for name, value in config.changed().items()]:
                errors.print("also set: " + ", ".join(changed))
            result = training.train(config, progress=True)
    except training.TrainingInterrupted as interrupt:
        errors.print(
            f"\nInterrupted; completed epochs are kept. Continue with:\n{interrupt.command}",
        )
        raise typer.Exit(130) from interrupt
    samples = ", ".join(f"{count} {name}" for name, count in result.samples.items())
    Console(soft_wrap=True, highlight=False, markup=False, quiet=quiet).print(
        f"test accuracy {100 * result.test_accuracy:.2f} %"
        f" (validation {100 * result.val_accuracy:.2f} %, epoch {result.best_epoch} of {result.epochs})\n"
        f"split {result.split}: {samples}; {result.seconds:.0f} s\n"
        f"everything about the run: {result.folder}/README.md"
    )
