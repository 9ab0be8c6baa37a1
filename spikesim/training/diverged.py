"""The state that gave a NaN loss, kept for whoever looks for the reason."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from spikesim.viz import write_bytes

if TYPE_CHECKING:
    from spikesim.datasets import EventBatch

NAME = "diverged.ckpt"


def save_diverged(path: Path, weights: dict[str, Any], batch: EventBatch, about: dict[str, Any]) -> Path:
    """Write weights and batch, whole or not at all; ``torch.load(path, weights_only=True)`` reads them.

    The file holds ``state_dict`` (names as in a checkpoint, so that :func:`load_weights` and :func:`load_run` take it),
    ``batch`` (``x``, ``y``, ``lengths`` and, where there is one, ``mask``) and ``spikesim``: settings, epoch, index of
    the batch, loss and the state of the random generator.

    Args:
        path: the file.
        weights: as they were when the batch came in.
        batch: that gave the loss.
        about: numbers, strings and tensors.
    """
    tensors = {"x": batch.x, "y": batch.y, "lengths": batch.lengths}
    if batch.mask is not None:
        tensors["mask"] = batch.mask
    buffer = io.BytesIO()
    torch.save({"state_dict": weights, "batch": {k: v.cpu() for k, v in tensors.items()}, "spikesim": about}, buffer)
    return write_bytes(path, buffer.getvalue())
