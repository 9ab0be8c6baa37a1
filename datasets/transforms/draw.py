"""Random numbers of one transform on one sample: they follow from (seed, epoch, sample, place in the pipeline)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.counter import key_of, normal_at, order_of, uniform_at


class SampleKey(NamedTuple):
    """Which sample of a dataset, in which epoch: what the sampler of a loader tells the workers."""

    epoch: int
    sample: int


_CURRENT: ContextVar[SampleKey | None] = ContextVar("spikesim_sample", default=None)


@contextmanager
def sample_at(epoch: int, sample: int) -> Iterator[None]:
    """Everything random inside draws for this sample in this epoch, also within a ``Compose`` of Tonic's.

    Args:
        epoch: counted from 0.
        sample: its index in its dataset.

    Example:
        >>> from spikesim.datasets.transforms.draw import Draw, sample_at
        >>> with sample_at(epoch=0, sample=7):
        ...     first = Draw.for_call(seed=0, place=0, calls=0).uniform(1)
        >>> with sample_at(epoch=0, sample=7):
        ...     bool(first == Draw.for_call(seed=0, place=0, calls=5).uniform(1))
        True
    """
    token = _CURRENT.set(SampleKey(epoch, sample))
    try:
        yield
    finally:
        _CURRENT.reset(token)


@njit(cache=True, nogil=True)
def _uniform(key: Any, count: Any) -> Any:
    drawn = np.empty(count, np.float64)
    for i in range(count):
        drawn[i] = uniform_at(key, np.uint64(i))
    return drawn


@njit(cache=True, nogil=True)
def _normal(key: Any, count: Any) -> Any:
    drawn = np.empty(count, np.float64)
    for i in range(count):
        drawn[i] = normal_at(key, np.uint64(i))
    return drawn


class Draw:
    """The random numbers of one call; each request is a stream of its own.

    Args:
        parts: integers that name the purpose, the seed first.

    Example:
        >>> from spikesim.datasets.transforms.draw import Draw
        >>> draw = Draw(0, 1)
        >>> bool(0 <= draw.uniform(3).min()), int(draw.integers(2, 5, 100).max()), len(draw.order(4))
        (True, 4, 4)
    """

    def __init__(self, *parts: int) -> None:
        self._parts = parts
        self._requests = 0

    @classmethod
    def for_call(cls, seed: int | None, place: int, calls: int) -> Draw:
        """What a transform draws from in one call.

        Args:
            seed: of the transform or its pipeline; without one torch's seed stands in, which differs in every
                data worker.
            place: of the transform in its pipeline.
            calls: how often it was called before, which counts only outside :func:`sample_at`.
        """
        base = torch.initial_seed() if seed is None else seed
        at = _CURRENT.get()
        # 0 and 1 keep the two kinds of calls apart.
        return cls(base, place, 1, at.epoch, at.sample) if at is not None else cls(base, place, 0, calls)

    def _key(self) -> np.uint64:
        self._requests += 1
        return key_of(self._parts[0], *self._parts[1:], self._requests)

    def uniform(self, count: int, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
        """``count`` numbers from ``low`` up to, but not including, ``high``."""
        return low + (high - low) * _uniform(self._key(), count)

    def normal(self, count: int) -> NDArray[np.float64]:
        """``count`` standard normal numbers."""
        return _normal(self._key(), count)

    def integers(self, low: int, high: int, count: int) -> NDArray[np.int64]:
        """``count`` whole numbers from ``low`` up to, but not including, ``high``."""
        return np.minimum(low + np.floor((high - low) * _uniform(self._key(), count)), high - 1).astype(np.int64)

    def order(self, count: int) -> NDArray[np.int64]:
        """A random order of ``count`` things."""
        self._requests += 1
        return order_of(count, self._parts[0], *self._parts[1:], self._requests)

    def number(self, low: float = 0.0, high: float = 1.0) -> float:
        """One uniform number."""
        return float(self.uniform(1, low, high)[0])

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.number() < probability
