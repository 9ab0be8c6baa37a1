"""Write a recorded step out as Numba source: time as the loop inside a block of neurons.

A kernel walks a block of neurons through all time steps, so that its state stays in cache, and the
loop over the neurons of a row is left to the vectoriser. One file holds one kernel: ``block`` does
the work, ``run`` walks the blocks in order, ``run_parallel`` hands them to threads. Blocks are cut by
shape alone, so a result never depends on how many threads there are.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from spikesim.dynamics.derive import GRAD_OUTPUT, derive, grad_of
from spikesim.dynamics.primitives import PRIMITIVES
from spikesim.dynamics.program import Instruction, Operand, Program, forward_body, parse

Mode = Literal["infer", "train", "backward"]

# What a kernel calls its own beside names with a leading underscore; no state or parameter may be called so.
_LIBRARY = {"real", "np", "math", "abs", "min", "max", "range", "carray", "njit", "prange", "pointer", "NoAlias"}
_RESERVED = {"x", "output", "block", "run", "run_parallel"} | _LIBRARY


def is_reserved(name: str) -> bool:
    """Whether a state or parameter of this name would collide with the kernel's own names.

    >>> is_reserved("v"), is_reserved("last"), is_reserved("real"), is_reserved("grad_v")
    (False, False, True, True)
    """
    return (
        name in _RESERVED
        or not name.isidentifier()
        or keyword.iskeyword(name)
        or name.startswith(("_", "grad_", "saved_"))
        or name.endswith(("_row", "_all", "_at"))
    )


@dataclass(frozen=True)
class Kernel:
    """Everything that distinguishes one compiled kernel from another.

    Args:
        program: canonical text of the recorded step.
        mode: forward for inference, forward that keeps what the backward needs, or the backward.
        dtype: "float32" or "float64".
        uniform: per parameter, one value for all neurons (else one per neuron).
        wrt: parameters whose gradient is wanted.
        masked: whether a [T, N] mask freezes some steps.
        constant: whether the input is one row, the same at every step.
    """

    program: str
    mode: Mode
    dtype: str
    uniform: tuple[bool, ...]
    wrt: tuple[str, ...] = ()
    masked: bool = False
    constant: bool = False


@dataclass(frozen=True)
class _Plan:
    """Which arrays a kernel reads row by row, writes row by row and keeps per neuron."""

    reads: tuple[str, ...]  # [steps, neurons]
    writes: tuple[str, ...]  # [steps, neurons]
    carried: tuple[str, ...]  # [neurons], read and written at every step
    params: tuple[str, ...]
    body: tuple[Instruction, ...]
    stores: dict[str, Operand]  # array -> value written to its row
    updates: dict[str, Operand]  # carried array -> its new value
    sums: dict[str, Operand]  # per-parameter gradient -> summand


def _plan(kernel: Kernel) -> _Plan:
    program = parse(kernel.program)
    if kernel.mode == "backward":
        return _backward_plan(kernel, program)
    saved = derive(program, kernel.wrt).saved if kernel.mode == "train" else ()
    body = forward_body(program, saved)
    stores: dict[str, Operand] = {"output": program.output, **{f"saved_{name}": name for name in saved}}
    updates = dict(zip(program.states, program.carried))
    return _Plan(("x",), tuple(stores), program.states, program.params, body, stores, updates, {})


def _backward_plan(kernel: Kernel, program: Program) -> _Plan:
    backward = derive(program, kernel.wrt)
    carried = tuple(grad_of(s) for s in program.states)
    sums = {grad_of(p): backward.grad_params[p] for p in kernel.wrt}
    updates = dict(zip(carried, backward.grad_states))
    stores: dict[str, Operand] = {"grad_x": backward.grad_x}
    if kernel.constant:
        # One input row feeds every step: its gradient is a sum over steps, kept like a state.
        stores, sums = {}, {"grad_x": backward.grad_x, **sums}
    reads = (GRAD_OUTPUT, *(f"saved_{name}" for name in backward.saved))
    return _Plan(reads, tuple(stores), carried, program.params, backward.body, stores, updates, sums)


def array_names(kernel: Kernel) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Names of the arrays a kernel is called with: rows read, rows written, carried, gradient sums."""
    plan = _plan(kernel)
    return plan.reads, plan.writes, plan.carried, tuple(plan.sums)


def emit(kernel: Kernel, title: str = "neuron", on_disk: bool = True) -> str:
    """Python source of a kernel, ready to be compiled by Numba.

    >>> from spikesim.neurons import LI
    >>> text = LI().program().text()
    >>> "def block(" in emit(Kernel(text, "infer", "float32", (True,)), "LI")
    True
    """
    plan = _plan(kernel)
    constants = _constants(plan)
    arrays = [*plan.reads, *plan.writes, *plan.carried, *plan.params, *plan.sums]
    parts = [
        f'"""{title}: {kernel.mode} kernel, {kernel.dtype}, derived from the equations; do not edit."""',
        "import math",
        "import numpy as np",
        "from numba import carray, njit, prange",
        "from spikesim.dynamics.pointer import NoAlias, pointer",
        f"real = np.{kernel.dtype}",
        f"_on_disk = {on_disk}",
        *(f"{name} = real({value!r})" for value, name in constants.items()),
        "",
        *_block(kernel, plan, constants, arrays),
        "",
        *_drivers(kernel, plan, arrays),
    ]
    return "\n".join(parts) + "\n"


