"""Record a neuron's ``step`` once, with proxies, in the author's own order of operations.

torch.fx does the recording. What cannot be an equation is refused with the line it stands on: a
branch on data, an operator that changes its operand in place, a call that is no primitive.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NoReturn

import numpy as np
import torch
from torch import fx

from spikesim.dynamics.naming import AuthorNames, is_authors, unique
from spikesim.dynamics.primitives import BY_TARGET, PRIMITIVES
from spikesim.dynamics.program import Instruction, Merge, Operand, Program, live
from spikesim.dynamics.reserved import is_reserved
from spikesim.errors import SpikesimError, TraceError

Step = Callable[..., tuple[Any, Mapping[str, Any]]]


class StepProxy(fx.Proxy):
    """A value of a step that is being recorded."""

    __array_ufunc__ = None  # NumPy's functions refuse it; a NumPy number leaves arithmetic to the proxy

    def _refuse_in_place(self, other: Any) -> NoReturn:
        raise TraceError(
            f"{_where()}: an in-place operator would change the caller's state; write `v = v + x`, not `v += x`"
        )

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ifloordiv__ = __ipow__ = __imod__ = _refuse_in_place

    def _refuse_parts(self, *_: Any) -> NoReturn:
        raise TraceError(f"{_where()}: a value of a step cannot be indexed, iterated over or unpacked")

    __iter__ = __getitem__ = _refuse_parts

    def __round__(self, *_: Any) -> NoReturn:
        raise TraceError(f"{_where()}: round() cannot be recorded; use spikesim.dynamics.rounded(a)")

    def __float__(self) -> NoReturn:
        raise TraceError(f"{_where()}: the functions of `math` take numbers; use those of spikesim.dynamics, as exp(a)")

    def clamp(self, min: Any = None, max: Any = None) -> Any:
        """As a tensor's, with one bound or two."""
        if min is None or max is None:
            bound = max if min is None else min
            if bound is None:
                raise TraceError(f"{_where()}: clamp needs at least one bound")
            return self.tracer.create_proxy(
                "call_function", torch.minimum if min is None else torch.maximum, (self, bound), {}
            )
        return self.tracer.create_proxy("call_function", torch.clamp, (self, min, max), {})

    clip = clamp

    def __pow__(self, exponent: Any) -> Any:
        if not isinstance(exponent, int) or not 1 <= exponent <= 8:
            raise TraceError(f"{_where()}: only whole powers from 1 to 8 are equations here; use exp(k * log(v))")
        power: Any = self
        for _ in range(exponent - 1):
            power = power * self
        return power


class _Located:
    """Turns what goes wrong while a step is recorded into an error that names the line."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not isinstance(error, Exception) or isinstance(error, SpikesimError):
            return
        where = self._name
        while at is not None:
            if is_authors(at.tb_frame):
                where = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}"
            at = at.tb_next
        raise TraceError(
            f"{where}: {error} ({type(error).__name__}, while the step of {self._name} was recorded); a step is "
            "arithmetic on its arguments and the functions of spikesim.dynamics"
        ) from error


class StepTracer(fx.Tracer):
    """Records into a graph of its own and refuses what is no equation."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = fx.Graph()

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Wrap a node so that arithmetic on it is recorded."""
        return StepProxy(node, self)

    def input(self, name: str) -> fx.Proxy:
        """A named input of the step."""
        return self.create_proxy("placeholder", name, (), {})

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, name: str | None = None, *rest: Any) -> Any:
        """Record one operation, marked with the line it stands on."""
        if target is torch.clamp and (kwargs or len(args) != 3):
            return args[0].clamp(*args[1:], **kwargs)
        proxy = super().create_proxy(kind, target, args, kwargs, name, *rest)
        proxy.node.meta["where"] = _where()
        return proxy

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Refuse a branch on data."""
        raise TraceError(f"{_where()}: a Python branch on data cannot be compiled; use where(condition, a, b)")

    def create_arg(self, a: Any) -> Any:
        """Refuse a tensor from outside: a constant of the equations is a number or a parameter."""
        if isinstance(a, np.generic):
            return super().create_arg(a.item())
        if isinstance(a, (torch.Tensor, np.ndarray)):
            what = "a tensor" if isinstance(a, torch.Tensor) else "an array"
            raise TraceError(
                f"{_where()}: a step may hold its inputs and plain numbers, not {what}; declare it in `params`"
            )
        return super().create_arg(a)


