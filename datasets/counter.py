"""Random numbers that depend on what they are for, never on who draws them or when.

A number is a hash of (seed, stream, counter), so any thread or data worker may draw it, in any order.
The hash is the SplitMix64 finaliser applied to each part (Steele et al. 2014,
https://doi.org/10.1145/2714064.2660195); it is ours, so a new numpy cannot change a split or a data set.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_MASK = 2**64 - 1


@njit(cache=True, nogil=True, inline="always")
def _mix(z: Any) -> Any:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def bits_at(key: Any, counter: Any) -> Any:
    """Draw 64 random bits, a ``uint64``, for one counter of one key (both ``uint64``)."""
    return _mix(key ^ _mix(counter * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)))


@njit(cache=True, nogil=True)
def uniform_at(key: Any, counter: Any) -> Any:
    """Draw a float64 in [0, 1) for one counter of one key."""
    return np.float64(bits_at(key, counter) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def normal_at(key: Any, counter: Any) -> Any:
    """Draw a standard normal float64 for one counter of one key (Box and Muller 1958)."""
    twice = np.uint64(2) * np.uint64(counter)
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform_at(key, twice)))
    return radius * np.cos(2.0 * np.pi * uniform_at(key, twice + np.uint64(1)))


@njit(cache=True, nogil=True)
def _bits(key: Any, count: Any) -> Any:
    drawn = np.empty(count, np.uint64)
    for i in range(count):
        drawn[i] = bits_at(key, np.uint64(i))
    return drawn


@njit(cache=True, nogil=True)
def uniforms_at(keys: Any, count: Any) -> Any:
    """Draw the first ``count`` numbers in [0, 1) of each of several keys ``[N]``: float64 ``[N, count]``."""
    drawn = np.empty((len(keys), count), np.float64)
    for n in range(len(keys)):
        for i in range(count):
            drawn[n, i] = uniform_at(keys[n], np.uint64(i))
    return drawn


@njit(cache=True, nogil=True)
def keys_at(keys: Any, parts: Any) -> Any:
    """Lengthen keys by one part each: ``key_of(*stream, part)`` of ``key_of(*stream)``, all ``uint64 [N]``."""
    longer = np.empty(len(keys), np.uint64)
    for n in range(len(keys)):
        longer[n] = bits_at(keys[n], parts[n])
    return longer


def key_of(seed: int, *stream: int) -> np.uint64:
    """Return the key of one purpose: the seed and any integers that name the stream.

    Args:
        seed: the user's seed, any integer.
        stream: for example the epoch and the index of a sample.

    Returns:
        A key for :func:`bits_at`, :func:`uniform_at`, :func:`normal_at` and :func:`order_of`.

    Example:
        >>> from spikesim.datasets.counter import key_of
        >>> len({int(key_of(0, 1, 2)), int(key_of(0, 1, 2)), int(key_of(0, 2, 1))})
        2
    """
    key = np.uint64(0)
    for part in (seed, *stream):
        key = np.uint64(bits_at(key, np.uint64(part & _MASK)))
    return key


def order_of(count: int, seed: int, *stream: int) -> NDArray[np.int64]:
    """Return a random order of ``count`` things, the same on every machine.

    Args:
        count: how many.
        seed: the user's seed.
        stream: integers that name the purpose, for example the epoch.

    Returns:
        A permutation ``[count]``.

    Example:
        >>> from spikesim.datasets.counter import order_of
        >>> sorted(order_of(5, seed=1).tolist())
        [0, 1, 2, 3, 4]
    """
    return np.argsort(_bits(key_of(seed, *stream), count), kind="stable").astype(np.int64)
