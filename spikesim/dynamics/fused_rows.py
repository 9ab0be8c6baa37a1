"""What a fused layer kernel does to rows of neurons beside the neuron's own equations.

Rows hold the channels of pixels that lie side by side (channels-last), so every function here is a loop
over contiguous memory: the affine map of a batch-norm, 2x2 pooling of two image lines, and the gradients
of both. Maxima follow torch: the first largest value in window order, or the last NaN, wins.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from spikesim.dynamics.cpu_math import where
from spikesim.dynamics.memory import LANES, LINE, NoAlias, from_bfloat16, from_float16, stream, to_bfloat16, to_float16

# Rows that a function takes never overlap.
_row_function = njit(nogil=True, error_model="numpy", pipeline_class=NoAlias)
_inline = njit(nogil=True, error_model="numpy", forceinline=True)

PARTS = 3  # in which a chunk fetches the next one

# Indices are unsigned, because a signed one may count from the end and is tested for it, element by element.
_ZERO, _ONE, _TWO, _THREE = (np.uint8(k) for k in range(4))


@intrinsic
def multiply_add(context: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, rounded once where the processor can: what torch's batch-norm does."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        name = "llvm.fmuladd.f32" if a == types.float32 else "llvm.fmuladd.f64"
        kind = ir.FunctionType(args[0].type, [args[0].type] * 3)
        return builder.call(builder.module.declare_intrinsic(name, fnty=kind), args)

    return a(a, b, c), codegen


@intrinsic
def _prefetch(context: Any, row: Any, at: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        data = context.make_array(row)(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        hint = builder.module.declare_intrinsic("llvm.prefetch.p0", fnty=kind)
        # To be read, kept in all caches, data.
        builder.call(hint, [place, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(row, types.int64), codegen


@njit(nogil=True)
def prefetch(row: Any, at: Any, count: Any, part: Any) -> None:
    """Fetch one of the ``PARTS`` parts of ``row[at : at + count]`` into the cache, if it is there.

    Between chunks of arithmetic the hardware's own prefetcher falls asleep. A processor waits when too many lines
    are asked for at once, so a chunk asks for the next one in parts.
    """
    lines = count * row.itemsize // LINE
    each = LINE // row.itemsize
    if at + count <= len(row):
        for line in range(lines * part // PARTS, lines * (part + 1) // PARTS):
            _prefetch(row, at + line * each)


@_inline
def _wins(challenger: Any, best: Any) -> Any:
    return (challenger > best) | (challenger != challenger)


def _same(value: Any) -> Any:
    return value


def _bf16_in(value: Any) -> Any:
    return from_bfloat16(value)


def _bf16_out(value: Any) -> Any:
    return to_bfloat16(value)


def _f16_in(value: Any) -> Any:
    return from_float16(value)


def _f16_out(value: Any) -> Any:
    return to_float16(value)


_CONVERSIONS = {"bfloat16": (_bf16_in, _bf16_out), "float16": (_f16_in, _f16_out)}


@njit(nogil=True)
def workspace(count: Any, zero: Any) -> Any:
    """An uninitialised row of ``count`` values of the dtype of ``zero`` that begins a cache line."""
    size = np.empty(0, type(zero)).itemsize
    room = np.empty(count + LINE // size, type(zero))
    start = (-room.ctypes.data % LINE) // size
    return room[start : start + count]


@njit(nogil=True)
def repeated(values: Any, count: Any) -> Any:
    """One value per channel as a row of ``count`` neurons."""
    row = workspace(count, values[0])
    for i in range(count):
        row[i] = values[i % len(values)]
    return row


@njit(nogil=True)
def total(row: Any, per_channel: Any) -> None:
    """Add a row up by channel."""
    per_channel[:] = 0
    for i in range(len(row)):
        per_channel[i % len(per_channel)] += row[i]


@_row_function
def spill(count: Any, source: Any, target: Any) -> None:
    """Copy whole cache lines without reading what lay there, and without keeping them in the cache."""
    for at in range(0, count, LANES):
        stream(target, at, source[at:])


@cache
def rows(storage: str) -> SimpleNamespace:
    """The row functions for tensors that lie in memory as ``storage``, a dtype's name.

    >>> import numpy as np
    >>> out = np.empty(1, np.float32)
    >>> top, bottom = np.array([1, 3], np.float32), np.array([2, 0], np.float32)
    >>> rows("float32").pool_max(1, 1, top, bottom, out), out.item()
    (None, 3.0)
    """
    load, store = (_inline(f) for f in _CONVERSIONS.get(storage, (_same, _same)))
    return SimpleNamespace(**_elementwise(load, store), **_pooling(load, store))


def _elementwise(load: Any, store: Any) -> dict[str, Any]:
    @_row_function
    def affine(count: Any, x: Any, scale: Any, shift: Any, z: Any) -> None:
        """The batch-norm: one multiplication and one addition."""
        for i in range(np.uint64(count)):
            z[i] = multiply_add(load(x[i]), scale[i], shift[i])

    @_row_function
    def keep(count: Any, emitted: Any, out: Any) -> None:
        """Store without pooling."""
        for i in range(np.uint64(count)):
            out[i] = store(emitted[i])

    @_row_function
    def take(count: Any, grad_out: Any, grad: Any) -> None:
        """Load a gradient that was not pooled."""
        for i in range(np.uint64(count)):
            grad[i] = load(grad_out[i])

    @_row_function
    def tally(
        count: Any, grad: Any, x: Any, centre: Any, gain: Any, grad_sum: Any, product_sum: Any, grad_x: Any
    ) -> None:
        """Add a row to what the gradients of the batch-norm consist of, and store it times ``gain``."""
        for i in range(np.uint64(count)):
            grad_sum[i] += grad[i]
            product_sum[i] += grad[i] * (load(x[i]) - centre[i])
            grad_x[i] = store(gain[i] * grad[i])

    @_row_function
    def through_statistics(count: Any, grad: Any, x: Any, centre: Any, gain: Any, mean: Any, slope: Any) -> None:
        """What the batch's own mean and variance take from the gradient, in place."""
        for i in range(np.uint64(count)):
            grad[i] = store(gain[i] * (load(grad[i]) - mean[i] - (load(x[i]) - centre[i]) * slope[i]))

    @_row_function
    def moments(count: Any, x: Any, origin: Any, first: Any, second: Any) -> None:
        """Add four rows that lie behind one another to the sums of distances from ``origin`` and of their squares."""
        width = np.uint64(count)
        for i in range(width):
            a = load(x[i]) - origin[i]
            b = load(x[width + i]) - origin[i]
            c = load(x[width + width + i]) - origin[i]
            d = load(x[width + width + width + i]) - origin[i]
            first[i] += np.float64((a + b) + (c + d))
            second[i] += np.float64((a * a + b * b) + (c * c + d * d))

    @_row_function
    def moments_of_one(count: Any, x: Any, origin: Any, first: Any, second: Any) -> None:
        """The same for one row."""
        for i in range(np.uint64(count)):
            a = load(x[i]) - origin[i]
            first[i] += np.float64(a)
            second[i] += np.float64(a * a)

    @_row_function
    def widen(count: Any, x: Any, origin: Any) -> None:
        """A row in the dtype of ``origin``."""
        for i in range(np.uint64(count)):
            origin[i] = load(x[i])

    found = (affine, keep, take, tally, through_statistics, moments, moments_of_one, widen)
    return {f.__name__: f for f in found}


