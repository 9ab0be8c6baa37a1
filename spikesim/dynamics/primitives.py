"""The table of primitives: what a recorded step may consist of, how it is emitted and how it derives.

A smooth primitive is one expression, whose local derivatives SymPy gives once, on first use. A
primitive with a corner or a jump declares its derivatives, following torch where torch has an opinion.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from spikesim.dynamics import ops

Value = ops.Value
Local = Callable[[tuple[Value, ...]], Value] | float  # a local derivative: a constant or a function of the arguments


@dataclass(frozen=True)
class Primitive:
    """One operation of a recorded step.

    Args:
        name: how the record calls it.
        function: what applies it to proxies (and so to tensors).
        source: source text, with ``{0}``, ``{1}``, ... for the arguments; functions are those of ``cpu_math``.
        expression: for a smooth primitive, the SymPy expression in ``a``, ``b``.
        derivatives: for any other, one local derivative per argument.
        boolean: whether the result is a condition rather than a number.
        level: how tightly the source binds, for parentheses; a call binds most.
    """

    name: str
    function: Callable[..., Value]
    source: str
    expression: str | None = None
    derivatives: tuple[Local, ...] = ()
    boolean: bool = False
    level: int = 9


ATOM = 9  # a name, a number or a call
_SUM, _PRODUCT, _SIGN, _COMPARISON = 2, 3, 4, 1


def _select(condition: Value) -> Value:
    return ops.where(condition, 1.0, 0.0)


def _tie(smaller: bool) -> Local:
    def local(args: tuple[Value, ...]) -> Value:
        a, b = args
        wins = ops.where(a < b, 1.0, 0.0) if smaller else ops.where(a > b, 1.0, 0.0)
        return ops.where(a == b, 0.5, wins)

    return local


def _second(local: Local) -> Local:
    return lambda args: 1.0 - local(args)  # type: ignore[operator]


_SMOOTH = [
    Primitive("add", operator.add, "{0} + {1}", "a + b", level=_SUM),
    Primitive("sub", operator.sub, "{0} - {1}", "a - b", level=_SUM),
    Primitive("mul", operator.mul, "{0} * {1}", "a * b", level=_PRODUCT),
    Primitive("div", operator.truediv, "{0} / {1}", "a / b", level=_PRODUCT),
    Primitive("neg", operator.neg, "-{0}", "-a", level=_SIGN),
    Primitive("exp", ops.exp, "exp({0})", "exp(a)"),
    Primitive("log", ops.log, "log({0})", "log(a)"),
    Primitive("sqrt", ops.sqrt, "sqrt({0})", "sqrt(a)"),
    Primitive("tanh", ops.tanh, "tanh({0})", "tanh(a)"),
    Primitive("atan", ops.atan, "atan({0})", "atan(a)"),
    Primitive("erf", ops.erf, "erf({0})", "erf(a)"),
]

_LESS = _tie(smaller=True)
_MORE = _tie(smaller=False)


def _sigmoid_slope(args: tuple[Value, ...]) -> Value:
    # In terms of the value itself: the textbook quotient of exponentials overflows.
    s = ops.sigmoid(args[0])
    return s * (1.0 - s)


def _inside(args: tuple[Value, ...]) -> Value:
    return ops.where(args[0] < args[1], 0.0, ops.where(args[0] > args[2], 0.0, 1.0))


def _comparison(name: str, function: Callable[..., Value], sign: str) -> Primitive:
    return Primitive(name, function, f"{{0}} {sign} {{1}}", derivatives=(0.0, 0.0), boolean=True, level=_COMPARISON)


_DECLARED = [
    Primitive("sigmoid", ops.sigmoid, "sigmoid({0})", derivatives=(_sigmoid_slope,)),
    Primitive("abs", ops.absolute, "absolute({0})", derivatives=(lambda args: ops.sign(args[0]),)),
    Primitive("sign", ops.sign, "sign({0})", derivatives=(0.0,)),
    Primitive("detach", ops.detach, "{0}", derivatives=(0.0,), level=_SIGN),
    Primitive("floor", ops.floor, "floor({0})", derivatives=(1.0,)),
    Primitive("round", ops.rounded, "rounded({0})", derivatives=(1.0,)),
    Primitive("minimum", ops.minimum, "minimum({0}, {1})", derivatives=(_LESS, _second(_LESS))),
    Primitive("maximum", ops.maximum, "maximum({0}, {1})", derivatives=(_MORE, _second(_MORE))),
    Primitive("clip", ops.clip, "clip({0}, {1}, {2})", derivatives=(_inside, 0.0, 0.0)),
    Primitive(
        "where",
        ops.where,
        "where({0}, {1}, {2})",
        derivatives=(0.0, lambda args: _select(args[0]), lambda args: ops.where(args[0], 0.0, 1.0)),
    ),
    _comparison("gt", operator.gt, ">"),
    _comparison("ge", operator.ge, ">="),
    _comparison("lt", operator.lt, "<"),
    _comparison("le", operator.le, "<="),
    _comparison("eq", operator.eq, "=="),
    Primitive("spike", ops.step_with_gradient, "spike({0})", derivatives=(lambda args: args[1], 0.0)),
    Primitive(
        "spike_strict", ops.strict_step_with_gradient, "spike_strict({0})", derivatives=(lambda args: args[1], 0.0)
    ),
    Primitive("smooth", ops.smooth_with_gradient, "{2}", derivatives=(lambda args: args[1], 0.0, 0.0), level=_SIGN),
]

# What the emitted source calls beside its own variables.
FUNCTIONS = frozenset(p.source.split("(")[0] for p in _SMOOTH + _DECLARED if "(" in p.source)

PRIMITIVES: dict[str, Primitive] = {p.name: p for p in _SMOOTH + _DECLARED}

# What an author may write in a step, by the function or method that torch.fx records.
BY_TARGET: dict[Any, str] = {p.function: p.name for p in PRIMITIVES.values()} | {
    operator.abs: "abs", abs: "abs", torch.abs: "abs", torch.exp: "exp", torch.log: "log", torch.sqrt: "sqrt",
    torch.tanh: "tanh", torch.sigmoid: "sigmoid", torch.atan: "atan", torch.erf: "erf", torch.sign: "sign",
    torch.where: "where", torch.minimum: "minimum", torch.maximum: "maximum", torch.clamp: "clip",
    torch.add: "add", torch.sub: "sub", torch.mul: "mul", torch.div: "div", torch.neg: "neg",
    "abs": "abs", "exp": "exp", "log": "log", "sqrt": "sqrt", "tanh": "tanh", "sigmoid": "sigmoid",
    "atan": "atan", "erf": "erf", "sign": "sign", "detach": "detach", "clamp": "clip", "add": "add", "sub": "sub",
    "mul": "mul", "div": "div", "neg": "neg",
}  # fmt: skip


@cache
def local_derivatives(name: str) -> tuple[Local, ...]:
    """Local derivative of a primitive to each argument: a constant, or a function of the arguments.

    >>> mul = local_derivatives("mul")
    >>> mul[0]((3.0, 5.0)), local_derivatives("sub")[1]
    (5.0, -1.0)
    """
    primitive = PRIMITIVES[name]
    if primitive.expression is None:
        return primitive.derivatives
    import sympy

    expression = sympy.sympify(
        primitive.expression, locals={"a": (a := sympy.Symbol("a")), "b": (b := sympy.Symbol("b"))}
    )
    symbols = [s for s in (a, b) if s in expression.free_symbols]
    return tuple(_as_local(sympy.diff(expression, s), symbols) for s in symbols)


def _as_local(derivative: Any, symbols: list[Any]) -> Local:
    import sympy

    if derivative.is_number:
        return float(derivative)
    names = {n: getattr(ops, n) for n in ("exp", "log", "sqrt", "tanh", "atan", "erf")}
    function = sympy.lambdify(symbols, derivative, modules=[names, {"pi": math.pi}])
    return lambda args: function(*args)
