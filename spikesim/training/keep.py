"""Which weights are kept: the best epoch by validation, and the last one to continue from."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from spikesim.errors import CheckpointError
from spikesim.training.weights import read_checkpoint
from spikesim.viz import write_bytes

SELECTION_RULE = "weights of the epoch with the highest validation accuracy, ties going to the lower validation loss"


class KeepCheckpoints(Checkpoint):
    """Write ``best.ckpt`` and ``last.ckpt`` at the end of every epoch.

    Both stand at epoch borders, never inside an epoch: a run that is continued from ``last.ckpt`` sees
    the same batches in the same order as an unbroken one. An interrupt therefore leaves the last
    completed epoch untouched, and costs the part of an epoch that followed it.

    Args:
        folder: receives the two files.
    """

    def __init__(self, folder: str | Path) -> None:
        self.best = Path(folder) / "best.ckpt"
        self.last = Path(folder) / "last.ckpt"
        self.best_epoch = 0  # counted from 1
        self.best_accuracy = -1.0
        self.best_loss = float("inf")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compare this epoch with the best so far, then save."""
        # weights_only=False asks Lightning for the optimiser and loops too; reading is a separate matter.
        accuracy = float(trainer.callback_metrics["val_accuracy"])
        loss = float(trainer.callback_metrics["val_loss"])
        better = (accuracy, -loss) > (self.best_accuracy, -self.best_loss)
        if better:
            self.best_epoch = trainer.current_epoch + 1
            self.best_accuracy, self.best_loss = accuracy, loss
            trainer.save_checkpoint(self.best, weights_only=False)
        trainer.save_checkpoint(self.last, weights_only=False)

    def state_dict(self) -> dict[str, Any]:
        """Give what a resumed run must know of the epochs before."""
        return {"epoch": self.best_epoch, "accuracy": self.best_accuracy, "loss": self.best_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best epoch so far."""
        self.best_epoch = state_dict["epoch"]
        self.best_accuracy = state_dict["accuracy"]
        self.best_loss = state_dict["loss"]


class SafeCheckpointIO(TorchCheckpointIO):
    """Write checkpoints whole or not at all, and read them without running code from them."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Serialise in memory, then rename into place."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_bytes(path, buffer.getvalue())

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint of this package.

        Raises:
            CheckpointError: the file is missing, damaged or was not written by ``spikesim train``.
        """
        return read_run_checkpoint(path)


def read_run_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint that ``spikesim train`` wrote, all of it.

    Raises:
        CheckpointError: the file is missing, damaged, or written by something else.
    """
    content = read_checkpoint(Path(path))
    needed = {"spikesim", "state_dict", "loops", "optimizer_states", "lr_schedulers"}
    if lacking := needed - set(content):
        raise CheckpointError(
            f"{path} was not written by `spikesim train` (it lacks {', '.join(sorted(lacking))}); "
            "give the folder of a run, or start one without --resume"
        )
    return content
