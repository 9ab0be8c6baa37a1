"""Random numbers that are functions of what they are for: seed, step, draw and neuron.

Each is a hash of its counter, so threads, chunks and backends agree. Seed, step and draw are mixed once per
step in 64 bits (the SplitMix64 finaliser, Steele et al. 2014, https://doi.org/10.1145/2714064.2660195); the
neuron is mixed in with 32 bits (twice the finaliser ``lowbias32`` of C. Wellons,
https://github.com/skeeto/hash-prospector), so that a loop over neurons vectorises as wide as its floats. The
same arithmetic is written twice, since there is no language in between: for kernels (:func:`key`,
:func:`uniform`) and for tensors (:func:`uniform_rows`); a test holds them together bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_SMALL_FIRST, _SMALL_SECOND = 0x7FEB352D, 0x846CA68B
_BITS = 23  # with the half that keeps zero out, as many as a float32 holds exactly
_SCALE = 2.0**-_BITS


@njit(error_model="numpy", forceinline=True)
def _mixed(z: Any) -> Any:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
    return z ^ (z >> np.uint64(31))


@njit(error_model="numpy", forceinline=True)
def _mixed_small(z: Any) -> Any:
    # Numba widens every product to 64 bits; cutting it back at once lets LLVM keep to 32.
    z = np.uint32(z ^ np.uint32(z >> np.uint32(16)))
    z = np.uint32(z * np.uint32(_SMALL_FIRST))
    z = np.uint32(z ^ np.uint32(z >> np.uint32(15)))
    z = np.uint32(z * np.uint32(_SMALL_SECOND))
    return np.uint32(z ^ np.uint32(z >> np.uint32(16)))


@njit(error_model="numpy")
def key(seed: Any, step: Any, draw: Any) -> Any:
    """Key of one draw of one (sub-)step: everything but the neuron."""
    z = _mixed(np.uint64(seed) + np.uint64(_GOLDEN))
    z = _mixed(z + np.uint64(step) * np.uint64(_GOLDEN))
    return _mixed(z + np.uint64(draw) * np.uint64(_GOLDEN))


@njit(error_model="numpy", forceinline=True)
def uniform(key: Any, neuron: Any) -> Any:
    """A float32 in (0, 1), for one of up to 2^32 neurons."""
    z = _mixed_small(np.uint32(np.uint32(key) + np.uint32(neuron)))
    z = _mixed_small(np.uint32(z ^ np.uint32(key >> np.uint64(32))))
    return (np.float32(np.int32(z >> np.uint32(32 - _BITS))) + np.float32(0.5)) * np.float32(_SCALE)


def uniform_rows(clock: Tensor, step: int, substeps: int, draw: int, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """The same numbers for one step of all neurons, as a tensor.

    Args:
        clock: int64 ``[2]``: seed and number of time steps that lie behind.
        step: sub-steps since then.
        substeps: sub-steps per time step.
        draw: which of the step's random numbers.
        shape: ``(N, ...)``; neurons are counted in its order.
        like: gives dtype and device.

    >>> uniform_rows(torch.tensor([7, 0]), 0, 1, 0, (2, 3), torch.zeros(1)).shape
    torch.Size([2, 3])
    """
    count = 1
    for size in shape:
        count *= size
    seed, start = clock.to(like.device).unbind(0)
    z = _mixed_tensor(seed + _signed(_GOLDEN))
    z = _mixed_tensor(z + (start * substeps + step) * _signed(_GOLDEN))
    z = _mixed_tensor(z + _signed(draw * _GOLDEN))
    neurons = torch.arange(count, device=like.device)
    small = _mixed_small_tensor((z & _LOW) + neurons & _LOW)
    small = _mixed_small_tensor(small ^ _right(z, 32))
    return (((small >> (32 - _BITS)).double() + 0.5) * _SCALE).to(like.dtype).reshape(shape)


_LOW = (1 << 32) - 1


def _signed(constant: int) -> int:
    constant %= 1 << 64
    return constant - (1 << 64) if constant >> 63 else constant


def _right(z: Tensor, places: int) -> Tensor:
    # torch shifts the sign in; an unsigned shift does not.
    return (z >> places) & ((1 << (64 - places)) - 1)


def _mixed_tensor(z: Tensor) -> Tensor:
    z = (z ^ _right(z, 30)) * _signed(_FIRST)
    z = (z ^ _right(z, 27)) * _signed(_SECOND)
    return z ^ _right(z, 31)


def _mixed_small_tensor(z: Tensor) -> Tensor:
    z = (z ^ (z >> 16)) * _SMALL_FIRST & _LOW
    z = (z ^ (z >> 15)) * _SMALL_SECOND & _LOW
    return z ^ (z >> 16)
