"""Augmentation of frames, seeded by sample and epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spikesim.errors import ConfigError

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Takes one sample, uint8 ``[T, C, H, W]``, and a generator; returns a sample of the same kind.

:func:`event_loader` seeds the generator by (seed, epoch, index), so that workers, order and batch
size do not matter. The sample belongs to the dataset: return a new tensor, do not change it.
"""


@dataclass(frozen=True)
class RandomShift:
    """Move a sample by up to so many pixels along each axis, the same for all its time steps.

    What leaves the frame is lost; what comes in is empty.

    Args:
        max_pixels: largest shift along each axis, 0 or more.

    Raises:
        ConfigError: ``max_pixels`` is negative.

    Example:
        >>> import torch
        >>> from spikesim.datasets import RandomShift
        >>> frames = torch.ones(1, 1, 3, 3, dtype=torch.uint8)
        >>> moved = RandomShift(1)(frames, torch.Generator().manual_seed(0))
        >>> moved.shape, int(moved.sum()) in (4, 6, 9)
        (torch.Size([1, 1, 3, 3]), True)
    """

    max_pixels: int

    def __post_init__(self) -> None:
        if self.max_pixels < 0:
            raise ConfigError(f"max_pixels is {self.max_pixels}; expected 0 or more")

    def __call__(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """Return a shifted copy of ``frames`` ``[T, C, H, W]``."""
        reach = self.max_pixels
        down, right = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
        moved = torch.zeros_like(frames)
        height, width = frames.shape[-2:]
        to_rows, from_rows = _overlap(down, height)
        to_columns, from_columns = _overlap(right, width)
        moved[..., to_rows, to_columns] = frames[..., from_rows, from_columns]
        return moved


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Where the kept part lands, and where it comes from, along one axis."""
    kept = max(size - abs(shift), 0)
    ahead, behind = max(shift, 0), max(-shift, 0)
    return slice(ahead, ahead + kept), slice(behind, behind + kept)
