"""The functions that CPU kernels call: branch-free, so that a loop over neurons vectorises.

Choices (``spike``, ``where``, ...) are LLVM selects. ``exp`` and what follows from it are polynomials:
Numba's wheels carry no vector mathematics library, and a call per neuron would cost ten times as much.
The reduction is Cody and Waite's (Software Manual for the Elementary Functions, 1980, ch. 6), the
polynomial the Taylor series on [-ln2/2, ln2/2]; the error stays below 2 units in the last place. Results
that are nearly subnormal (below 3e-38 in float32) are zero: processors take a hundred cycles for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

_LOWEST = {types.float32: -86.5, types.float64: -707.0}  # below it e^x is zero
_TAYLOR = [1.0 / math.factorial(k) for k in range(15)]


def _choice(operator: str, name: str) -> Any:
    """An intrinsic that compares its argument with zero and gives one or zero."""

    def build(context: Any, u: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            zero, one = (ir.Constant(args[0].type, v) for v in (0.0, 1.0))
            return builder.select(builder.fcmp_ordered(operator, args[0], zero), one, zero)

        return u(u), codegen

    build.__name__ = name
    return intrinsic(build)


spike = _choice(">=", "spike")
spike_strict = _choice(">", "spike_strict")


@intrinsic
def where(context: Any, condition: Any, a: Any, b: Any) -> Any:
    """Choose without branching."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(args[0], args[1], args[2])

    return a(types.boolean, a, b), codegen


@njit(error_model="numpy", forceinline=True)
def minimum(a: Any, b: Any) -> Any:
    """Smaller value; a NaN stays one, as in torch."""
    return where((a <= b) | (a != a), a, b)


@njit(error_model="numpy", forceinline=True)
def maximum(a: Any, b: Any) -> Any:
    """Larger value; a NaN stays one, as in torch."""
    return where((a >= b) | (a != a), a, b)


@njit(error_model="numpy", forceinline=True)
def clip(a: Any, low: Any, high: Any) -> Any:
    """Keep a between two bounds; a NaN stays one."""
    return where(a < low, low, where(a > high, high, a))


@njit(error_model="numpy", forceinline=True)
def sign(a: Any) -> Any:
    """-1, 0 or 1."""
    return spike_strict(a) - spike_strict(-a)


@njit(error_model="numpy", forceinline=True)
def absolute(a: Any) -> Any:
    """Absolute value."""
    return abs(a)


@njit(error_model="numpy", forceinline=True)
def floor(a: Any) -> Any:
    """Largest whole number below."""
    return np.floor(a)


@njit(error_model="numpy", forceinline=True)
def rounded(a: Any) -> Any:
    """Nearest whole number, halves to even."""
    return np.rint(a)


@njit(error_model="numpy", forceinline=True)
def sqrt(a: Any) -> Any:
    """Square root."""
    return math.sqrt(a)


@njit(error_model="numpy", forceinline=True)
def log(a: Any) -> Any:
    """Natural logarithm."""
    return math.log(a)


@njit(error_model="numpy", forceinline=True)
def atan(a: Any) -> Any:
    """Arc tangent."""
    return math.atan(a)


@njit(error_model="numpy", forceinline=True)
def erf(a: Any) -> Any:
    """Error function."""
    return math.erf(a)


@intrinsic
def _power_of_two(context: Any, exponent: Any) -> Any:
    """2 to a whole power within the normal range, by writing the exponent bits of a float."""
    width, mantissa, bias = (32, 23, 127) if exponent == types.float32 else (64, 52, 1023)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = ir.IntType(width)
        biased = builder.add(builder.fptosi(args[0], whole), ir.Constant(whole, bias))
        return builder.bitcast(builder.shl(biased, ir.Constant(whole, mantissa)), args[0].type)

    return exponent(exponent), codegen


