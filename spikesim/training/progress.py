"""What a person sees while a network trains: a bar for the running epoch, a line for each done."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as lightning
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class EpochLines(lightning.Callback):
    """Print a line per epoch; on a terminal, also a live bar over its batches.

    Args:
        console: where to print; standard error by default, so that results can be piped.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: Any = None
        self._started = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Open the bar of this epoch."""
        self._started = time.perf_counter()
        if not (self.console.is_terminal and trainer.is_global_zero):
            return
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        self._bar.start()
        epoch = f"{trainer.current_epoch + 1}/{trainer.max_epochs}"
        self._task = self._bar.add_task("train", total=trainer.num_training_batches, epoch=epoch, loss="-")

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, advance=1, loss=f"{float(outputs['loss']):.3f}")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Close the bar and print the line of this epoch."""
        self._close()
        if not trainer.is_global_zero:
            return
        metric = trainer.callback_metrics
        rates = [float(value) for name, value in metric.items() if name.startswith("rate/")]
        firing = f"   firing {min(rates):.3f} to {max(rates):.3f}" if rates else ""
        self.console.print(
            f"epoch {trainer.current_epoch + 1:>3}/{trainer.max_epochs}"
            f"   loss {float(metric['train_loss']):.3f}"
            f"   train {100 * float(metric['train_accuracy']):5.1f} %"
            f"   validation {100 * float(metric['val_accuracy']):5.1f} %{firing}"
            f"   {time.perf_counter() - self._started:.1f} s",
            highlight=False,
        )

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Leave the terminal as it was."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
