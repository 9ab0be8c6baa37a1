"""Random numbers that depend on what they are for, never on who draws them or when.

A number is a hash of (seed, stream, counter), so any thread or data worker may draw it, in any order.
The hash is the SplitMix64 finaliser applied to each part (Steele et al. 2014,
https://doi.org/10.1145/2714064.2660195); it is ours, so a new numpy cannot change a split or a data set.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.errors import ConfigError

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


@njit(cache=True, nogil=True, inline="always")
def _share(bits: Any) -> Any:
    return np.float64(bits >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def uniform_at(key: Any, counter: Any) -> Any:
    """Draw a float64 in [0, 1) for one counter of one key."""
    return _share(bits_at(key, counter))


_TAIL = 3.6541528853610088  # where the lowest of 256 layers of equal area ends and the tail begins
_AREA = 0.00492867323399


def _layers() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right edges of the layers under exp(-x * x / 2), from the lowest to the top, and its height there."""
    edges = np.empty(257)
    edges[0], edges[1], edges[256] = _AREA / np.exp(-0.5 * _TAIL**2), _TAIL, 0.0
    for i in range(2, 256):
        edges[i] = np.sqrt(-2.0 * np.log(_AREA / edges[i - 1] + np.exp(-0.5 * edges[i - 1] ** 2)))
    return edges, np.exp(-0.5 * edges**2)


_EDGES, _HEIGHTS = _layers()


@njit(cache=True, nogil=True)
def _beyond(key: Any, bits: Any) -> Any:
    """Draw from the tail; what is refused is drawn again there."""
    while True:
        bits = bits_at(key, bits)
        past = -np.log(1.0 - _share(bits)) / _TAIL
        bits = bits_at(key, bits)
        if -2.0 * np.log(1.0 - _share(bits)) >= past * past:
            return _TAIL + past


@njit(cache=True, nogil=True)
def normal_at(key: Any, counter: Any) -> Any:
    """Draw a standard normal float64 for one counter of one key.

    By the ziggurat (Marsaglia and Tsang 2000, https://doi.org/10.18637/jss.v005.i08), with the layer and the place in
    it from different bits; a draw that is refused goes on with a hash of its bits.
    """
    bits = bits_at(key, np.uint64(counter))
    while True:
        layer = np.int64(bits & np.uint64(255))
        x = (2.0 * _share(bits) - 1.0) * _EDGES[layer]
        if abs(x) < _EDGES[layer + 1]:
            return x
        if layer == 0:
            return np.sign(x) * _beyond(key, bits)
        bits = bits_at(key, bits)
        if _HEIGHTS[layer] + _share(bits) * (_HEIGHTS[layer + 1] - _HEIGHTS[layer]) < np.exp(-0.5 * x * x):
            return x
        bits = bits_at(key, bits)


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

    Raises:
        ConfigError: one of them is no whole number.

    Example:
        >>> from spikesim.datasets.counter import key_of
        >>> len({int(key_of(0, 1, 2)), int(key_of(0, 1, 2)), int(key_of(0, 2, 1))})
        2
    """
    key = np.uint64(0)
    for part in (seed, *stream):
        try:
            whole = operator.index(part)  # NumPy's integers do not take the mask
        except TypeError as error:
            raise ConfigError(f"a seed, or what it is combined with, is {part!r}; expected a whole number") from error
        key = np.uint64(bits_at(key, np.uint64(whole & _MASK)))
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
