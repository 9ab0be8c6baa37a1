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
from spikesim.errors import ConfigError


class SampleKey(NamedTuple):
    """Which sample of a dataset, in which epoch: what the sampler of a loader tells the workers."""

    epoch: int
    sample: int


class _Place(NamedTuple):
    key: SampleKey
    seed: int | None


_CURRENT: ContextVar[_Place | None] = ContextVar("spikesim_sample", default=None)


@contextmanager
def sample_at(epoch: int, sample: int, seed: int | None = None) -> Iterator[None]:
    """Everything random inside draws for this sample in this epoch, also within a ``Compose`` of Tonic's.

    Args:
        epoch: counted from 0.
        sample: its index in its dataset.
        seed: for transforms and pipelines that have none of their own; the one around it by default, and where
            there is none torch's seed, which differs in every data worker.

    Example:
        >>> from spikesim.datasets.transforms.draw import Draw, sample_at
        >>> with sample_at(epoch=0, sample=7):
        ...     first = Draw.for_call(seed=0, place=0, calls=0).uniform(1)
        >>> with sample_at(epoch=0, sample=7):
        ...     bool(first == Draw.for_call(seed=0, place=0, calls=5).uniform(1))
        True
    """
    around = _CURRENT.get()
    if seed is None and around is not None:
        seed = around.seed
    token = _CURRENT.set(_Place(SampleKey(epoch, sample), seed))
    try:
        yield
    finally:
        _CURRENT.reset(token)


_KEPT: ContextVar[bool] = ContextVar("spikesim_kept", default=False)


@contextmanager
def drawing_refused() -> Iterator[None]:
    """Every attempt to draw inside is an error: what is made here is kept, and would be one draw for ever.

    >>> with drawing_refused():
    ...     Draw.for_call(0, 0, 0)
    Traceback (most recent call last):
    ...
    spikesim.errors.ConfigError: a transform draws random numbers for what is kept; put it after the cache
    """
    token = _KEPT.set(True)
    try:
        yield
    finally:
        _KEPT.reset(token)


def current_sample() -> SampleKey | None:
    """The sample that :func:`sample_at` names, if one is.

    >>> with sample_at(epoch=1, sample=7):
    ...     current_sample()
    SampleKey(epoch=1, sample=7)
    """
    around = _CURRENT.get()
    return None if around is None else around.key


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
            seed: of the transform or its pipeline; without one that of :func:`sample_at`, and without that torch's,
                which differs in every data worker.
            place: of the transform in its pipeline.
            calls: how often it was called before, which counts only outside :func:`sample_at`.
        """
        if _KEPT.get():
            raise ConfigError("a transform draws random numbers for what is kept; put it after the cache")
        around = _CURRENT.get()
        if seed is None:
            seed = around.seed if around is not None and around.seed is not None else torch.initial_seed()
        # 0 and 1 keep the two kinds of calls apart.
        return cls(seed, place, 1, *around.key) if around is not None else cls(seed, place, 0, calls)

    def _stream(self) -> tuple[int, ...]:
        self._requests += 1
        return (*self._parts, self._requests)

    def _key(self) -> np.uint64:
        return key_of(*self._stream())

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
        return order_of(count, *self._stream())

    def number(self, low: float = 0.0, high: float = 1.0) -> float:
        """One uniform number."""
        return float(self.uniform(1, low, high)[0])

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.number() < probability


class NoDraw(Draw):
    """What a transform gets that does not say that it is random: a cache would otherwise keep one draw for ever.

    Args:
        what: name of the transform.

    Example:
        >>> NoDraw("Mine").number()
        Traceback (most recent call last):
        ...
        spikesim.errors.ConfigError: Mine draws random numbers; say so in its class: random = True
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def _stream(self) -> tuple[int, ...]:
        raise ConfigError(f"{self._what} draws random numbers; say so in its class: random = True")
