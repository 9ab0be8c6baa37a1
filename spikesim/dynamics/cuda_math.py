"""The functions that CUDA kernels call, and how they reach memory.

Each function exists once per dtype, in plain Python: compiled it is inlined into the kernel, and choices
become selects; under Numba's simulator (``NUMBA_ENABLE_CUDASIM=1``) the same lines run as they stand.
Kernels get addresses, not arrays: an array argument costs microseconds per launch, bfloat16 has none, and
indexing a bare pointer needs no test for negative indices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, cuda, njit, types
from numba.extending import intrinsic

from spikesim.dynamics import counter, memory

_SIMULATED = bool(config.ENABLE_CUDASIM)


def device(function: Callable[..., Any]) -> Any:
    """Make a function callable from kernels, where it leaves no call behind."""
    return function if _SIMULATED else cuda.jit(device=True, forceinline=True)(function)


def _pointer(element: Any) -> Any:
    """The pointer to elements of one type at an int64 address; a simulated kernel gets an array in its place."""
    if _SIMULATED:
        return lambda array: array

    @intrinsic
    def at(context: Any, address: Any) -> Any:
        kind = types.CPointer(element)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(kind))

        return kind(address), codegen

    return at


float32_at, float64_at = _pointer(types.float32), _pointer(types.float64)
uint16_at, uint8_at, int64_at = _pointer(types.uint16), _pointer(types.uint8), _pointer(types.int64)


@intrinsic
def _fresh(context: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(args[0].type, [args[0].type])
        return builder.asm(kind, "mov.b64 $0, $1;", "=l,l", args, side_effect=True)

    return value(value), codegen


# The same integer, of which the compiler no longer knows that it is the same in every turn of a loop: else it works
# out dozens of addresses before the loop and holds them in registers, of which the threads then have too few.
fresh = (lambda value: value) if _SIMULATED else _fresh


def _converter(name: str) -> Any:
    compiled = getattr(memory, name)
    # An intrinsic is nothing that Python could call.
    return njit(lambda value: compiled(value)) if _SIMULATED else compiled


from_bfloat16, to_bfloat16 = _converter("from_bfloat16"), _converter("to_bfloat16")
from_float16, to_float16 = _converter("from_float16"), _converter("to_float16")


def _uniform(seed: Any, step: Any, draw: Any, neuron: Any) -> Any:
    return counter.uniform(counter.key(seed, step, draw), neuron)


# The simulator hands numbers on as Python's, which no longer know that a key is unsigned: it compiles the pair.
uniform = njit(_uniform) if _SIMULATED else device(_uniform)


def _rounding(name: str, real: Any) -> Any:
    if _SIMULATED:
        return getattr(np, name)
    from numba.cuda import libdevice

    return getattr(libdevice, name + ("f" if real is np.float32 else ""))


def _elementary(real: Any) -> dict[str, Any]:
    """What hardware or its library knows; the simulator asks NumPy, which keeps float32 and overflows to infinity."""
    names = {"exp": "exp", "log": "log", "sqrt": "sqrt", "tanh": "tanh", "atan": "arctan"}
    known = {name: getattr(np, numpys) if _SIMULATED else getattr(math, name) for name, numpys in names.items()}

    @device
    def erf(a: Any) -> Any:
        return real(math.erf(a))

    return {**known, "erf": erf, "floor": _rounding("floor", real), "rounded": _rounding("rint", real)}


def _choices(real: Any) -> dict[str, Any]:
    zero, one = real(0), real(1)

    @device
    def spike(u: Any) -> Any:
        return one if u >= zero else zero

    @device
    def spike_strict(u: Any) -> Any:
        return one if u > zero else zero

    @device
    def sign(a: Any) -> Any:
        return (one if a > zero else zero) - (one if a < zero else zero)

    @device
    def where(condition: Any, a: Any, b: Any) -> Any:
        return a if condition else b

    @device
    def absolute(a: Any) -> Any:
        return abs(a)

    # A NaN stays one, as in torch.
    @device
    def minimum(a: Any, b: Any) -> Any:
        return a if a <= b or a != a else b

    @device
    def maximum(a: Any, b: Any) -> Any:
        return a if a >= b or a != a else b

    @device
    def clip(a: Any, low: Any, high: Any) -> Any:
        return low if a < low else high if a > high else a

    return {f.__name__: f for f in (spike, spike_strict, sign, where, absolute, minimum, maximum, clip)}


def _functions(real: Any) -> SimpleNamespace:
    elementary, one = _elementary(real), real(1)
    exp = elementary["exp"]

    @device
    def sigmoid(x: Any) -> Any:
        return one / (one + exp(-x))

    return SimpleNamespace(**elementary, **_choices(real), sigmoid=sigmoid)


float32, float64 = _functions(np.float32), _functions(np.float64)
