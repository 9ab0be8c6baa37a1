"""What a finished run leaves behind for people and programs."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikesim.errors import ConfigError
from spikesim.training.pictures import COUNTED, PICTURES, write_pictures
from spikesim.training.redrawing import over_epochs
from spikesim.viz import png_bytes, write_bytes, write_text

if TYPE_CHECKING:
    from spikesim.nn import Network
    from spikesim.training.config import TrainConfig
    from spikesim.training.data import EventDataModule
    from spikesim.training.evaluation import Evaluation

_PACKAGES = ("spikesim", "torch", "lightning", "numba", "numpy")


@dataclass(frozen=True)
class TrainResult:
    """The outcome of a run.

    Args:
        folder: where everything about the run lies.
        test_accuracy: share of test recordings named rightly by the selected weights.
        val_accuracy: the same on the validation split, which selected them.
        best_epoch: the epoch whose weights were selected, from 1.
        epochs: epochs trained.
        seconds: wall time of all of it.
        samples: recordings per split.
        split: digest of the split, equal for equal splits.
        rates: spikes per neuron and time step on the test split, per layer.
        parameters: trainable numbers.
        accuracy_at: test accuracy that each number of time steps would give, for t = 1..T.
        calibration_error: expected difference between confidence and accuracy on the test recordings.
    """

    folder: Path
    test_accuracy: float
    val_accuracy: float
    best_epoch: int
    epochs: int
    seconds: float
    samples: dict[str, int]
    split: str
    rates: dict[str, float]
    parameters: int
    accuracy_at: tuple[float, ...] = ()
    calibration_error: float = float("nan")

    @property
    def best_checkpoint(self) -> Path:
        """The selected weights."""
        return self.folder / "checkpoints" / "best.ckpt"


def write_record(
    config: TrainConfig,
    data: EventDataModule,
    network: Network,
    tested: Evaluation,
    best_epoch: int,
    val_accuracy: float,
    seconds: float,
) -> TrainResult:
    """Write the pictures, ``README.md`` and, last, ``result.json``, which marks a finished run."""
    from spikesim.training.keep import SELECTION_RULE
    from spikesim.training.metrics_csv import read_metrics

    rows = read_metrics(config.out / "metrics.csv")
    result = TrainResult(
        folder=config.out,
        test_accuracy=tested.accuracy,
        val_accuracy=val_accuracy,
        best_epoch=best_epoch,
        epochs=len(rows),  # fewer than asked for where the run stopped early
        seconds=seconds,
        samples=data.samples,
        split=data.digest,
        rates=tested.rates,
        parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        accuracy_at=tested.accuracy_at,
        calibration_error=tested.calibration_error,
    )
    for name, figure in over_epochs(rows).items():
        write_bytes(config.out / name, png_bytes(figure))
    device = next(network.parameters()).device
    batch = data.test_sample(COUNTED).to(device)
    energy = write_pictures(config.out, network, batch, tested, data.classes, f"test recordings of {config.data.name}")
    write_text(config.out / "README.md", _readme(config, result, data.rule, SELECTION_RULE, energy))
    content = {
        "schema": 1,
        **{name: value for name, value in asdict(result).items() if name != "folder"},
        "split_rule": data.rule,
        "selection_rule": SELECTION_RULE,
        "seed": config.seed,
        "test_loss": tested.loss,
        "confusion": tested.confusion,
        "classes": data.classes,
        "versions": _versions(),
    }
    write_text(config.out / "result.json", json.dumps(content, indent=2) + "\n")
    return result


def read_result(folder: str | Path) -> TrainResult:
    """Read the outcome of a finished run.

    Raises:
        ConfigError: ``result.json`` is damaged.
    """
    path = Path(folder) / "result.json"
    try:
        content = json.loads(path.read_text())
        fields = {name: content[name] for name in TrainResult.__dataclass_fields__ if name != "folder"}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} is damaged ({error}); delete it and resume: the result is measured again") from error
    fields["accuracy_at"] = tuple(fields["accuracy_at"])
    return TrainResult(folder=Path(folder), **fields)


def command(config: TrainConfig) -> str:
    """Give the command line that repeats a run from its settings.

    Example:
        >>> from spikesim.training import TrainConfig
        >>> from spikesim.training.record import command
        >>> command(TrainConfig(data="recordings", out="runs/a", epochs=5))
        'spikesim train recordings --out runs/a --epochs 5'
    """
    import shlex

    from spikesim.training.config import TrainConfig as Defaults

    words = ["spikesim", "train", str(config.data)]
    for name, field in Defaults.model_fields.items():
        value = getattr(config, name)
        if name != "data" and value != field.default:
            flag = name.replace("_", "-")
            words += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return shlex.join(words)


def _versions() -> dict[str, Any]:
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def _readme(config: TrainConfig, result: TrainResult, split_rule: str, selection_rule: str, energy: str) -> str:
    pictures = "\n".join(f"| `{name}` | {about} |" for name, about in PICTURES.items())
    samples = ", ".join(f"{count} {name}" for name, count in result.samples.items())
    rates = "\n".join(f"| {layer} | {rate:.4f} |" for layer, rate in result.rates.items())
    return f"""# A run of `spikesim train`

Test accuracy **{100 * result.test_accuracy:.2f} %** with the weights of epoch {result.best_epoch} \
(validation {100 * result.val_accuracy:.2f} %), {result.epochs} epochs in {result.seconds:.0f} s.

- Data: `{config.data}`: {samples} recordings. {split_rule}. Split digest `{result.split}`.
- Selection: {selection_rule}. The test recordings were used once, after training.
- Network: `{config.model}`, {result.parameters} parameters.
- T = {config.timesteps} frames of equal {config.frames}.
- Seed {config.seed}.
- Expected calibration error on the test recordings {100 * result.calibration_error:.1f} %.
- Energy: {energy}

| spiking layer | spikes per neuron and time step |
|---|---|
{rates}

Repeat it:

```
{command(config)}
```

| file | content |
|---|---|
| `config.json` | every setting |
| `metrics.csv`, `curves.png` | one row per epoch, and its picture |
{pictures}
| `result.json` | everything above in numbers |
| `checkpoints/best.ckpt` | the selected weights |
| `checkpoints/last.ckpt` | what `--resume` needs |
"""
