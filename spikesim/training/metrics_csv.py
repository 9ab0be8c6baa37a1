"""The log of a run: one CSV row per epoch, valid after every epoch."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import lightning.pytorch as lightning

from spikesim.errors import CheckpointError
from spikesim.viz import write_text


class MetricsCsv(lightning.Callback):
    """Write every logged metric to ``metrics.csv``, with the epoch, its learning rate and its seconds.

    Epochs are counted from 1. A resumed run keeps the rows of the epochs that it does not repeat.

    Args:
        path: the CSV file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._rows: list[dict[str, str]] = []
        self._started = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take over the rows of the epochs before a resumed one."""
        if self.path.exists():
            self._rows = [row for row in read_metrics(self.path) if int(row["epoch"]) <= trainer.current_epoch]

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add the row of this epoch."""
        row = {"epoch": str(trainer.current_epoch + 1)}
        row["lr"] = f"{trainer.optimizers[0].param_groups[0]['lr']:.6g}"
        metrics = sorted(trainer.callback_metrics.items(), key=lambda item: item[0].startswith("rate/"))
        row |= {name: f"{float(value):.6g}" for name, value in metrics}
        row["seconds"] = f"{time.perf_counter() - self._started:.2f}"
        self._rows.append(row)
        if not trainer.is_global_zero:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(row), restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self._rows)
        write_text(self.path, text.getvalue())


def read_metrics(path: str | Path) -> list[dict[str, str]]:
    r"""Read the rows of a ``metrics.csv``, in order of epochs.

    Raises:
        CheckpointError: a row is cut short or is no row of a run.

    Example:
        >>> import tempfile
        >>> from spikesim.training.metrics_csv import read_metrics
        >>> with tempfile.NamedTemporaryFile("w+", suffix=".csv") as file:
        ...     _ = file.write("epoch,val_loss\n1,0.5\n")
        ...     file.flush()
        ...     read_metrics(file.name)
        [{'epoch': '1', 'val_loss': '0.5'}]
    """
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        values = [v for k, v in row.items() if k is not None]
        if None in row or not all(isinstance(v, str) for v in values) or not str(row.get("epoch", "")).isdigit():
            raise CheckpointError(
                f"{path} is damaged at the row {list(values)}; start the run anew, its seed repeats it"
            )
    return rows
