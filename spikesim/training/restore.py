"""A trained network from the folder of its run, or from a checkpoint alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikesim.errors import CheckpointError, ConfigError
from spikesim.training.config import TrainConfig
from spikesim.training.weights import load_weights, read_checkpoint

if TYPE_CHECKING:
    import torch

    from spikesim.nn import Network

SCHEMA = 2
"""Of what `spikesim train` stores beside the weights; 2 has the classes and the frame."""


@dataclass(frozen=True)
class TrainedRun:
    """A network with the weights of a run.

    Attributes:
        checkpoint: where the weights came from.
        config: the settings of the run.
        network: in evaluation mode.
        classes: the name of each class.
        shape: ``[P, H, W]`` of the frames it was trained on.
    """

    checkpoint: Path
    config: TrainConfig
    network: Network
    classes: tuple[str, ...]
    shape: tuple[int, int, int]


def load_run(path: str | Path, device: str | torch.device = "cpu") -> TrainedRun:
    """Load the network of a run.

    Args:
        path: the folder of a run, whose selected weights are taken (``checkpoints/best.ckpt``), or one of its
            checkpoints.
        device: where the network shall be.

    Raises:
        ConfigError: the folder holds no run, or its model cannot be built here.
        CheckpointError: the checkpoint is missing, damaged, of another schema, or does not fit the model.

    Example:
        >>> from spikesim.training import load_run
        >>> load_run("no/such/run")
        Traceback (most recent call last):
        spikesim.errors.ConfigError: no/such/run does not exist; ...
    """
    from spikesim.training.assemble import network_of

    checkpoint = _checkpoint(Path(path))
    config, classes, shape = _described(checkpoint, read_checkpoint(checkpoint))
    network = network_of(config, shape, len(classes))
    load_weights(network, checkpoint)
    return TrainedRun(checkpoint, config, network.to(device).eval(), classes, shape)


def _checkpoint(path: Path) -> Path:
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give the folder of a run of `spikesim train`, or its checkpoint")
    if not path.is_dir():
        return path
    best = path / "checkpoints" / "best.ckpt"
    if best.is_file():
        return best
    if (path / "config.json").is_file():
        raise ConfigError(
            f"{path} holds a run that has not completed an epoch; continue it with `spikesim train --resume {path}`"
        )
    raise ConfigError(f"{path} holds no run: there is no {best}; give the folder that `spikesim train --out` wrote")


def _described(checkpoint: Path, content: dict[str, Any]) -> tuple[TrainConfig, tuple[str, ...], tuple[int, int, int]]:
    about = content.get("spikesim")
    if not isinstance(about, dict):
        raise CheckpointError(
            f"{checkpoint} was not written by `spikesim train`: it does not say what network it belongs to; weights "
            "from elsewhere go into a network with spikesim.training.load_weights"
        )
    if about.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{checkpoint} has schema {about.get('schema')!r}, written by spikesim {about.get('version', 'unknown')}, "
            f"but this version reads schema {SCHEMA}: "
            + (
                "older ones do not name the classes and the sensor. The command in the run's README.md repeats it"
                if about.get("schema") == 1
                else "use the version that wrote it"
            )
        )
    try:
        config = TrainConfig(**json.loads(about["config"]))
        classes, shape = tuple(map(str, about["classes"])), tuple(map(int, about["shape"]))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{checkpoint} is damaged ({error!r}); give another, such as last.ckpt") from error
    if len(shape) != 3:
        raise CheckpointError(f"{checkpoint} is damaged: its frames have the shape {shape}; expected [P, H, W]")
    return config, classes, shape
