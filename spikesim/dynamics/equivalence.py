"""Check that a compiled neuron equals its equations in float64, on the machine at hand.

Thresholds make neurons chaotic: two roundings of one equation part for good after the first potential
that lies within rounding of the threshold. So each step is compared from the reference's own state
(teacher-forced), a free run is compared up to each neuron's first near-tie, and gradients are compared
on the neurons that never met one.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from spikesim.dynamics.neuron import Neuron
from spikesim.dynamics.primitives import PRIMITIVES
from spikesim.dynamics.program import Program
from spikesim.dynamics.reference import run_reference
from spikesim.errors import CheckFailed

NEAR_TIE = 1e-4  # distance to the threshold, relative to its scale, under which float32 may decide either way


@dataclass(frozen=True)
class Equivalence:
    """Largest deviations of a compiled neuron from its float64 reference, relative to the largest value.

    Args:
        teacher_forced: over single steps from the reference's state.
        free_running: over a run, up to each neuron's first near-tie.
        gradient: over gradients to input, initial state and parameters, on neurons without a near-tie.
        compared: number of neurons whose whole run was compared.
        neurons: number of neurons that ran.
    """

    teacher_forced: float
    free_running: float
    gradient: float
    compared: int
    neurons: int

    def require(self, tolerance: float) -> None:
        """Raise ``CheckFailed`` if any deviation exceeds ``tolerance`` or too little could be compared."""
        worst = max(self.teacher_forced, self.free_running, self.gradient)
        if not worst <= tolerance or self.compared < self.neurons // 4:
            raise CheckFailed(f"kernel and equations differ: {self}, but at most {tolerance:g} was allowed")


def check_neuron(
    neuron: Neuron, *, dtype: torch.dtype = torch.float32, steps: int = 24, neurons: int = 192, seed: int = 0
) -> Equivalence:
    """Compare the kernels of ``neuron`` with its equations.

    Args:
        neuron: any neuron, with its flags, surrogate and learnable parameters.
        dtype: float32 or float64, the dtype of the kernels.
        steps: T of the run.
        neurons: independent neurons, each with an input of its own.
        seed: of the random input.

    >>> from spikesim.neurons import LIF
    >>> check_neuron(LIF()).teacher_forced < 1e-5
    True
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(steps, neurons, generator=generator) + 0.4
    fast, exact = copy.deepcopy(neuron).to(dtype), copy.deepcopy(neuron).double()
    # The same rounded constants on both sides: only the arithmetic is under test.
    for key in neuron.params:
        getattr(exact, key).data.copy_(getattr(fast, key).data)
    emitted, befores, ties = _reference_run(exact, x.double())
    forced = _teacher_forced(fast, exact, x, befores, ties, dtype)
    safe_until = torch.cumsum(ties.int(), 0) == 0
    with torch.no_grad():
        free = fast.run_rows(x.to(dtype).flatten(), steps)[0].view(steps, neurons).double()
    never = safe_until[-1]
    return Equivalence(
        teacher_forced=forced,
        free_running=_deviation(free[safe_until], emitted[safe_until]),
        gradient=_gradients(fast, exact, x, never, dtype),
        compared=int(never.sum()),
        neurons=neurons,
    )


def _reference_run(neuron: Neuron, x: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Emitted values, states before each step, and where a potential came near its threshold."""
    program = neuron.program()
    params = {k: getattr(neuron, k).detach() for k in neuron.params}
    states = {k: getattr(neuron, f"initial_{k}").expand(x.shape[1:]) for k in neuron.states}
    emitted, befores, ties = [], {k: [] for k in states}, []  # type: ignore[var-annotated]
    for row in x.unbind(0):
        for k, v in states.items():
            befores[k].append(v)
        ties.append(_near_tie(program, {"x": row, **states, **params}))
        with torch.no_grad():
            out, states = neuron.step(row, **states, **params)
        emitted.append(out)
    return torch.stack(emitted), {k: torch.stack(v) for k, v in befores.items()}, torch.stack(ties)


def _near_tie(program: Program, values: dict[str, Tensor]) -> Tensor:
    """Where any decision of a step, a spike or a comparison of its surrogate, lies within rounding."""
    near = torch.zeros_like(values["x"], dtype=torch.bool)
    for i in program.body:
        args = [values[a] if isinstance(a, str) else torch.tensor(a, dtype=torch.float64) for a in i.args]
        if i.primitive in ("spike", "spike_strict"):
            near |= _close(args[0])
            values[i.name] = (args[0] >= 0).to(args[0].dtype)
        elif i.primitive == "smooth":
            values[i.name] = args[2]
        else:
            if PRIMITIVES[i.primitive].boolean:
                near |= _close(args[0] - args[1])
            values[i.name] = PRIMITIVES[i.primitive].function(*args)
    return near


def _close(distance: Tensor) -> Tensor:
    # An exact tie in float64 comes from counters and the like, which float32 holds exactly too.
    return (distance.abs() < NEAR_TIE) & (distance != 0)


def _teacher_forced(
    fast: Neuron, exact: Neuron, x: Tensor, befores: dict[str, Tensor], ties: Tensor, dtype: torch.dtype
) -> float:
    # Every step is a sample of its own: one call with T = 1 checks them all.
    params = {k: getattr(exact, k).detach() for k in exact.params}
    with torch.no_grad():
        before = {k: v.flatten().to(dtype) for k, v in befores.items()}
        out, after = fast.run_rows(x.flatten().to(dtype), 1, state=before)
        rows = x.double().flatten().unsqueeze(0)
        expected, expected_after = run_reference(exact.step, rows, {k: v.double() for k, v in before.items()}, params)
    sure = ~ties.flatten()
    pairs = [(out, expected[0]), *((after[k], expected_after[k]) for k in after)]
    return max(_deviation(a[sure].double(), b[sure]) for a, b in pairs)


def _gradients(fast: Neuron, exact: Neuron, x: Tensor, compared: Tensor, dtype: torch.dtype) -> float:
    steps, neurons = x.shape
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(x.shape, generator=generator, dtype=torch.float64) * compared
    final_weight = torch.randn(neurons, generator=generator, dtype=torch.float64) * compared
    found = []
    for neuron, kind in ((fast, dtype), (exact, torch.float64)):
        neuron.zero_grad()
        rows = x.to(kind).flatten().requires_grad_()
        states = {k: getattr(neuron, f"initial_{k}").to(kind).expand(neurons).clone() for k in neuron.states}
        for s in states.values():
            s.requires_grad_()
        if neuron is fast:
            out, final = neuron.run_rows(rows, steps, state=states)
            out = out.view(steps, neurons)
        else:
            params = {k: getattr(neuron, k) for k in neuron.params}
            out, final = run_reference(neuron.step, rows.view(steps, neurons), states, params)
        loss = (out * weight.to(kind)).sum()
        for value in final.values():
            loss = loss + (value * final_weight.to(kind)).sum()
        leaves = [rows, *states.values(), *(p for p in neuron.parameters() if p.requires_grad)]
        found.append(torch.autograd.grad(loss, leaves, allow_unused=True))
    pairs = [(a, b) for a, b in zip(*found) if a is not None and b is not None]
    return max(_deviation(a.double(), b) for a, b in pairs)


def _deviation(found: Tensor, expected: Tensor) -> float:
    if expected.numel() == 0:
        return 0.0
    scale = max(float(expected.abs().max()), 1e-30)
    return float((found - expected).abs().max()) / scale
