"""Augmentation of frames, seeded by sample and epoch, on whole batches where that is possible."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikesim.datasets.counter import uniforms_at
from spikesim.datasets.transforms.base import EventTransform
from spikesim.datasets.transforms.settings import check_probability, check_whole
from spikesim.errors import ConfigError

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Takes one sample ``[T, C, H, W]`` and a generator; returns a sample of the same kind.

:func:`event_loader` seeds the generator by (seed, epoch, index), so that workers, order and batch
size do not matter. The sample belongs to the dataset: return a new tensor, do not change it.
"""


@runtime_checkable
class BatchAugment(Protocol):
    """An augmentation that takes a whole batch: what :func:`event_loader` calls where there is one.

    Whatever it draws for a sample must follow from that sample's key alone
    (:func:`spikesim.datasets.counter.uniforms_at`), and frames of zeros must stay zeros, since padding is.
    """

    def on_batch(self, x: Tensor, keys: NDArray[np.uint64]) -> Tensor:
        """Return new frames.

        Args:
            x: ``[T, N, C, H, W]``, on the CPU and contiguous, which must not be changed.
            keys: one for each sample, ``[N]``; a hash of (seed, epoch, index).
        """
        ...


class FrameAugment:
    """Base of the augmentations here: a :class:`BatchAugment` that takes single samples, too."""

    def on_batch(self, x: Tensor, keys: NDArray[np.uint64]) -> Tensor:
        """See :class:`BatchAugment`."""
        raise NotImplementedError

    def __call__(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """Return new frames of one sample ``[T, C, H, W]``."""
        key = torch.randint(2**62, (1,), generator=generator).numpy().astype(np.uint64)
        return self.on_batch(frames[:, None], key)[:, 0]


@dataclass(frozen=True)
class RandomShift(FrameAugment):
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
        check_whole("max_pixels", self.max_pixels, 0)

    def on_batch(self, x: Tensor, keys: NDArray[np.uint64]) -> Tensor:
        """Return a shifted copy of ``x`` ``[T, N, C, H, W]``."""
        moved = torch.zeros_like(x)
        # NumPy's slices cost a third of torch's.
        source, target = x.numpy(), moved.numpy()
        reach = range(-self.max_pixels, self.max_pixels + 1)
        rows, columns = ([_overlap(shift, size) for shift in reach] for size in x.shape[-2:])
        for n, (down, right) in enumerate(np.floor(uniforms_at(keys, 2) * len(reach)).astype(np.int64).tolist()):
            (to_rows, from_rows), (to_columns, from_columns) = rows[down], columns[right]
            target[:, n, :, to_rows, to_columns] = source[:, n, :, from_rows, from_columns]
        return moved


@dataclass(frozen=True)
class RandomMirror(FrameAugment):
    """Mirror a sample, all its time steps alike, with a probability.

    Args:
        p: the probability.
        axis: "x" exchanges left and right, "y" top and bottom.

    Raises:
        ConfigError: ``p`` is no probability, or another axis.

    Example:
        >>> import torch
        >>> from spikesim.datasets import RandomMirror
        >>> frames = torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8)
        >>> RandomMirror(p=1.0)(frames, torch.Generator()).tolist()
        [[[[3, 2, 1]]]]
    """

    p: float = 0.5
    axis: Literal["x", "y"] = "x"

    def __post_init__(self) -> None:
        check_probability("p", self.p)
        if self.axis not in ("x", "y"):
            raise ConfigError(f"axis is {self.axis!r}; expected 'x' (left and right) or 'y' (top and bottom)")

    def on_batch(self, x: Tensor, keys: NDArray[np.uint64]) -> Tensor:
        """Return a copy of ``x`` ``[T, N, C, H, W]`` with some samples mirrored."""
        turned = x.clone()
        source, target = x.numpy(), turned.numpy()
        for n in np.flatnonzero(uniforms_at(keys, 1)[:, 0] < self.p):
            target[:, n] = source[:, n, ..., ::-1] if self.axis == "x" else source[:, n, :, ::-1]
        return turned


@dataclass(frozen=True)
class RandomErase(FrameAugment):
    """Empty a square whose middle is any pixel, at all time steps; at the edge less of it is left.

    The rule of :class:`spikesim.datasets.transforms.RandomCutout` (DeVries and Taylor 2017, arXiv:1708.04552).

    Args:
        side: of the square in pixels, 1 or more.

    Raises:
        ConfigError: ``side`` is no whole number from 1 on.

    Example:
        >>> import torch
        >>> from spikesim.datasets import RandomErase
        >>> frames = torch.ones(1, 1, 4, 4, dtype=torch.uint8)
        >>> int(RandomErase(1)(frames, torch.Generator()).sum())
        15
    """

    side: int

    def __post_init__(self) -> None:
        check_whole("side", self.side, 1)

    def on_batch(self, x: Tensor, keys: NDArray[np.uint64]) -> Tensor:
        """Return a copy of ``x`` ``[T, N, C, H, W]`` with a square of each sample emptied."""
        covered = x.clone()
        target = covered.numpy()
        corners = np.floor(uniforms_at(keys, 2) * x.shape[-2:]).astype(np.int64) - self.side // 2
        for n, (top, left) in enumerate(corners.tolist()):
            rows, columns = (slice(max(begin, 0), max(begin + self.side, 0)) for begin in (top, left))
            target[:, n, :, rows, columns] = 0
        return covered


def check_augment(augment: Any) -> tuple[Any, ...]:
    """Return the augmentations as a row, none for ``None``; refuses what is none.

    Args:
        augment: one or several :data:`Augment`, :class:`BatchAugment` or transforms of events that take frames.

    >>> check_augment(None), check_augment([RandomShift(1)])
    ((), (RandomShift(max_pixels=1),))
    """
    row = tuple(augment) if isinstance(augment, (list, tuple)) else () if augment is None else (augment,)
    for one in row:
        if isinstance(one, EventTransform) and not one.rasters:
            raise ConfigError(
                f"augment has {type(one).__name__}, which works on events, but what is loaded are frames; put it "
                "before the framing, into the transform of the dataset (uncached), or take one for frames: "
                "RandomShift, RandomMirror, RandomErase"
            )
        if isinstance(one, type) or not (callable(one) or isinstance(one, BatchAugment)):
            raise ConfigError(
                f"augment is {one!r}; expected callables (frames, generator) -> frames, such as RandomShift(2)"
            )
        if not isinstance(one, (BatchAugment, EventTransform)) and not _takes_two(one):
            raise ConfigError(
                f"augment {one!r} does not take (frames, generator); what a sample draws must come from that "
                "generator. Expected a callable such as lambda frames, generator: frames.flip(-1)"
            )
    return row


def _takes_two(one: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(one)
    except (TypeError, ValueError):  # written in C, it may say nothing of what it takes
        return True
    try:
        signature.bind(None, None)
    except TypeError:
        return False
    return True


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Where the kept part lands, and where it comes from, along one axis."""
    kept = max(size - abs(shift), 0)
    ahead, behind = max(shift, 0), max(-shift, 0)
    return slice(ahead, ahead + kept), slice(behind, behind + kept)
