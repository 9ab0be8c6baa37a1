"""A run measured again: on its own recordings, or on others of the same kind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikesim.errors import ConfigError
from spikesim.training.evaluation import Evaluation, evaluate
from spikesim.training.settings import reproducible

if TYPE_CHECKING:
    import torch

    from spikesim.training.data import EventDataModule
    from spikesim.training.restore import TrainedRun


@dataclass(frozen=True)
class Measured:
    """What :func:`evaluate_run` found.

    Attributes:
        evaluation: accuracy, loss, rates and the rest.
        recordings: the folder.
        split: digest of its split.
        rule: how the split was made, in words.
        trained_on: digest of the split that the run names in ``result.json``, None where there is none.
    """

    evaluation: Evaluation
    recordings: Path
    split: str
    rule: str
    trained_on: str | None


def evaluate_run(
    run: TrainedRun, recordings: str | Path | None = None, part: str = "test", device: str | torch.device = "cpu"
) -> Measured:
    """Measure the weights of a run.

    Args:
        run: as :func:`load_run` gives it.
        recordings: a folder in the layout of the run's own, which are taken by default.
        part: "test", "validation" or "training" of the split, made as for training.
        device: where the network is.

    Raises:
        ConfigError: the recordings have other classes or another sensor than those of the run, or an unknown part.
        DatasetError: they are missing.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import generate_ndigits
        >>> from spikesim.training import TrainConfig, evaluate_run, load_run, train
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     data = generate_ndigits(Path(folder) / "ndigits", samples=60)
        ...     settings = {"width": 2, "timesteps": 3, "epochs": 1, "val_fraction": 0.25, "device": "cpu"}
        ...     result = train(TrainConfig(data=data, out=f"{folder}/run", **settings))
        ...     again = evaluate_run(load_run(result.folder))
        >>> again.evaluation.accuracy == result.test_accuracy, again.split == again.trained_on
        (True, True)
    """
    from spikesim.training.data import EventDataModule

    parts = ("test", "validation", "training")
    if part not in parts:
        raise ConfigError(f"part is {part!r}; expected one of {', '.join(parts)}")
    config = run.config if recordings is None else run.config.but(data=Path(recordings))
    with reproducible(config.seed, config.threads):
        data = EventDataModule(config)
        data.setup()
        _check_fits(run, data)
        found = evaluate(run.network, data.part(part), device)
    return Measured(found, config.data, data.digest, data.rule, _trained_on(run.checkpoint))


def _check_fits(run: TrainedRun, data: EventDataModule) -> None:
    if data.classes != run.classes:
        raise ConfigError(
            f"data: {data.config.data} has {len(data.classes)} classes ({_some(data.classes)}), but {run.checkpoint} "
            f"names {len(run.classes)} ({_some(run.classes)}); give recordings of the same classes"
        )
    if tuple(data.shape) != run.shape:
        raise ConfigError(
            f"data: the frames of {data.config.data} are {_frame(data.shape)}, but {run.checkpoint} was trained on "
            f"{_frame(run.shape)}; give recordings of the same sensor, or crop or scale these with "
            "spikesim.datasets.transforms"
        )


def _some(names: tuple[str, ...], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _frame(shape: Any) -> str:
    polarities, height, width = shape
    return f"{width} x {height} pixels of {polarities} polarities"


def _trained_on(checkpoint: Path) -> str | None:
    path = checkpoint.parent.parent / "result.json"
    try:
        split = json.loads(path.read_text())["split"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a checkpoint by itself, or a run that is not finished
    return str(split)
