"""Search for the clipped uniform quantiser of least squared error, per row of a histogram."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
_COARSE, _FINE, _OCTAVES = 64, 24, 8.0
_GOLDEN = (5**0.5 - 1) / 2


def best_range(counts: Array, edges: Array, top: Array, levels: int) -> Array:
    """The range that quantises each row with the least squared error.

    A grid from ``top`` down to 2^-8 of it is refined by golden-section search.

    Args:
        counts: How many values lie in each bin, ``[C, B]``.
        edges: Bin edges, ``[B + 1]``, not negative.
        top: Largest value of each row, ``[C]``, positive.
        levels: Number of steps from 0 to the range.

    Returns:
        Ranges ``[C]``, at most ``top``.

    Example:
        >>> import numpy as np
        >>> from spikesim.converters.quantiser import best_range
        >>> edges = np.linspace(0, 1, 1001)
        >>> best_range(np.ones((1, 1000)), edges, np.ones(1), 4).round(3).tolist()
        [0.889]
    """
    left, right = np.minimum(edges[:-1], top[:, None]), np.minimum(edges[1:], top[:, None])
    error = partial(squared_error, counts, left, right, levels)
    ratios = np.exp2(-_OCTAVES * np.arange(_COARSE) / (_COARSE - 1))
    errors = np.stack([error(top * ratio) for ratio in ratios])
    best = errors.argmin(0)
    lower, upper = top * ratios[np.minimum(best + 1, _COARSE - 1)], top * ratios[np.maximum(best - 1, 0)]
    fine = _golden_section(error, lower, upper)
    return np.where(error(fine) <= errors.min(0), fine, top * ratios[best])


def squared_error(counts: Array, left: Array, right: Array, levels: int, theta: Array) -> Array:
    """Sum of squared quantisation errors of each row, with the values of a bin spread evenly over it.

    Args:
        counts: ``[C, B]``.
        left: Lower edges, ``[C, B]``.
        right: Upper edges, ``[C, B]``; where they equal the lower ones, all values are that edge.
        levels: Number of steps.
        theta: Ranges ``[C]``.

    Returns:
        ``[C]``.

    Example:
        >>> import numpy as np
        >>> from spikesim.converters.quantiser import squared_error
        >>> zero, one = np.zeros((1, 1)), np.ones((1, 1))
        >>> round(squared_error(one, zero, one, 1, np.ones(1)).item(), 4)  # 1/12 on [0, 1] with levels 0 and 1
        0.0833
    """
    total: Array = _errors(counts, left, right, levels, theta)
    return total


@njit(cache=True, nogil=True)
def _errors(counts: Any, left: Any, right: Any, levels: int, theta: Any) -> Any:
    total = np.zeros(len(counts))
    for row in range(len(counts)):
        step = theta[row] / levels
        for place in range(counts.shape[1]):
            many = counts[row, place]
            if many == 0.0:  # most bins, where there are few samples
                continue
            low, high = left[row, place], right[row, place]
            if high > low:
                total[row] += many * (_integral(high, step, levels) - _integral(low, step, levels)) / (high - low)
            else:
                rest = low - min(math.floor(low / step + 0.5), levels) * step
                total[row] += many * rest * rest
    return total


@njit(cache=True, nogil=True)
def _integral(u: float, step: float, levels: int) -> float:
    """Integral of the squared error from 0 to ``u``: a twelfth of the cubed step per level, and a rest."""
    level = min(math.floor(u / step + 0.5), levels)
    rest = u - level * step
    return level * (step * step * step) / 12 + rest * rest * rest / 3


def _golden_section(error: Callable[[Array], Array], low: Array, high: Array) -> Array:
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    fa, fb = error(a), error(b)
    for _ in range(_FINE):
        left = fa < fb
        high, low = np.where(left, b, high), np.where(left, low, a)
        new = np.where(left, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        fnew = error(new)
        a, fa, b, fb = (
            np.where(left, new, b),
            np.where(left, fnew, fb),
            np.where(left, a, new),
            np.where(left, fa, fnew),
        )
    return (low + high) / 2