def record(
    step: Step,
    states: tuple[str, ...],
    params: tuple[str, ...],
    name: str,
    draws: tuple[str, ...] = (),
    substeps: int = 1,
    merge: Merge = "last",
) -> Program:
    """Record ``step(x, **states, **params, **draws) -> (emitted, {state: new value})``.

    Args:
        step: the bound ``step`` of a neuron.
        states: names of its states.
        params: names of its parameters.
        name: how error messages call the neuron.
        draws: names of the uniform random numbers that it receives.
        substeps: how often it runs per time step.
        merge: what of the sub-steps' emissions is emitted.

    Raises:
        TraceError: the step is not made of primitives, or returns something else than it declares.

    >>> print(record(lambda x, *, v: (v + x, {"v": x * 0.5}), ("v",), (), "accumulator"))
    add = add(v, x)
    v_next = mul(x, 0.5)
    emit add
    v' = v_next
    """
    tracer = StepTracer()
    inputs = {k: tracer.input(k) for k in ("x", *states, *params, *draws)}
    if len(inputs) != 1 + len(states) + len(params) + len(draws):
        raise TraceError(f"{name}: x, the states {states}, the parameters {params} and the draws {draws} must differ")
    with AuthorNames() as authors, _Located(name):
        result = step(inputs.pop("x"), **inputs)
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping)):
        raise TraceError(f"{name}.step must return (emitted value, {{state: new value}})")
    emitted, carried = result
    if set(carried) != set(states):
        raise TraceError(f"{name}.step returned the states {sorted(carried)}, but declares {sorted(states)}")
    wanted = {carried[s].node: s for s in reversed(states) if isinstance(carried[s], fx.Proxy)}
    wanted |= {node: name for node, name in authors.names.items() if not is_reserved(name)}
    wanted = {node: f"{name}_next" if name in states else name for node, name in wanted.items()}
    body, operand = instructions(tracer.graph, wanted)
    out, new = operand(emitted), tuple(operand(carried[s]) for s in states)
    conditions = {i.name for i in body if PRIMITIVES[i.primitive].boolean}
    if conditions & {out, *new}:
        raise TraceError("a step emits and carries numbers; where(condition, 1.0, 0.0) makes one of a condition")
    return Program(states, params, live(body, (out, *new)), out, new, draws, substeps, merge)


def instructions(graph: fx.Graph, wanted: Mapping[fx.Node, str]) -> tuple[list[Instruction], Callable[[Any], Operand]]:
    """The instructions of a graph, each distinct expression once, and the operand that a value became.

    Args:
        graph: what was recorded.
        wanted: names for some of its nodes, the most wanted last.
    """
    body: list[Instruction] = []
    operands: dict[fx.Node, Operand] = {n: str(n.target) for n in graph.nodes if n.op == "placeholder"}
    taken = {str(name) for name in operands.values()}
    names = {n: unique(w, taken) for n, w in reversed(list(wanted.items())) if n not in operands}
    seen: dict[tuple[Any, ...], str] = {}
    conditions: set[Operand] = set()

    def operand(value: Any) -> Operand:
        if isinstance(value, fx.Proxy):
            value = value.node
        if isinstance(value, fx.Node):
            return operands[value]
        if isinstance(value, (int, float)):
            if not math.isfinite(value):
                raise TraceError(f"a constant of a step is {value}, but it must be finite")
            return float(value)
        raise TraceError(f"a step may hold its inputs and plain numbers, not a {type(value).__name__}")

    for node in graph.nodes:
        if node.op == "placeholder":
            continue
        primitive = BY_TARGET.get(node.target)
        if primitive is None or node.kwargs:
            raise TraceError(
                f"{node.meta.get('where', 'step')}: `{_called(node)}` is not a primitive of the equation language; "
                "see spikesim.dynamics.ops for those that are"
            )
        args = tuple(operand(a) for a in node.args)
        _check_conditions(primitive, node, args, conditions)
        # -0.0 and 0.0 are equal keys but different numbers.
        key = (primitive, *(repr(a) if isinstance(a, float) else a for a in args))
        if key not in seen:
            seen[key] = names[node] if node in names else unique(primitive, taken)
            body.append(Instruction(seen[key], primitive, args))
            if PRIMITIVES[primitive].boolean:
                conditions.add(seen[key])
        operands[node] = seen[key]
    return body, operand


def _check_conditions(primitive: str, node: fx.Node, args: tuple[Operand, ...], conditions: set[Operand]) -> None:
    """Only a condition decides a ``where``, and it goes nowhere else; the bounds of a clip are numbers."""
    where = node.meta.get("where", "step")
    for k, arg in enumerate(args):
        if (arg in conditions) != (primitive == "where" and k == 0):
            raise TraceError(
                f"{where}: `{primitive}` mixes a condition with numbers; where(condition, 1.0, 0.0) makes one of it"
            )
    if primitive == "clip" and any(isinstance(a, str) for a in args[1:]):
        raise TraceError(f"{where}: the bounds of clip must be plain numbers; use minimum(maximum(a, low), high)")


def _called(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.target))


def _where() -> str:
    """The innermost line outside this package's machinery and torch: the author's own."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        if is_authors(frame):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return "step"
