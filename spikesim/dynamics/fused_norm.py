"""Kernels of the batch-norm in a fused layer: the statistics before it, and what they take from the gradient after.

The sums are taken of distances from the first pixel, four values at a time and then in float64: a mean far from zero
cannot cancel them (the shifted-data algorithm: Chan, Golub and LeVeque, "Algorithms for computing the sample
variance", The American Statistician 37, 1983).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Integers that both kernels are called with. ``_row`` are the values of a chunk of whole pixels, ``_size`` those of a
# tile.
SIZES = ("_count", "_channels", "_row", "_size", "_tiles", "_workers")

_ARRAYS = {
    "statistics": ("x", "partial"),
    "normalise": ("x", "scale", "shift", "z"),
    "correction": ("grad", "x", "centre", "gain", "mean", "slope"),
}

_WORK = {
    "statistics": """
    _origin = _workspace(_row, real(0))
    for _i in range(0, _row, _channels):
        _widen(_channels, x_all[:_channels], _origin[_i : _i + _channels])
    _first, _second = _workspace(_row, np.float64(0)), _workspace(_row, np.float64(0))
    for _tile in range(_from, _until):
        _first[:] = 0
        _second[:] = 0
        _at, _end = _tile * _size, min(_count, (_tile + 1) * _size)
        while _at + 4 * _row <= _end:
            for _part in range(PARTS):
                _prefetch(x_all, _at + 4 * _row, 4 * _row, _part)
            _moments(_row, x_all[_at : _at + 4 * _row], _origin, _first, _second)
            _at += 4 * _row
        while _at < _end:
            _n = min(_row, _end - _at)
            _moments_of_one(_n, x_all[_at : _at + _n], _origin, _first, _second)
            _at += _n
        _total(_first, partial_all[_tile, 0])
        _total(_second, partial_all[_tile, 1])
""",
    "normalise": """
    _scale, _shift = _repeated(scale_all, _row), _repeated(shift_all, _row)
    for _at in range(_from * _size, min(_count, _until * _size), _row):
        _n = min(_row, _count - _at)
        _affine(_n, x_all[_at : _at + _n], _scale, _shift, z_all[_at : _at + _n])
""",
    "correction": """
    _centre, _gain = _repeated(centre_all, _row), _repeated(gain_all, _row)
    _mean, _slope = _repeated(mean_all, _row), _repeated(slope_all, _row)
    for _at in range(_from * _size, min(_count, _until * _size), _row):
        _n = min(_row, _count - _at)
        _through_statistics(_n, grad_all[_at : _at + _n], x_all[_at : _at + _n], _centre, _gain, _mean, _slope)
""",
}


@dataclass(frozen=True)
class NormKernel:
    """A kernel of the batch-norm.

    Args:
        part: the sums of the statistics; what the neuron receives, by itself; or the correction of the gradient,
            in place.
        dtype: of the constants.
        storage: of input and gradient in memory.
    """

    part: Literal["statistics", "normalise", "correction"]
    dtype: str
    storage: str


def emit_norm(kernel: NormKernel, on_disk: bool = True) -> str:
    """Python source of a kernel, ready to be compiled by Numba.

    >>> "_moments(" in emit_norm(NormKernel("statistics", "float32", "float32"))
    True
    """
    stored = "np.uint16" if kernel.storage in ("bfloat16", "float16") else f"np.{kernel.storage}"
    arrays = _ARRAYS[kernel.part]
    views = []
    for a in arrays:
        shape, dtype = ("(_count,)", stored) if a in ("x", "grad") else ("(_channels,)", f"np.{kernel.dtype}")
        if a == "z":
            shape = "(_count,)"
        if a == "partial":
            shape, dtype = "(_tiles, 2, _channels)", "np.float64"
        views.append(f"    {a}_all = carray(_pointer({a}_at), {shape}, {dtype})\n")
    opened = "".join(views)
    addresses = ", ".join([*SIZES, *(f"{a}_at" for a in arrays)])
    wholes = ", ".join([*SIZES[:4], *(f"{a}_all" for a in arrays)])
    return f'''"""Batch-norm: {kernel.part}, {kernel.storage}; do not edit."""
import numpy as np
from numba import carray, njit, prange
from spikesim.dynamics.fused_rows import PARTS, prefetch as _prefetch, repeated as _repeated, rows as _rows
from spikesim.dynamics.fused_rows import total as _total, workspace as _workspace
from spikesim.dynamics.memory import pointer as _pointer

real = np.{kernel.dtype}
_functions = _rows("{kernel.storage}")
_moments, _moments_of_one, _widen = _functions.moments, _functions.moments_of_one, _functions.widen
_affine, _through_statistics = _functions.affine, _functions.through_statistics


@njit(nogil=True, error_model="numpy", cache={on_disk})
def work(_from, _until, {wholes}):{_WORK[kernel.part]}

@njit(nogil=True, error_model="numpy", cache={on_disk})
def run({addresses}):
{opened}    work(0, _tiles, {wholes})


@njit(nogil=True, error_model="numpy", parallel=True, cache={on_disk})
def run_parallel({addresses}):
{opened}    for _worker in prange(_workers):
        work(_worker * _tiles // _workers, (_worker + 1) * _tiles // _workers, {wholes})
'''
