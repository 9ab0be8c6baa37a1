"""Counting activations into bins in one pass over memory."""

from __future__ import annotations

from typing import Any

from numba import njit

_VALUE = 0x7FFFFFFF  # all bits but the sign


@njit(cache=True, nogil=True)
def count_codes(codes: Any, shift: int, first: int, counts: Any, zeros: Any, largest: Any) -> None:
    """Count the bit patterns of float32 values that are finite and not negative (-0 is 0).

    Args:
        codes: int32 ``[N, C, P]``, the bits of the values.
        shift: Bits of a pattern that do not tell bins apart.
        first: Bin of the smallest pattern.
        counts: int64 ``[C, bins]``, added to.
        zeros: int64 ``[C]``, added to.
        largest: int32 ``[C]``, raised: such patterns are ordered as their values are.

    Example:
        >>> import numpy as np
        >>> from spikesim.converters.histogram_kernel import count_codes
        >>> codes = np.array([0.0, 1.0, 1.5], np.float32).view(np.int32).reshape(1, 1, 3)
        >>> counts, zeros, largest = np.zeros((1, 4), int), np.zeros(1, int), np.zeros(1, np.int32)
        >>> count_codes(codes, 22, 254, counts, zeros, largest)  # halves of octaves, from 1 on
        >>> counts.tolist(), zeros.tolist(), largest.view(np.float32).tolist()
        ([[1, 1, 0, 0]], [1], [1.5])
    """
    last = counts.shape[1] - 1
    for n in range(codes.shape[0]):
        for c in range(codes.shape[1]):
            nothing, most = 0, largest[c]
            for p in range(codes.shape[2]):
                code = codes[n, c, p] & _VALUE
                if code == 0:
                    nothing += 1
                else:
                    most = max(most, code)
                    counts[c, min(max((code >> shift) - first, 0), last)] += 1
            zeros[c] += nothing
            largest[c] = most
