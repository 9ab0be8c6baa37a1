"""Record a neuron's ``step`` once, with proxies, in the author's own order of operations.

torch.fx does the recording. What cannot be an equation is refused with the line it stands on: a
branch on data, an operator that changes its operand in place, a call that is no primitive.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import torch
from torch import fx

from spikesim.dynamics.primitives import BY_TARGET, PRIMITIVES
from spikesim.dynamics.program import Instruction, Operand, Program, live
from spikesim.errors import TraceError

Step = Callable[..., tuple[Any, Mapping[str, Any]]]


class StepProxy(fx.Proxy):
    """A value of a step that is being recorded."""

    def _refuse_in_place(self, other: Any) -> NoReturn:
        raise TraceError(
            f"{_where()}: an in-place operator would change the caller's state; write `v = v + x`, not `v += x`"
        )

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ifloordiv__ = __ipow__ = __imod__ = _refuse_in_place

    def _refuse_parts(self, *_: Any) -> NoReturn:
        raise TraceError(f"{_where()}: a value of a step cannot be indexed, iterated over or unpacked")

    __iter__ = __getitem__ = _refuse_parts

    def __pow__(self, exponent: Any) -> Any:
        if not isinstance(exponent, int) or not 1 <= exponent <= 8:
            raise TraceError(f"{_where()}: only whole powers from 1 to 8 are equations here; use exp(k * log(v))")
        power: Any = self
        for _ in range(exponent - 1):
            power = power * self
        return power


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
        """Record one operation, named after its primitive and marked with the line it stands on."""
        proxy = super().create_proxy(kind, target, args, kwargs, name or BY_TARGET.get(target), *rest)
        proxy.node.meta["where"] = _where()
        return proxy

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Refuse a branch on data."""
        raise TraceError(f"{_where()}: a Python branch on data cannot be compiled; use where(condition, a, b)")

    def create_arg(self, a: Any) -> Any:
        """Refuse a tensor from outside: a constant of the equations is a number or a parameter."""
        if isinstance(a, torch.Tensor):
            raise TraceError(
                f"{_where()}: a step may hold its inputs and plain numbers, not a tensor; declare it in `params`"
            )
        return super().create_arg(a)


def record(step: Step, states: tuple[str, ...], params: tuple[str, ...], name: str) -> Program:
    """Record ``step(x, **states, **params) -> (emitted, {state: new value})``.

    Args:
        step: the bound ``step`` of a neuron.
        states: names of its states.
        params: names of its parameters.
        name: how error messages call the neuron.

    Raises:
        TraceError: the step is not made of primitives, or returns something else than it declares.

    >>> print(record(lambda x, *, v: (v + x, {"v": v + x}), ("v",), (), "accumulator"))
    add = add(v, x)
    emit add
    v' = add
    """
    tracer = StepTracer()
    inputs = {k: tracer.input(k) for k in ("x", *states, *params)}
    if len(inputs) != 1 + len(states) + len(params):
        raise TraceError(f"{name}: x, the states {states} and the parameters {params} need names of their own")
    result = step(inputs.pop("x"), **inputs)
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping)):
        raise TraceError(f"{name}.step must return (emitted value, {{state: new value}})")
    emitted, carried = result
    if set(carried) != set(states):
        raise TraceError(f"{name}.step returned the states {sorted(carried)}, but declares {sorted(states)}")
    return program_of(tracer.graph, states, params, emitted, tuple(carried[s] for s in states))


def program_of(
    graph: fx.Graph, states: tuple[str, ...], params: tuple[str, ...], output: Any, carried: tuple[Any, ...]
) -> Program:
    """Turn a recorded graph into a program, sharing equal subexpressions and dropping unused ones."""
    body, operand = instructions(graph)
    out, new = operand(output), tuple(operand(c) for c in carried)
    conditions = {i.name for i in body if PRIMITIVES[i.primitive].boolean}
    if conditions & {out, *new}:
        raise TraceError("a step emits and carries numbers; where(condition, 1.0, 0.0) makes one of a condition")
    return Program(states, params, live(body, (out, *new)), out, new)


def instructions(graph: fx.Graph) -> tuple[list[Instruction], Callable[[Any], Operand]]:
    """The instructions of a graph, each distinct expression once, and the operand that a value became."""
    body: list[Instruction] = []
    names: dict[fx.Node, Operand] = {}
    seen: dict[tuple[Any, ...], str] = {}
    conditions: set[Operand] = set()

    def operand(value: Any) -> Operand:
        if isinstance(value, fx.Proxy):
            value = value.node
        if isinstance(value, fx.Node):
            return names[value]
        if isinstance(value, (int, float)):
            if not math.isfinite(value):
                raise TraceError(f"a constant of a step is {value}, but it must be finite")
            return float(value)
        raise TraceError(f"a step may hold its inputs and plain numbers, not a {type(value).__name__}")

    for node in graph.nodes:
        if node.op == "placeholder":
            names[node] = str(node.target)
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
            seen[key] = node.name
            body.append(Instruction(node.name, primitive, args))
            if PRIMITIVES[primitive].boolean:
                conditions.add(node.name)
        names[node] = seen[key]
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
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(("torch.", "spikesim.dynamics")):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return "step"
