"""The float64 run that kernels are held against, on inputs under which every decision is beyond doubt.

A spike, a comparison or a rounding decides between two results. Where the potential lies within
rounding of the threshold, float32 and float64 may decide differently and then part for good, though both
are right. Such inputs are drawn again while the reference runs, so that afterwards both sides
take the same decisions: the spikes of the one are those of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spikesim.dynamics.counter import uniform_rows
from spikesim.dynamics.neuron import Neuron
from spikesim.dynamics.primitives import PRIMITIVES, local_derivatives
from spikesim.dynamics.program import Operand, Program

MARGIN = 256.0  # a decision by less than so many times its rounding error is in doubt: errors grow over a run
REDRAWS = 4  # how often an input in doubt is drawn again
RUNAWAY = 1e12  # potentials beyond this are no simulation, and soon overflow float32

_SPIKES = ("spike", "spike_strict")


@dataclass(frozen=True)
class Trajectory:
    """A run of the equations in float64, step by step.

    Args:
        x: input ``[T, N]``, after redrawing.
        emitted: what was emitted ``[T, N]``.
        before: every state before each step, ``[T, N]``.
        doubtful: bool ``[T, N]``, where a decision stayed in doubt all the same.
    """

    x: Tensor
    emitted: Tensor
    before: dict[str, Tensor]
    doubtful: Tensor

    def undisputed(self) -> Trajectory:
        """The first steps, as long as half of the neurons have met no decision in doubt; at least one."""
        still = (~self.doubtful).int().cumprod(0).sum(1)
        steps = max(int((2 * still >= self.doubtful.shape[1]).sum()), 1)
        before = {k: v[:steps] for k, v in self.before.items()}
        return Trajectory(self.x[:steps], self.emitted[:steps], before, self.doubtful[:steps])


def follow(
    neuron: Neuron,
    x: Tensor,
    clock: Tensor,
    dtype: torch.dtype,
    fresh: Callable[[], Tensor] | None = None,
    states: Mapping[str, Tensor] | None = None,
) -> Trajectory:
    """Run the equations of a float64 neuron, and draw inputs again that leave a decision in doubt.

    Args:
        neuron: in float64.
        x: inputs ``[T, N]``.
        clock: int64 ``[2]``, seed and step of its random numbers.
        dtype: in which the kernels compute, whose roundings leave a decision in doubt.
        fresh: gives another row ``[N]`` of inputs; None to keep those there are.
        states: initial states ``[N]``; the neuron's own by default.
    """
    params, margin = {k: getattr(neuron, k).detach() for k in neuron.params}, MARGIN * torch.finfo(dtype).eps
    if states is None:
        states = {k: getattr(neuron, f"initial_{k}").detach().expand(x.shape[1]) for k in neuron.states}
    rows, emitted, doubts = [], [], []
    before: dict[str, list[Tensor]] = {k: [] for k in states}
    lost = torch.zeros(x.shape[1], dtype=torch.bool)
    for t, row in enumerate(x.unbind(0)):
        out, after, doubtful = _one_step(neuron, t, row, states, params, clock, margin)
        for _ in range(REDRAWS if fresh is not None else 0):
            # Who is lost already need not be saved.
            again = doubtful & ~lost
            if fresh is None or not again.any():
                break
            row = torch.where(again, fresh(), row)
            out, after, doubtful = _one_step(neuron, t, row, states, params, clock, margin)
        lost = lost | doubtful
        for k, v in states.items():
            before[k].append(v)
        rows.append(row)
        emitted.append(out)
        doubts.append(doubtful)
        states = after
    stacked = {k: torch.stack(v) for k, v in before.items()}
    return Trajectory(torch.stack(rows), torch.stack(emitted), stacked, torch.stack(doubts))


def _one_step(
    neuron: Neuron,
    t: int,
    row: Tensor,
    states: Mapping[str, Tensor],
    params: Mapping[str, Tensor],
    clock: Tensor,
    margin: float,
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    program, step = neuron.program(), neuron.equations()
    parts, current, doubtful = [], dict(states), torch.zeros_like(row, dtype=torch.bool)
    for k in range(program.substeps):
        micro, shape = t * program.substeps + k, tuple(row.shape)
        drawn = {d: uniform_rows(clock, micro, program.substeps, j, shape, row) for j, d in enumerate(program.draws)}
        values = {"x": row, **current, **params, **drawn}
        doubtful |= in_doubt(program, values, margin)
        with torch.no_grad():
            out, changed = step(row, **current, **params, **drawn)
        parts.append(out + torch.zeros_like(row))
        current = {k: v + torch.zeros_like(row) for k, v in changed.items()}
    return torch.stack(parts).sum(0) if program.merge == "sum" else parts[-1], current, doubtful


def in_doubt(program: Program, values: Mapping[str, Tensor], margin: float) -> Tensor:
    """Where a decision of a step lies within ``margin`` of falling the other way, given the values of its inputs.

    The margin is relative to what the rounding errors of the operation scale with. Every value carries the size of
    its error in units of the machine precision, to first order (running error analysis: Higham, Accuracy and
    Stability of Numerical Algorithms, 2002, sec. 3.3). A value that runs away, as some models do without a reset, is in
    doubt as well.
    """
    known, sizes = dict(values), {k: v.abs() for k, v in values.items()}
    doubtful = torch.zeros_like(values["x"], dtype=torch.bool)
    zero = torch.zeros((), dtype=values["x"].dtype)

    def value(operand: Operand) -> Tensor:
        return known[operand] if isinstance(operand, str) else zero + operand

    for i in program.body:
        args = tuple(value(a) for a in i.args)
        errors = [sizes[a] if isinstance(a, str) else zero for a in i.args]
        for distance, error in _decisions(i.primitive, args, errors):
            # An exact tie comes from counters and the like, which float32 holds exactly too.
            doubtful |= ~(distance.abs() >= margin * error) & (distance != 0)
        if i.primitive in _SPIKES:
            known[i.name] = (args[0] >= 0 if i.primitive == "spike" else args[0] > 0).to(zero.dtype)
        elif i.primitive == "smooth":
            known[i.name] = args[2]
        else:
            known[i.name] = PRIMITIVES[i.primitive].function(*args)
        sizes[i.name] = _size(i.primitive, args, errors, known[i.name])
        doubtful |= ~(known[i.name].abs() < RUNAWAY) if not PRIMITIVES[i.primitive].boolean else doubtful
    return doubtful


def _decisions(primitive: str, args: tuple[Tensor, ...], errors: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """How far each decision of an operation is from falling the other way, and the size of the error in that."""
    a = args[0]
    if primitive in _SPIKES or primitive in ("abs", "sign"):
        return [(a, errors[0])]
    if primitive == "floor":
        return [(a - a.round(), errors[0])]
    if primitive == "round":
        return [(a - a.floor() - 0.5, errors[0])]
    if primitive == "clip":
        return [(a - args[1], errors[0]), (a - args[2], errors[0])]
    if PRIMITIVES[primitive].boolean or primitive in ("minimum", "maximum"):
        return [(a - args[1], errors[0] + errors[1])]
    return []


def _size(primitive: str, args: tuple[Tensor, ...], errors: list[Tensor], value: Tensor) -> Tensor:
    if PRIMITIVES[primitive].boolean:
        return torch.zeros((), dtype=errors[0].dtype)
    size = value.abs()
    if primitive in _SPIKES or primitive in ("sign", "floor", "round"):
        return size  # decided: exact, or in doubt anyway
    if primitive == "smooth":
        return size + errors[2]
    for local, error in zip(local_derivatives(primitive), errors):
        slope = torch.as_tensor(local if isinstance(local, float) else local(args))
        size = size + slope.abs() * error
    return size
