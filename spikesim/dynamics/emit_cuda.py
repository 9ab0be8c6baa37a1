"""Write a plan out as Numba source for CUDA: one thread per neuron, time as the loop inside it.

``step`` is the neuron's own equations on numbers; ``run`` keeps the state of its neuron in registers and feeds
``step`` from memory, where neighbouring threads read neighbouring neurons. A thread waits for memory most of
its time, and the compiler may not move a load over a store, as it cannot know that they do not overlap: so
several time steps are loaded before the first of them is computed and stored.

A backward that recomputes walks its neuron forward first and keeps what it needs in a scratch that belongs to
the thread; there a thread serves several neurons in turn, so that the scratch stays small.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from spikesim.dynamics.emit import adds_up
from spikesim.dynamics.plan import Arrays, Kernel, Plan, arrays_of, plan_of
from spikesim.dynamics.primitives import FUNCTIONS
from spikesim.dynamics.source import Writer, indent

# Integers that every kernel is called with, before the addresses of its arrays.
SIZES = (
    "_steps",
    "_samples",
    "_features",
    "_time_stride",
    "_sample_stride",
    "_mask_at",
    "_clock_at",
    "_scratch_at",
)

AHEAD = 4  # time steps that are loaded before the first of them is computed
_MOST_LOADED = 16  # values that a thread may hold in registers for that

_CONVERTERS = ("from_bfloat16", "to_bfloat16", "from_float16", "to_float16")
_HALF = ("bfloat16", "float16")


def emit_cuda(kernel: Kernel, title: str = "neuron", on_disk: bool = True, ahead: int = AHEAD) -> str:
    """Python source of a kernel, ready to be compiled by ``numba.cuda``.

    Args:
        kernel: what to write out.
        title: how its first line calls it.
        on_disk: whether Numba keeps the machine code beside the source.
        ahead: time steps to be loaded at once, unless a step reads too much for that.

    >>> from spikesim.neurons import LI
    >>> text = LI().program().text()
    >>> "v_next = v + (x - v) / tau" in emit_cuda(Kernel(text, "infer", "float32", (True,)), "LI")
    True
    """
    plan, arrays = plan_of(kernel), arrays_of(kernel)
    sweeps = [_Sweep(kernel, plan, "step", kernel.mode == "backward", ahead)]
    if plan.again is not None and scratch_of(kernel):
        sweeps.insert(0, _Sweep(kernel, plan.again, "_again", False, ahead))
    run = _run(kernel, plan, arrays, sweeps)
    functions = [line for sweep in sweeps for line in (*sweep.function(), "", "")]
    return "\n".join([*_header(kernel, title, [*functions, *run], on_disk), "", "", *functions, *run]) + "\n"


def scratch_of(kernel: Kernel) -> tuple[str, ...]:
    """What a kernel that recomputes keeps per (sub-)step in its scratch; its input it reads again.

    >>> from spikesim.neurons import LIF
    >>> text = LIF().program_text()
    >>> scratch_of(Kernel(text, "backward", "float32", (True, True), recompute=True))
    ('saved_u',)
    """
    again = plan_of(kernel).again
    return tuple(a for a in again.writes if a != "saved_x") if again is not None else ()


@dataclass(frozen=True)
class _Sweep:
    """One walk of a thread through time.

    Args:
        kernel: the kernel that it is part of.
        plan: what a step of it reads, computes and writes.
        name: of the function that holds the equations.
        backward: whether time runs backward.
        ahead: time steps to be loaded at once, at most.
    """

    kernel: Kernel
    plan: Plan
    name: str
    backward: bool
    ahead: int

    @cached_property
    def writer(self) -> Writer:
        return Writer(self.plan.body, self.plan.results, FUNCTIONS, self._inputs())

    def _inputs(self) -> list[str]:
        """Values that the equations use, in the order in which they are handed over."""
        scalars = [*self.plan.carried, *self.plan.params, *self.plan.draws]
        return [*(a.removeprefix("saved_") for a in self.reads), *(n for n in scalars if n in self.plan.used)]

    @cached_property
    def reads(self) -> list[str]:
        """Arrays of one row per step that the equations use."""
        return [a for a in self.plan.reads if a.removeprefix("saved_") in self.plan.used]

    @cached_property
    def stores(self) -> dict[str, str]:
        """Written array -> expression of what is stored."""
        known = "saved_x" if self.kernel.recompute else ""
        return {a: self.writer.value(v) for a, v in self.plan.stores.items() if a != known}

    @cached_property
    def updates(self) -> dict[str, str]:
        """Carried value -> expression of its new value."""
        return {k: self.writer.value(v) for k, v in self.plan.updates.items() if k != v}

    def function(self) -> list[str]:
        """The equations of one step on one neuron."""
        values = [*self.stores.values(), *map(self.writer.value, self.plan.sums.values()), *self.updates.values()]
        return [
            "@device",
            f"def {self.name}({', '.join(map(self.writer.variable, self._inputs()))}):",
            *indent([*self.writer.lines, f"return {', '.join(values)}"], 1),
        ]

    def lines(self) -> list[str]:
        """The loop over time, and what it carries."""
        ahead = self._loaded_at_once()
        if ahead == 1:
            whole = "range(_steps - 1, -1, -1)" if self.backward else "range(_steps)"
            return [f"for _t in {whole}:", *indent(self._group(1), 1)]
        if self.backward:
            groups, rest = f"range(_steps - 1, _rest - 1, -{ahead})", "range(_rest - 1, -1, -1)"
        else:
            groups, rest = f"range(0, _steps - _rest, {ahead})", "range(_steps - _rest, _steps)"
        return [
            f"# {ahead} steps at a time, all loads before the first store: memory answers them together.",
            f"_rest = _steps % {ahead}",
            f"for _t in {groups}:",
            *indent(self._group(ahead), 1),
            f"for _t in {rest}:",
            *indent(self._group(1), 1),
        ]

    def _loaded_at_once(self) -> int:
        streams = [a for a in self.reads if self._is_loaded_ahead(a)]
        ahead = self.ahead if streams and self.plan.substeps == 1 else 1
        while ahead > 1 and ahead * len(streams) > _MOST_LOADED:
            ahead //= 2
        return ahead

    def _is_loaded_ahead(self, array: str) -> bool:
        return array not in self._held() and not (self.plan.substeps > 1 and array.startswith("saved_"))

    def _held(self) -> tuple[str, ...]:
        """What the thread holds for the whole call."""
        if not self.kernel.constant:
            return ()
        return ("x", "saved_x") if self.kernel.recompute else ("x",)

    def _group(self, count: int) -> list[str]:
        """``count`` time steps: their loads, then their work."""
        loads = [f"_{a}_{j} = {self._load(a, j)}" for a in self.reads if self._is_loaded_ahead(a) for j in range(count)]
        if self.kernel.masked:
            loads += [f"_on_{j} = _mask[{self._time(j)} * _samples + _sample]" for j in range(count)]
        return [*loads, *(line for j in range(count) for line in self._masked(j))]

    def _masked(self, j: int) -> list[str]:
        """Time step ``j`` of a group; a masked one leaves the state alone and writes zeros."""
        if not self.kernel.masked:
            return self._step(j)
        rows = [a for a in self.stores if not a.startswith("saved_")]
        blank = [self._store(a, j, "real(0)") for a in rows]
        otherwise = ["else:", *indent(blank, 1)] if blank else []
        return [f"if _on_{j}:", *indent(self._step(j), 1), *otherwise]

    def _step(self, j: int) -> list[str]:
        plan, name = self.plan, _scalar
        row = [a for a in self.stores if not a.startswith("saved_")]
        draws = [f"{name(d)} = {self._draw(k, j)}" for k, d in enumerate(plan.draws) if d in plan.used]
        per_micro = [a for a in self.reads if a.startswith("saved_") and a not in self._held()]
        inner = [f"_{a}_{j} = {self._load(a, j)}" for a in per_micro]
        call = f"{', '.join(self._targets(j))} = {self.name}({', '.join(self._arguments(j))})"
        added = [f"{name(a)} = {name(a)} + _{a}_{j}" for a in plan.sums]
        kept = [self._store(a, j, f"_{a}_{j}") for a in self.stores if a.startswith("saved_")]
        stored = [self._store(a, j, f"_{a}_{j}") for a in row]
        if plan.substeps == 1:
            return [*draws, call, *added, *stored, *kept]
        totals = [a for a in row if adds_up(plan, a)]
        order = f"range({plan.substeps - 1}, -1, -1)" if self.backward else f"range({plan.substeps})"
        micro = [*inner, *draws, call, *added, *(f"_{a}_{j} = _{a}_{j} + _part_{a}" for a in totals), *kept]
        return [*(f"_{a}_{j} = real(0)" for a in totals), f"for _k in {order}:", *indent(micro, 1), *stored]

    def _targets(self, j: int) -> list[str]:
        plan = self.plan
        parts = [f"_part_{a}" if adds_up(plan, a) else f"_{a}_{j}" for a in self.stores]
        return [*parts, *(f"_{a}_{j}" for a in plan.sums), *map(_scalar, self.updates)]

    def _arguments(self, j: int) -> list[str]:
        plan = self.plan
        loaded = ["_x" if a in self._held() else f"_{a}_{j}" for a in self.reads]
        if plan.substeps > 1 and plan.merge == "last":
            # Only the last sub-step is emitted, so only there a gradient comes in.
            last = f"_grad_out_{j} if _k == {plan.substeps - 1} else real(0)"
            loaded = [last if a == f"_grad_out_{j}" else a for a in loaded]
        scalars = [*plan.carried, *plan.params, *plan.draws]
        return [*loaded, *(_scalar(n) for n in scalars if n in plan.used)]

    def _time(self, j: int) -> str:
        return "_t" if j == 0 else f"(_t {'-' if self.backward else '+'} {j})"

    def _micro(self, j: int) -> str:
        """Number of a sub-step since the first step of the call."""
        return self._time(j) if self.plan.substeps == 1 else f"({self._time(j)} * {self.plan.substeps} + _k)"

    def _draw(self, k: int, j: int) -> str:
        start = "_start" if self.plan.substeps == 1 else f"_start * {self.plan.substeps}"
        return f"real(_uniform(_seed, {start} + {self._micro(j)}, {k}, _i))"

    def _at(self, array: str, j: int) -> str:
        """The element of an array that belongs to this thread and step."""
        kept = scratch_of(self.kernel)
        if array in kept:
            return f"_scratch[({self._micro(j)} * {len(kept)} + {kept.index(array)}) * _lanes + _lane]"
        if array == "x" or (array == "saved_x" and self.kernel.recompute):
            return f"x_all[{self._time(j)} * _time_stride + _from]"
        step = self._micro(j) if array.startswith("saved_") else self._time(j)
        return f"{array}_all[{step} * _neurons + _i]"

    def _load(self, array: str, j: int) -> str:
        stored_as = "x" if array == "saved_x" and self.kernel.recompute else array
        return loaded(self.kernel, stored_as, self._at(array, j))

    def _store(self, array: str, j: int, value: str) -> str:
        dtype = self.kernel.dtype_of(array)
        return f"{self._at(array, j)} = " + (f"to_{dtype}({value})" if dtype in _HALF else value)


def _scalar(name: str) -> str:
    """The variable of ``run`` that holds a state, parameter, draw or sum: its own name, unless ``run`` calls that."""
    return f"{name}_row" if name in ("step", "cuda_") else name


def loaded(kernel: Kernel, array: str, element: str) -> str:
    """Expression of an element of an array, widened if it lies in memory as a half.

    >>> loaded(Kernel("", "infer", "float32", (), storage="float16"), "x", "x_all[0]")
    'from_float16(x_all[0])'
    """
    dtype = kernel.dtype_of(array)
    return f"from_{dtype}({element})" if dtype in _HALF else element


def _run(kernel: Kernel, plan: Plan, arrays: Arrays, sweeps: list[_Sweep]) -> list[str]:
    main = sweeps[-1]
    name = _scalar
    used = {n for sweep in sweeps for n in sweep.plan.used}
    params = [(p, u) for p, u in zip(plan.params, kernel.uniform) if p in used]
    views = [f"{a}_all = {_element(kernel, a)}_at({a}_at)" for a in arrays.names if a in used or a not in plan.params]
    views += ["_mask = uint8_at(_mask_at)"] if kernel.masked else []
    views += ["_clock = int64_at(_clock_at)", "_seed, _start = _clock[0], _clock[1]"] if plan.draws else []
    body = []
    if kernel.masked or "x" in arrays.reads:
        body.append("_sample = _i // _features if _samples > 1 else 0")
    if "x" in arrays.reads:
        body.append("_from = _sample * _sample_stride + _i - _sample * _features")
    if "x" in arrays.reads and kernel.constant:
        body.append(f"_x = {loaded(kernel, 'x', 'x_all[_from]')}")
    body += [f"{name(p)} = {p}_all[{'0' if uniform else '_i'}]" for p, uniform in params]
    if len(sweeps) > 1:
        body += [f"{name(s)} = initial_{s}_all[_i]" for s in sweeps[0].plan.carried]
        body += sweeps[0].lines()
    body += [f"{name(s)} = {s}_all[_i]" for s in plan.carried]
    body += [f"{name(a)} = real(0)" for a in plan.sums]
    body += main.lines()
    body += [f"{s}_all[_i] = {name(s)}" for s in plan.carried if s in main.updates]
    body += [f"{a}_all[_i] = {name(a)}" for a in plan.sums]
    if kernel.recompute:
        views += [f"_scratch = {kernel.dtype}_at(_scratch_at)", "_lane, _lanes = cuda_.grid(1), cuda_.gridsize(1)"]
        threads = ["for _i in range(_lane, _neurons, _lanes):"]
        body = [f"{n} = _fresh({n})" for n in ("_steps", "_neurons", "_lanes")] + body
    else:
        threads = ["_i = cuda_.grid(1)", "if _i < _neurons:"]
    return [
        "@cuda_.jit(cache=_on_disk)",
        "def run(",
        f"    {', '.join(SIZES)},",
        f"    {', '.join(f'{a}_at' for a in arrays.names)},",
        "):",
        *indent(["_neurons = _samples * _features", *views, *threads], 1),
        *indent(body, 2),
    ]


def _element(kernel: Kernel, array: str) -> str:
    dtype = kernel.dtype_of(array)
    return "uint16" if dtype in _HALF else dtype


def _header(kernel: Kernel, title: str, lines: list[str], on_disk: bool) -> list[str]:
    """Imports of what ``lines`` call, and no more."""
    text = "\n".join(lines)
    pointers = [f"{e}_at" for e in ("float32", "float64", "uint16", "uint8", "int64")]
    used = sorted(n for n in (*pointers, *_CONVERTERS) if f"{n}(" in text)
    functions = sorted(f for f in FUNCTIONS if f"{f}(" in text)
    return [
        f'"""{title}: {kernel.mode} kernel for CUDA, {kernel.dtype}, derived from the equations; do not edit."""',
        "import numpy as np",
        "from numba import cuda as cuda_",
        "from spikesim.dynamics import cuda_math",
        f"from spikesim.dynamics.cuda_math import {', '.join(['device', *used])}",
        f"_on_disk = {on_disk}",
        f"real = np.{kernel.dtype}",
        *(f"{f} = cuda_math.{kernel.dtype}.{f}" for f in functions),
        *(f"_{f} = cuda_math.{f}" for f in ("fresh", "uniform") if f"_{f}(" in text),
    ]
