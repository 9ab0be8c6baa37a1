"""Derive the backward of a recorded step by reverse accumulation over its record.

The forward run need not keep everything that the backward uses: a minimum cut through the record
finds the fewest values per step from which the rest follows. For LIF that is one, the potential
before the reset, which takes the place of the input.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from torch import fx

from spikesim.dynamics.disk import cache_folder, digest, store
from spikesim.dynamics.primitives import PRIMITIVES, local_derivatives
from spikesim.dynamics.program import Instruction, Operand, Program, live
from spikesim.dynamics.record import StepTracer, instructions

GRAD_OUTPUT = "grad_out"


def grad_of(name: str) -> str:
    """Name of the gradient of a value in the backward record."""
    return f"grad_{name}"


@dataclass(frozen=True)
class Backward:
    """The derived backward of one step.

    Args:
        saved: forward values that the forward run must keep, one number each per step and neuron.
        body: instructions from ``saved``, parameters, ``grad_out`` and ``grad_<state>`` to the results.
        grad_x: gradient to the input.
        grad_states: gradient to each state before the step.
        grad_params: gradient to each learnable parameter, by name.
    """

    saved: tuple[str, ...]
    body: tuple[Instruction, ...]
    grad_x: Operand
    grad_states: tuple[Operand, ...]
    grad_params: dict[str, Operand]


@lru_cache(maxsize=4096)
def derive(program: Program, wrt: tuple[str, ...] = ()) -> Backward:
    """Derive the backward of ``program``, with gradients to the parameters named in ``wrt``.

    >>> from spikesim.neurons import LIF
    >>> derive(LIF().program()).saved
    ('u',)
    """
    path = cache_folder() / f"{digest(program.text(), *wrt, *_own_sources())}.json"
    try:
        return _loaded(path.read_text())
    except (OSError, ValueError, KeyError, TypeError):
        derived = _derive(program, wrt)
    # Whoever cannot keep a derivation cannot keep its kernel either, and hears of it there.
    with contextlib.suppress(OSError):
        store(path, json.dumps(asdict(derived)))
    return derived


@cache
def _own_sources() -> tuple[str, ...]:
    return tuple(Path(__file__).with_name(f"{n}.py").read_text() for n in ("derive", "primitives", "ops", "record"))


def _loaded(text: str) -> Backward:
    raw = json.loads(text)
    body = tuple(Instruction(i["name"], i["primitive"], tuple(i["args"])) for i in raw["body"])
    return Backward(tuple(raw["saved"]), body, raw["grad_x"], tuple(raw["grad_states"]), raw["grad_params"])


def _derive(program: Program, wrt: tuple[str, ...]) -> Backward:
    tracer = StepTracer()
    values: dict[str, Any] = {n: tracer.input(n) for n in program.inputs}
    for instruction in program.body:
        args = [values[a] if isinstance(a, str) else a for a in instruction.args]
        values[instruction.name] = PRIMITIVES[instruction.primitive].function(*args)
    adjoint = _reverse(program, values, tracer.input)
    zero = 0.0
    wanted = {p.node: grad_of(name) for name, p in adjoint.items() if isinstance(p, fx.Proxy)}
    wanted |= {p.node: name for name, p in values.items() if isinstance(p, fx.Proxy)}
    body, operand = instructions(tracer.graph, wanted)
    grad_x = operand(adjoint.get("x", zero))
    grad_states = tuple(operand(adjoint.get(s, zero)) for s in program.states)
    grad_params = {p: operand(adjoint.get(p, zero)) for p in wrt}
    body = list(live(body, (grad_x, *grad_states, *grad_params.values())))
    forward = {operand(v) for v in values.values()}
    saved = _cheapest_saves(program, body, {n for n in forward if isinstance(n, str)})
    kept = [i for i in body if i.name not in saved]
    kept = list(live(kept, (grad_x, *grad_states, *grad_params.values())))
    return Backward(saved, tuple(kept), grad_x, grad_states, grad_params)


def _reverse(program: Program, values: dict[str, Any], new_input: Callable[[str], Any]) -> dict[str, Any]:
    """Gradient of every value of the record that has one."""
    adjoint: dict[str, Any] = {}

    def accumulate(target: Operand, contribution: Any, negative: bool = False) -> None:
        if not isinstance(target, str):
            return
        if target not in adjoint:
            adjoint[target] = -contribution if negative else contribution
        else:
            adjoint[target] = adjoint[target] - contribution if negative else adjoint[target] + contribution

    incoming = {s: new_input(grad_of(s)) for s in program.states}
    accumulate(program.output, new_input(GRAD_OUTPUT))
    for state, value in zip(program.states, program.carried):
        # A state may be carried unchanged: its gradient then passes straight to the step before.
        accumulate(value, incoming[state])
    for instruction in reversed(program.body):
        gradient = adjoint.get(instruction.name)
        if gradient is None:
            continue
        args = tuple(values[a] if isinstance(a, str) else a for a in instruction.args)
        for target, local in zip(instruction.args, local_derivatives(instruction.primitive)):
            if not isinstance(target, str) or local == 0.0:
                continue
            if local in (1.0, -1.0):
                accumulate(target, gradient, negative=local == -1.0)
            else:
                accumulate(target, gradient * (local if isinstance(local, float) else local(args)))
    return adjoint


def _cheapest_saves(program: Program, body: Sequence[Instruction], forward: set[str]) -> tuple[str, ...]:
    """The fewest forward values from which the backward can recompute every forward value it uses."""
    import networkx as nx

    free = _parameter_only(program)
    by_name = {i.name: i for i in body}
    needed = {
        a
        for i in body
        if i.name not in forward
        for a in i.args
        if isinstance(a, str) and a in forward and a not in free
    }
    if not needed:
        return ()
    graph = nx.DiGraph()
    source, sink = object(), object()
    pending, seen = list(needed), set(needed)
    for name in needed:
        graph.add_edge((name, "out"), sink)
    while pending:
        name = pending.pop()
        instruction = by_name.get(name)
        # A condition is cheap to recompute and awkward to store.
        graph.add_edge((name, "in"), (name, "out"), capacity=4 if _is_condition(instruction) else 1)
        if instruction is None:
            graph.add_edge(source, (name, "in"))
            continue
        for arg in instruction.args:
            if isinstance(arg, str) and arg not in free:
                graph.add_edge((arg, "out"), (name, "in"))
                if arg not in seen:
                    seen.add(arg)
                    pending.append(arg)
    residual = nx.algorithms.flow.shortest_augmenting_path(graph, source, sink)
    reached = _reachable(residual, source)
    # Of all minimum cuts, the one nearest the input: the potential rather than its distance to the threshold.
    order = [*program.inputs, *(i.name for i in program.body)]
    cut = {name for name in seen if (name, "in") in reached and (name, "out") not in reached}
    return tuple(sorted(cut, key=lambda n: order.index(n) if n in order else len(order)))


def _is_condition(instruction: Instruction | None) -> bool:
    return instruction is not None and PRIMITIVES[instruction.primitive].boolean


def _reachable(residual: Any, source: object) -> set[Any]:
    reached, pending = {source}, [source]
    while pending:
        node = pending.pop()
        for neighbour, edge in residual[node].items():
            if neighbour not in reached and edge["flow"] < edge["capacity"]:
                reached.add(neighbour)
                pending.append(neighbour)
    return reached


def _parameter_only(program: Program) -> set[str]:
    # A draw follows from its counter: drawing it again is cheaper than keeping it.
    free = {*program.params, *program.draws}
    for instruction in program.body:
        if all(not isinstance(a, str) or a in free for a in instruction.args):
            free.add(instruction.name)
    return free
