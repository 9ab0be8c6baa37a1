"""Which outputs of a convolution at least one event reaches.

A kernel of ones is a box, so "any input under the kernel" goes axis by axis, over a map that is summed over channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numba import njit


def reached(
    places: torch.Tensor,
    size: Sequence[int],
    out: Sequence[int],
    kernel: Sequence[int],
    how: Sequence[Any],
) -> torch.Tensor:
    """Output positions that an event reaches, int64 ``[rows]``.

    Args:
        places: events ``[rows, positions]`` of an input of spatial ``size``.
        size: spatial size of the input.
        out: spatial size of the output.
        kernel: spatial size of the kernel.
        how: stride, padding, dilation and transposed, as ``aten.convolution`` takes them.

    Example:
        >>> places = torch.tensor([[0, 0, 5, 0]])
        >>> reached(places, [4], [4], [3], ([1], [1], [1], False)).tolist()
        [3]
    """
    stride, padding, dilation, transposed = how[:4]
    marks = (places != 0).cpu().numpy().view(np.uint8)
    rows, before, after = len(marks), len(marks), marks.size // max(len(marks), 1)
    for n, o, *one in zip(size, out, kernel, stride, padding, dilation):
        after //= n
        spread = np.zeros((before, o, after), dtype=np.uint8)
        mark_axis(marks.reshape(before, n, after), sources(n, o, *one, transposed), spread)
        marks, before = spread, before * o
    return torch.from_numpy(marks.reshape(rows, -1).sum(1, dtype=np.int64))


@lru_cache(maxsize=1024)
def sources(n: int, out: int, kernel: int, stride: int, padding: int, dilation: int, transposed: bool) -> Any:
    """Input positions under each output position along one axis, int64 ``[out, kernel]``; -1 for none."""
    table = np.full((out, kernel), -1, dtype=np.int64)
    for j in range(kernel):
        for i in range(n if transposed else out):
            if transposed:
                target = i * stride - padding + j * dilation
                if 0 <= target < out:
                    table[target, j] = i
            elif 0 <= i * stride - padding + j * dilation < n:
                table[i, j] = i * stride - padding + j * dilation
    return table


@njit(cache=True, nogil=True)
def mark_axis(marks: Any, table: Any, out: Any) -> None:
    """``out[a, o, b]`` becomes 1 where any ``marks[a, table[o], b]`` is; ``out`` comes as zeros."""
    for a in range(marks.shape[0]):
        for o in range(table.shape[0]):
            for j in range(table.shape[1]):
                source = table[o, j]
                if source >= 0:
                    for b in range(marks.shape[2]):
                        out[a, o, b] |= marks[a, source, b]