def _pooling(load: Any, store: Any) -> dict[str, Any]:
    @_row_function
    def pool_max(windows: Any, channels: Any, top: Any, bottom: Any, out: Any) -> None:
        """Largest of each 2x2 window."""
        width = np.uint64(channels)
        for window in range(np.uint64(windows)):
            to = window * width
            left = to + to
            right = left + width
            for c in range(width):
                best = top[left + c]
                best = where(_wins(top[right + c], best), top[right + c], best)
                best = where(_wins(bottom[left + c], best), bottom[left + c], best)
                best = where(_wins(bottom[right + c], best), bottom[right + c], best)
                out[to + c] = store(best)

    @_row_function
    def pool_average(windows: Any, channels: Any, top: Any, bottom: Any, out: Any) -> None:
        """Mean of each 2x2 window."""
        width = np.uint64(channels)
        for window in range(np.uint64(windows)):
            to = window * width
            left = to + to
            right = left + width
            for c in range(width):
                total = ((top[left + c] + top[right + c]) + bottom[left + c]) + bottom[right + c]
                out[to + c] = store(total / type(total)(4))

    @_row_function
    def choose(windows: Any, channels: Any, top: Any, bottom: Any, chosen: Any) -> None:
        """Which of the four values of each window is the largest, in window order."""
        width = np.uint64(channels)
        for window in range(np.uint64(windows)):
            to = window * width
            left = to + to
            right = left + width
            for c in range(width):
                best, place = top[left + c], _ZERO
                wins = _wins(top[right + c], best)
                best, place = where(wins, top[right + c], best), where(wins, _ONE, place)
                wins = _wins(bottom[left + c], best)
                best, place = where(wins, bottom[left + c], best), where(wins, _TWO, place)
                chosen[to + c] = where(_wins(bottom[right + c], best), _THREE, place)

    @_row_function
    def route_max(windows: Any, channels: Any, chosen: Any, grad_out: Any, top: Any, bottom: Any) -> None:
        """The gradient of a window goes to the value that was chosen."""
        width = np.uint64(channels)
        for window in range(np.uint64(windows)):
            to = window * width
            left = to + to
            right = left + width
            for c in range(width):
                grad, place = load(grad_out[to + c]), chosen[to + c]
                none = type(grad)(0)
                top[left + c] = where(place == _ZERO, grad, none)
                top[right + c] = where(place == _ONE, grad, none)
                bottom[left + c] = where(place == _TWO, grad, none)
                bottom[right + c] = where(place == _THREE, grad, none)

    @_row_function
    def route_average(windows: Any, channels: Any, grad_out: Any, top: Any, bottom: Any) -> None:
        """The gradient of a window goes to its four values in equal parts."""
        width = np.uint64(channels)
        for window in range(np.uint64(windows)):
            to = window * width
            left = to + to
            right = left + width
            for c in range(width):
                grad = load(grad_out[to + c])
                part = grad / type(grad)(4)
                top[left + c] = part
                top[right + c] = part
                bottom[left + c] = part
                bottom[right + c] = part

    return {f.__name__: f for f in (pool_max, pool_average, choose, route_max, route_average)}
