"""Pictures of a run that need nothing but its files: no recordings, no network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikesim.errors import ConfigError
from spikesim.training.metrics_csv import read_metrics
from spikesim.viz import (
    accuracy_over_time,
    confusion_matrix,
    firing_rates,
    png_bytes,
    rate_curves,
    training_curves,
    write_bytes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spikesim.training.evaluation import Evaluation

_RATE = "rate/"


def redraw(folder: str | Path, output: str | Path | None = None) -> list[Path]:
    r"""Draw the pictures of a run again.

    Those over epochs come from ``metrics.csv``, also while the run is under way; those of the test recordings from
    ``result.json``, if it is finished.

    Args:
        folder: of the run.
        output: folder that receives the PNG files; that of the run by default.

    Returns:
        The files.

    Raises:
        ConfigError: the folder holds no metrics, or they are incomplete.
        CheckpointError: the metrics are damaged.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.training import redraw
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     columns = "epoch,train_loss,train_accuracy,val_loss,val_accuracy,rate/1"
        ...     _ = (Path(folder) / "metrics.csv").write_text(columns + "\n1,2.3,0.1,2.2,0.2,0.05\n")
        ...     [path.name for path in redraw(folder)]
        ['curves.png', 'rate_curves.png']
    """
    folder = Path(folder)
    metrics = folder / "metrics.csv"
    if not metrics.is_file():
        raise ConfigError(f"{metrics} does not exist; give the folder of a run of which one epoch is complete")
    try:
        figures = over_epochs(read_metrics(metrics))
    except (KeyError, ValueError, IndexError) as error:
        raise ConfigError(f"{metrics} is not the log of a run ({error!r}); give the folder of one") from error
    figures |= _of_result(folder / "result.json")
    place = folder if output is None else Path(output)
    for name, figure in figures.items():
        write_bytes(place / name, png_bytes(figure))
    return [place / name for name in figures]


def over_epochs(rows: Sequence[Mapping[str, str]]) -> dict[str, Figure]:
    """Losses, accuracies and firing rates over epochs, as figures by file name.

    Args:
        rows: of ``metrics.csv``, at least one.
    """
    column = {name: [float(row[name]) for row in rows] for name in rows[0]}
    epochs = [int(epoch) for epoch in column["epoch"]]
    accuracy, loss = column["val_accuracy"], column["val_loss"]
    best = max(range(len(rows)), key=lambda k: (accuracy[k], -loss[k]))  # as KeepCheckpoints selects
    figures = {
        "curves.png": training_curves(
            epochs,
            {"training": column["train_loss"], "validation": loss},
            {"training": column["train_accuracy"], "validation": accuracy},
            epochs[best],
        )
    }
    rates = {name.removeprefix(_RATE): values for name, values in column.items() if name.startswith(_RATE)}
    if rates:
        figures["rate_curves.png"] = rate_curves(epochs, rates)
    return figures


def of_test(tested: Evaluation, classes: Sequence[str]) -> dict[str, Figure]:
    """What was measured on the test recordings, as figures by file name."""
    return _tested(tested.confusion, classes, tested.rates, tested.accuracy_at)


def _tested(
    confusion: Sequence[Sequence[int]], classes: Sequence[str], rates: Mapping[str, float], at: Sequence[float]
) -> dict[str, Figure]:
    return {
        "accuracy.png": accuracy_over_time(range(1, len(at) + 1), {"test recordings": at}),
        "confusion.png": confusion_matrix(confusion, classes),
        "rates.png": firing_rates(rates),
    }


def _of_result(path: Path) -> dict[str, Figure]:
    if not path.is_file():
        return {}
    try:
        content: Any = json.loads(path.read_text())
        return _tested(content["confusion"], content["classes"], content["rates"], content["accuracy_at"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is damaged ({error!r}); delete it and resume the run: the result is measured again"
        ) from error
