"""What is checked of a network's input before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spikesim.errors import DeviceError, ShapeError, TimestepsError


def time_and_samples(leaves: Sequence[Any]) -> tuple[Any, Any]:
    """T and N of inputs ``[T, N, ...]``.

    Raises:
        ShapeError: one of them has no such axes.
        TimestepsError: T is 0, or they disagree.

    >>> time_and_samples([torch.zeros(5, 2, 3)])
    (5, 2)
    """
    _check_leaves(leaves, 2, "[T, N, ...]")
    timesteps, samples = leaves[0].shape[:2]
    for leaf in leaves[1:]:
        if leaf.shape[0] != timesteps or leaf.shape[1] != samples:
            raise TimestepsError(
                f"inputs disagree about [T, N]: {(timesteps, samples)} and {tuple(leaf.shape[:2])}; every input needs "
                "the same"
            )
    if timesteps == 0:
        raise TimestepsError("the input has T = 0 time steps; give it at least one")
    return timesteps, samples


def samples_of(leaves: Sequence[Any]) -> Any:
    """N of static inputs ``[N, ...]``.

    Raises:
        ShapeError: one of them has no such axis.
        TimestepsError: they disagree.

    >>> samples_of([torch.zeros(2, 3)])
    2
    """
    _check_leaves(leaves, 1, "[N, ...]")
    samples = leaves[0].shape[0]
    for leaf in leaves[1:]:
        if leaf.shape[0] != samples:
            raise TimestepsError(f"inputs disagree about N: {samples} and {leaf.shape[0]}; every input needs the same")
    return samples


def _check_leaves(leaves: Sequence[Any], dims: int, form: str) -> None:
    if not leaves:
        raise ShapeError(f"the input holds no tensor; it must be {form}")
    for leaf in leaves:
        if not isinstance(leaf, Tensor) or leaf.dim() < dims:
            got = tuple(leaf.shape) if isinstance(leaf, Tensor) else type(leaf).__name__
            raise ShapeError(f"the input holds {got}, but every tensor must be {form}")


def check_finite(leaves: Sequence[Any]) -> None:
    """Raise ``ShapeError`` where an input holds NaN or infinity: a neuron that holds NaN is silent for good."""
    if torch.compiler.is_compiling():
        return
    for leaf in leaves:
        if isinstance(leaf, Tensor) and leaf.is_floating_point() and not bool(leaf.isfinite().all()):
            rows = (~leaf.isfinite()).flatten(1).any(1).nonzero().flatten().tolist() if leaf.dim() > 1 else []
            where = f" (samples {', '.join(map(str, rows[:5]))}{', ...' if len(rows) > 5 else ''})" if rows else ""
            raise ShapeError(
                f"the input of shape {tuple(leaf.shape)} holds NaN or infinity{where}, of which neurons make silence "
                "and the outputs would look sound; clean the data"
            )


def check_mask(mask: Tensor | None, timesteps: int, samples: int, device: torch.device) -> None:
    """Raise ``ShapeError`` unless ``mask`` is None or bool ``[T, N]``, ``DeviceError`` if the input is elsewhere."""
    if mask is None:
        return
    if not isinstance(mask, Tensor):
        raise ShapeError(f"mask is a {type(mask).__name__}, but it must be a torch.bool tensor [T, N]")
    if mask.dtype != torch.bool or tuple(mask.shape) != (timesteps, samples):
        raise ShapeError(
            f"mask is {mask.dtype} {tuple(mask.shape)}, but it must be torch.bool [T, N] = {(timesteps, samples)}"
        )
    if mask.device != device:
        raise DeviceError(f"mask is on {mask.device}, but the input on {device}; call mask.to({str(device)!r})")