def _constants(plan: _Plan) -> dict[float, str]:
    operands = [a for i in plan.body for a in i.args] + [
        *plan.stores.values(),
        *plan.updates.values(),
        *plan.sums.values(),
    ]
    numbers = sorted({o for o in operands if isinstance(o, float)} | {0.0})
    return {value: f"_c{k}" for k, value in enumerate(numbers)}


def _block(kernel: Kernel, plan: _Plan, constants: dict[float, str], arrays: Sequence[str]) -> list[str]:
    uniform = {p for p, u in zip(plan.params, kernel.uniform) if u}
    order = "range(_steps - 1, -1, -1)" if kernel.mode == "backward" else "range(_steps)"
    rows = [*plan.reads, *plan.writes]
    wholes = ", ".join(f"{a}_all" for a in arrays)
    lines = [
        f"def block(_begin, _end, _steps, _neurons, _stride, _samples, _mask, {wholes}):",
        *(f"    {p} = {p}_all[0]" for p in plan.params if p in uniform),
        *(f"    {p}_row = {p}_all[_begin:_end]" for p in plan.params if p not in uniform),
        *(f"    {c}_row = {c}_all[_begin:_end]" for c in [*plan.carried, *plan.sums]),
        f"    for _t in {order}:",
    ]
    for name in rows:
        step = "_stride" if name == "x" else "_neurons"
        lines.append(f"        {name}_row = {name}_all[_t * {step} + _begin : _t * {step} + _end]")
    loop = [f"{name.removeprefix('saved_')} = {name}_row[_i]" for name in _loads(plan, uniform)]
    loop += [f"{i.name} = {_expression(i, constants)}" for i in plan.body]
    loop += [f"{name}_row[_i] = {_operand(value, constants)}" for name, value in plan.stores.items()]
    loop += [f"{name}_row[_i] += {_operand(value, constants)}" for name, value in plan.sums.items()]
    loop += [f"{name}_row[_i] = {_operand(value, constants)}" for name, value in plan.updates.items() if value != name]
    if not kernel.masked:
        return [*lines, "        for _i in range(_end - _begin):", *_indent(loop, 12)]
    # A sample is a contiguous stretch of neurons; a masked step leaves its state alone and writes zeros.
    blank = [f"{name}_row[_i] = {constants[0.0]}" for name in plan.writes]
    return [
        *lines,
        "        _size = _neurons // _samples",
        "        for _n in range(_begin // _size, (_end - 1) // _size + 1):",
        "            _first = max(_begin, _n * _size) - _begin",
        "            _last = min(_end, (_n + 1) * _size) - _begin",
        "            if _mask[_t * _samples + _n]:",
        "                for _i in range(_first, _last):",
        *_indent(loop, 20),
        *(
            ["            else:", "                for _i in range(_first, _last):", *_indent(blank, 20)]
            if blank
            else []
        ),
    ]


def _loads(plan: _Plan, uniform: Iterable[str]) -> list[str]:
    """Row values that the body or a store really uses."""
    used = {a for i in plan.body for a in i.args} | set(plan.stores.values()) | set(plan.updates.values())
    used |= set(plan.sums.values())
    per_neuron = [p for p in plan.params if p not in uniform]
    return [name for name in [*plan.reads, *plan.carried, *per_neuron] if name.removeprefix("saved_") in used]


def _expression(instruction: Instruction, constants: dict[float, str]) -> str:
    args = [_operand(a, constants) for a in instruction.args]
    return PRIMITIVES[instruction.primitive].source.format(*args, real="real")


def _operand(value: Operand, constants: dict[float, str]) -> str:
    return constants[value] if isinstance(value, float) else value


def _drivers(kernel: Kernel, plan: _Plan, arrays: Sequence[str]) -> list[str]:
    sizes = dict.fromkeys([*plan.carried, *plan.params, *plan.sums], "_neurons")
    sizes |= dict.fromkeys([*plan.reads, *plan.writes], "_steps * _neurons")
    sizes |= {p: "1" for p, u in zip(plan.params, kernel.uniform) if u}
    if kernel.constant and "x" in sizes:
        sizes["x"] = "_neurons"
    addresses = ", ".join(f"{a}_at" for a in arrays)
    head = f"_steps, _neurons, _stride, _samples, _size, _mask_at, {addresses}"
    views = [f"    {a}_all = carray(pointer({a}_at), ({sizes[a]},), real)" for a in arrays]
    views.append(f"    _mask = carray(pointer(_mask_at), ({'_steps * _samples' if kernel.masked else '1'},), np.uint8)")
    views_named = ", ".join(f"{a}_all" for a in arrays)
    call = (
        f"block(_b * _size, min(_neurons, (_b + 1) * _size), _steps, _neurons, _stride, _samples, _mask, {views_named})"
    )
    signature = ", ".join(["int64"] * (6 + len(arrays)))
    count = "    _blocks = (_neurons + _size - 1) // _size"
    return [
        f"def run({head}):",
        *views,
        count,
        "    for _b in range(_blocks):",
        f"        {call}",
        "",
        f"def run_parallel({head}):",
        *views,
        count,
        "    for _b in prange(_blocks):",
        f"        {call}",
        "",
        "# The arrays of one call never overlap, so the block may be vectorised without checking.",
        'block = njit(nogil=True, error_model="numpy", pipeline_class=NoAlias, cache=_on_disk)(block)',
        f'run = njit("void({signature})", nogil=True, error_model="numpy", cache=_on_disk)(run)',
        'run_parallel = njit(nogil=True, error_model="numpy", parallel=True, cache=_on_disk)(run_parallel)',
    ]


def _indent(lines: Iterable[str], spaces: int) -> list[str]:
    return [" " * spaces + line for line in lines]
