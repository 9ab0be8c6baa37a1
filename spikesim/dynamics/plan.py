"""What one kernel reads, computes and writes, whatever machine it is written out for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from spikesim.dynamics.derive import GRAD_OUTPUT, derive, grad_of
from spikesim.dynamics.program import Instruction, Merge, Operand, Program, forward_body, parse

Mode = Literal["infer", "train", "backward"]


@dataclass(frozen=True)
class Kernel:
    """Everything that distinguishes one compiled kernel from another.

    Args:
        program: canonical text of the recorded step.
        mode: forward for inference, forward that keeps what the backward needs, or the backward.
        dtype: "float32" or "float64": states, parameters and all arithmetic.
        uniform: per parameter, one value for all neurons (else one per neuron).
        wrt: parameters whose gradient is wanted.
        masked: whether a [T, N] mask freezes some steps.
        constant: whether the input is one row, the same at every step.
        recompute: for the backward: whether it runs the steps forward again instead of reading kept values.
        streamed: whether written rows go round the cache, as whole cache lines.
        storage: dtype in which input rows, emitted rows and their gradients lie in memory; "" if the same.
    """

    program: str
    mode: Mode
    dtype: str
    uniform: tuple[bool, ...]
    wrt: tuple[str, ...] = ()
    masked: bool = False
    constant: bool = False
    recompute: bool = False
    streamed: bool = False
    storage: str = ""

    @property
    def shared_sums(self) -> frozenset[str]:
        """Gradients of single numbers: on the CPU every block hands over one float64, added up over its neurons."""
        shared = {p for p, u in zip(parse(self.program).params, self.uniform) if u}
        return frozenset(grad_of(p) for p in self.wrt if p in shared and self.mode == "backward")

    def dtype_of(self, array: str) -> str:
        """Dtype of an array of the kernel, by its name."""
        outer = ("x", "output", GRAD_OUTPUT) if self.constant else ("x", "output", GRAD_OUTPUT, "grad_x")
        return (self.storage or self.dtype) if array in outer else self.dtype


@dataclass(frozen=True)
class Plan:
    """One step of a kernel: its arrays, and the instructions between loading and storing.

    Args:
        reads: arrays of one row per step that are read; ``saved_*`` ones have a row per sub-step.
        writes: arrays of one row per step that are written.
        carried: arrays of one value per neuron, read and written at every step.
        params: the constants.
        body: instructions, in order.
        stores: written array -> value.
        updates: carried array -> its new value.
        sums: array of one value per neuron -> what every step adds to it.
        draws: random numbers that the body uses.
        merge: how sub-steps share one row of a written array.
        again: for a backward that recomputes: the forward steps that fill the ``saved_*`` rows.
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    carried: tuple[str, ...]
    params: tuple[str, ...]
    body: tuple[Instruction, ...]
    stores: dict[str, Operand]
    updates: dict[str, Operand]
    sums: dict[str, Operand]
    draws: tuple[str, ...] = ()
    merge: Merge = "last"
    substeps: int = 1
    again: Plan | None = None
    starts: tuple[str, ...] = field(default=())

    @property
    def results(self) -> tuple[Operand, ...]:
        """Every value that leaves the body."""
        return (*self.stores.values(), *self.updates.values(), *self.sums.values())

    @property
    def used(self) -> set[str]:
        """Every name that the body or a result uses."""
        operands = [a for i in self.body for a in i.args] + list(self.results)
        return {o for o in operands if isinstance(o, str)}


@dataclass(frozen=True)
class Arrays:
    """The arrays of a kernel call, in the order of its arguments.

    Args:
        reads: rows that are read.
        writes: rows that are written.
        carried: states (or their gradients), one value per neuron, in and out.
        starts: initial states of a backward that recomputes, one value per neuron.
        params: parameters, one value or one per neuron.
        sums: gradients that are summed over steps, one value per neuron; on the CPU one per block for a parameter
            that is one number.
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    carried: tuple[str, ...]
    starts: tuple[str, ...]
    params: tuple[str, ...]
    sums: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.reads, *self.writes, *self.carried, *self.starts, *self.params, *self.sums)


@lru_cache(maxsize=4096)
def plan_of(kernel: Kernel) -> Plan:
    """The plan of a kernel.

    >>> from spikesim.neurons import LIF
    >>> plan = plan_of(Kernel(LIF().program_text(), "backward", "float32", (True, True)))
    >>> plan.reads, plan.writes, plan.carried
    (('grad_out', 'saved_u'), ('grad_x',), ('grad_v',))
    """
    program = parse(kernel.program)
    if kernel.mode == "backward":
        return _backward(kernel, program)
    saved = derive(program, kernel.wrt).saved if kernel.mode == "train" else ()
    stores: dict[str, Operand] = {"output": program.output, **{f"saved_{name}": name for name in saved}}
    return _forward(program, stores)


def arrays_of(kernel: Kernel) -> Arrays:
    """The arrays that a kernel is called with."""
    plan = plan_of(kernel)
    reads = plan.reads
    if plan.again is not None:
        reads = ("x", *(r for r in plan.reads if not r.startswith("saved_")))
    return Arrays(reads, plan.writes, plan.carried, plan.starts, plan.params, tuple(plan.sums))


def _forward(program: Program, stores: dict[str, Operand]) -> Plan:
    updates = dict(zip(program.states, program.carried))
    body = forward_body(program, (*stores.values(), *updates.values()))
    return Plan(
        ("x",), tuple(stores), program.states, program.params, body, stores, updates, {},
        program.draws, program.merge, program.substeps,
    )  # fmt: skip


def _backward(kernel: Kernel, program: Program) -> Plan:
    backward = derive(program, kernel.wrt)
    carried = tuple(grad_of(s) for s in program.states)
    sums = {grad_of(p): backward.grad_params[p] for p in kernel.wrt}
    updates = dict(zip(carried, backward.grad_states))
    stores: dict[str, Operand] = {"grad_x": backward.grad_x}
    if kernel.constant:
        # One input row feeds every step: its gradient is a sum over steps, kept like a state.
        stores, sums = {}, {"grad_x": backward.grad_x, **sums}
    kept = {f"saved_{name}": name for name in backward.saved}
    again = _forward(program, dict(kept)) if kernel.recompute else None
    return Plan(
        (GRAD_OUTPUT, *kept), tuple(stores), carried, program.params, backward.body, stores, updates, sums,
        program.draws, program.merge, program.substeps, again,
        tuple(f"initial_{s}" for s in program.states) if kernel.recompute else (),
    )  # fmt: skip
