"""Early stop that holds for a run which is continued."""

from __future__ import annotations

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import EarlyStopping


class Patience(EarlyStopping):
    """Stop after so many epochs without a higher validation accuracy.

    A run that was killed between its last epoch and its test trains no further when it is continued.

    Args:
        epochs: how many.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__("val_accuracy", mode="max", patience=epochs, verbose=False)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop at once where the checkpoint says that patience had run out."""
        super().on_train_start(trainer, pl_module)
        if self.wait_count >= self.patience:
            trainer.should_stop = True
