"""The functions that a neuron's ``step`` may call, beside ``+ - * /``, unary minus and comparisons.

Each works on tensors (the reference path, differentiable by autograd), on recording proxies (the
kernel path) and on plain floats. ``spike``, ``floor`` and ``round`` have gradients of their own; the
others follow torch, ties included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

if TYPE_CHECKING:
    from spikesim.dynamics.surrogates import Surrogate

Value = Any  # a tensor, a recording proxy or a float: one step serves all three


def _proxy(function: Callable[..., Value], args: tuple[Value, ...]) -> fx.Proxy | None:
    for arg in args:
        if isinstance(arg, fx.Proxy):
            return arg.tracer.create_proxy("call_function", function, args, {})
    return None


def _unary(
    name: str, tensor: Callable[[torch.Tensor], torch.Tensor], number: Callable[[float], float], doc: str
) -> Callable[[Value], Value]:
    def function(a: Value) -> Value:
        proxy = _proxy(function, (a,))
        if proxy is not None:
            return proxy
        return tensor(a) if isinstance(a, torch.Tensor) else number(a)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}\n\n>>> {name}(0.25)\n{number(0.25)!r}\n"
    return function


exp = _unary("exp", torch.exp, math.exp, "e to the power a.")
log = _unary("log", torch.log, math.log, "Natural logarithm.")
sqrt = _unary("sqrt", torch.sqrt, math.sqrt, "Square root.")
tanh = _unary("tanh", torch.tanh, math.tanh, "Hyperbolic tangent.")
sigmoid = _unary(
    "sigmoid",
    torch.sigmoid,
    lambda a: 1.0 / (1.0 + math.exp(-a)) if a >= 0 else math.exp(a) / (1.0 + math.exp(a)),
    "Logistic function.",
)
atan = _unary("atan", torch.atan, math.atan, "Arc tangent.")
erf = _unary("erf", torch.erf, math.erf, "Error function.")
sign = _unary("sign", torch.sign, lambda a: float((a > 0) - (a < 0)), "Sign; gradient 0.")
absolute = _unary("absolute", torch.abs, abs, "Absolute value; gradient 0 at 0, as in torch.")
detach = _unary("detach", torch.Tensor.detach, float, "The value with gradient 0.")


class _StraightThrough(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(a: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        return function(a)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        pass  # the gradient passes unchanged: nothing to keep

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, None]:
        return grads[0], None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return tangents[0].clone()


def _straight_through(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda a: _StraightThrough.apply(a, function)  # type: ignore[no-untyped-call]


floor = _unary(
    "floor", _straight_through(torch.floor), lambda a: float(math.floor(a)), "Floor; straight-through gradient 1."
)
rounded = _unary(
    "rounded",
    _straight_through(torch.round),
    lambda a: float(round(a)),
    "Nearest integer, halves to even; straight-through gradient 1.",
)


def minimum(a: Value, b: Value) -> Value:
    """Smaller of two values; at a tie each side gets half of the gradient, as in torch.

    >>> minimum(torch.tensor([1.0, 3.0]), 2.0)
    tensor([1., 2.])
    """
    proxy = _proxy(minimum, (a, b))
    if proxy is not None:
        return proxy
    return torch.minimum(*_tensors(a, b)) if _has_tensor(a, b) else min(a, b)


def maximum(a: Value, b: Value) -> Value:
    """Larger of two values; at a tie each side gets half of the gradient, as in torch.

    >>> maximum(torch.tensor([1.0, 3.0]), 2.0)
    tensor([2., 3.])
    """
    proxy = _proxy(maximum, (a, b))
    if proxy is not None:
        return proxy
    return torch.maximum(*_tensors(a, b)) if _has_tensor(a, b) else max(a, b)


def clip(a: Value, low: float, high: float) -> Value:
    """``a`` kept between two constants; gradient 1 inside and on the bounds, 0 outside.

    >>> clip(torch.tensor([-2.0, 0.5, 2.0]), -1.0, 1.0)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    proxy = _proxy(clip, (a, low, high))
    if proxy is not None:
        return proxy
    return torch.clamp(a, low, high) if _has_tensor(a) else max(low, min(high, a))


def where(condition: Value, a: Value, b: Value) -> Value:
    """``a`` where the condition holds, ``b`` elsewhere; both are computed, no branch is taken.

    Two plain numbers give torch's default dtype, which matters in a float64 run for numbers that float32 rounds.

    >>> where(torch.tensor([True, False]), torch.tensor(1.0), torch.tensor(2.0))
    tensor([1., 2.])
    """
    proxy = _proxy(where, (condition, a, b))
    if proxy is not None:
        return proxy
    return torch.where(condition, a, b) if _has_tensor(condition) else (a if condition else b)


def _has_tensor(*values: Value) -> bool:
    return any(isinstance(v, torch.Tensor) for v in values)


def _tensors(a: Value, b: Value) -> tuple[torch.Tensor, torch.Tensor]:
    like = a if isinstance(a, torch.Tensor) else b
    return tuple(v if isinstance(v, torch.Tensor) else torch.full_like(like, v) for v in (a, b))  # type: ignore[return-value]


class _Spike(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(u: torch.Tensor, surrogate: Surrogate, strict: bool) -> torch.Tensor:
        return (u > 0 if strict else u >= 0).to(u.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        u, ctx.surrogate, _ = inputs
        ctx.save_for_backward(u)
        ctx.save_for_forward(u)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, None, None]:
        (u,) = ctx.saved_tensors
        return grads[0] * ctx.surrogate.derivative(u), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        (u,) = ctx.saved_tensors
        return tangents[0] * ctx.surrogate.derivative(u)


def step_with_gradient(u: Value, derivative: Value) -> Value:
    """Recorded form of a spike: 1 where ``u >= 0``, with ``derivative`` as its local gradient."""
    return _proxy(step_with_gradient, (u, derivative))


def strict_step_with_gradient(u: Value, derivative: Value) -> Value:
    """Recorded form of a strict spike: 1 where ``u > 0``, with ``derivative`` as its local gradient."""
    return _proxy(strict_step_with_gradient, (u, derivative))


def smooth_with_gradient(u: Value, derivative: Value, value: Value) -> Value:
    """Recorded form of a smoothed spike: ``value`` with ``derivative`` as its gradient to ``u``."""
    return _proxy(smooth_with_gradient, (u, derivative, value))


def spike(u: Value, surrogate: Surrogate, *, strict: bool = False, width: Value = None) -> Value:
    """Fire where the potential, threshold already subtracted, reaches zero.

    Args:
        u: potential minus threshold.
        surrogate: gives the derivative that stands in for the Dirac pulse.
        strict: fire on ``u > 0`` instead of ``u >= 0``; ties are common with integer inputs.
        width: optional factor by which the surrogate is stretched along u (its area is kept).

    Returns:
        1 where it fires, 0 elsewhere, in the dtype of ``u``.

    >>> import torch
    >>> from spikesim.dynamics.surrogates import ATan
    >>> spike(torch.tensor([-0.1, 0.0, 0.1]), ATan())
    tensor([0., 1., 1.])
    """
    if width is not None:
        surrogate = surrogate.stretched(width)
    if isinstance(u, fx.Proxy):
        derivative = surrogate.derivative(u)
        if surrogate.smooth:
            return smooth_with_gradient(u, derivative, surrogate.primitive(u))
        return (strict_step_with_gradient if strict else step_with_gradient)(u, derivative)
    if surrogate.smooth:
        return surrogate.primitive(u)
    return _Spike.apply(u, surrogate, strict)  # type: ignore[no-untyped-call]