@intrinsic
def _multiply_add(context: Any, a: Any, b: Any, c: Any) -> Any:
    """A product and a sum in one instruction where the processor has it; for polynomials of our own only."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        form = ir.FunctionType(kind, [kind] * 3)
        function = builder.module.declare_intrinsic("llvm.fmuladd", [kind], form)
        return builder.call(function, args)

    return a(a, a, a), codegen


def _reduction(real: Any) -> tuple[Any, ...]:
    """Constants of ``exp`` in one dtype: bounds, 1/ln2, ln2 in two parts, and the coefficients of (e^r - 1)/r."""
    if real is np.float32:
        high, part, degree = 89.0, 0.693359375, 7
    else:
        high, part, degree = 710.0, 0.6931471803691238, 13
    rest = -2.12194440e-4 if real is np.float32 else 1.9082149292705877e-10
    coefficients = tuple(real(c) for c in _TAYLOR[1 : degree + 1])
    low = _LOWEST[types.float32 if real is np.float32 else types.float64]
    return real(low), real(high), real(1 / math.log(2)), real(-part), real(-rest), coefficients


def _polynomial(coefficients: tuple[Any, ...]) -> Callable[[Any], Any]:
    """Build ``r -> c0 + c1 r + c2 r^2 + ...`` pairwise (Estrin): a shorter chain than one coefficient after another.

    Written out and compiled as one function, since each function costs Numba a twentieth of a second.
    """

    def value(first: int, count: int) -> str:
        if count == 1:
            return f"c{first}"
        half = 1 << ((count - 1).bit_length() - 1)
        return f"fma({value(first + half, count - half)}, r{half}, {value(first, half)})"

    powers = [f"    r{2 * k} = r{k} * r{k}" for k in (1, 2, 4) if 2 * k < len(coefficients)]
    source = ["def polynomial(r1):", *powers, f"    return {value(0, len(coefficients))}"]
    names = {f"c{k}": c for k, c in enumerate(coefficients)} | {"fma": _multiply_add}
    exec("\n".join(source), names)
    return njit(error_model="numpy", forceinline=True)(names["polynomial"])


def _expm1_parts(real: Any) -> Callable[[Any], Any]:
    """Build ``x -> (q, scale)`` with ``e^x = (1 + q) scale 2``: the scale itself may lie outside the normal numbers."""
    low, high, per_ln2, part, rest, coefficients = _reduction(real)
    polynomial = _polynomial(coefficients)
    nothing, one = real(0), real(1)

    @njit(error_model="numpy", forceinline=True)
    def split(x: Any) -> Any:
        x = clip(x, low, high)
        n = np.rint(where(x == x, x, nothing) * per_ln2)
        r = _multiply_add(n, rest, _multiply_add(n, part, x))
        return polynomial(r) * r, _power_of_two(n - one)

    return split


_SPLIT = {types.float32: _expm1_parts(np.float32), types.float64: _expm1_parts(np.float64)}


def exp(x: Any) -> Any:
    """E to the power x."""
    return math.exp(x)


def sigmoid(x: Any) -> Any:
    """Logistic function."""
    return 1.0 / (1.0 + math.exp(-x))


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return math.tanh(x)


@overload(exp, jit_options={"error_model": "numpy", "forceinline": True})
def _exp(x: Any) -> Any:
    split, nothing, one, two = _SPLIT[x], _number(x, 0), _number(x, 1), _number(x, 2)
    lowest = _number(x, _LOWEST[x])

    def implementation(x: Any) -> Any:
        q, scale = split(x)
        return where(x < lowest, nothing, ((one + q) * scale) * two)

    return implementation


@overload(sigmoid, jit_options={"error_model": "numpy", "forceinline": True})
def _sigmoid(x: Any) -> Any:
    split, one, two = _SPLIT[x], _number(x, 1), _number(x, 2)

    def implementation(x: Any) -> Any:
        q, scale = split(-x)
        return one / (one + ((one + q) * scale) * two)

    return implementation


@overload(tanh, jit_options={"error_model": "numpy", "forceinline": True})
def _tanh(x: Any) -> Any:
    split, one, two = _SPLIT[x], _number(x, 1), _number(x, 2)
    # Beyond it the value is one to the last place.
    far = _number(x, 10 if x == types.float32 else 20)

    def implementation(x: Any) -> Any:
        q, half = split(two * clip(x, -far, far))
        # e^2x - 1 without cancellation where x is small.
        scale = half * two
        m = q * scale + (scale - one)
        return m / (m + two)

    return implementation


def _number(kind: Any, value: float) -> Any:
    return (np.float32 if kind == types.float32 else np.float64)(value)


@njit(error_model="numpy")
def row_sum(row: Any) -> Any:
    """Sum of a row in float64, in an order that its length alone decides: eight sums side by side, then these."""
    a = b = c = d = e = f = g = h = 0.0
    whole = np.uint64(row.size // 8 * 8)
    for i in range(np.uint64(0), whole, np.uint64(8)):
        a += row[i]
        b += row[i + np.uint64(1)]
        c += row[i + np.uint64(2)]
        d += row[i + np.uint64(3)]
        e += row[i + np.uint64(4)]
        f += row[i + np.uint64(5)]
        g += row[i + np.uint64(6)]
        h += row[i + np.uint64(7)]
    for i in range(whole, np.uint64(row.size)):
        a += row[i]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@njit(error_model="numpy")
def blank(row: Any) -> None:
    """Fill a row with zeros; NumPy's own way takes Numba half a second to compile."""
    for i in range(row.size):
        row[i] = 0
