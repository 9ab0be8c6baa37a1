"""Write a plan out as Numba source for the CPU: time as the loop inside a block of neurons.

A kernel walks a block of neurons through all time steps, so that its state stays in cache. ``step``
is the neuron's own equations on one row of neurons, left to the vectoriser; ``block`` feeds it rows;
``run`` walks the blocks in order and ``run_parallel`` hands them to threads. Blocks are cut by shape
alone, so a result never depends on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable

from spikesim.dynamics.memory import LANES
from spikesim.dynamics.plan import Arrays, Kernel, Plan, arrays_of, plan_of
from spikesim.dynamics.primitives import FUNCTIONS
from spikesim.dynamics.program import parse
from spikesim.dynamics.source import Writer, assignments, indent

# Integers that every kernel is called with, before the addresses of its arrays.
SIZES = (
    "_steps",
    "_samples",
    "_features",
    "_time_stride",
    "_sample_stride",
    "_size",
    "_mask_at",
    "_clock_at",
)

_HALF = ("bfloat16", "float16")


def emit(kernel: Kernel, title: str = "neuron", on_disk: bool = True) -> str:
    """Python source of a kernel, ready to be compiled by Numba.

    >>> from spikesim.neurons import LI
    >>> text = LI().program().text()
    >>> "v_next = v + (x - v) / tau" in emit(Kernel(text, "infer", "float32", (True,)), "LI")
    True
    """
    plan, arrays = plan_of(kernel), arrays_of(kernel)
    parts = [
        f'"""{title}: {kernel.mode} kernel, {kernel.dtype}, derived from the equations; do not edit."""',
        "import numpy as np",
        "from numba import carray, njit, prange",
        "from spikesim.dynamics.counter import key as _key, uniform as _uniform",
        "from spikesim.dynamics.cpu_math import blank as _blank, row_sum as _row_sum",
        "from spikesim.dynamics.cpu_math import (",
        f"    {', '.join(sorted(FUNCTIONS))},",
        ")",
        "from spikesim.dynamics.memory import NoAlias, pointer as _pointer, settle as _settle, stream as _stream",
        "from spikesim.dynamics.memory import flush as _flush, restore as _restore, wide as _wide",
        "from spikesim.dynamics.memory import from_bfloat16, from_float16, to_bfloat16, to_float16",
        f"real = np.{kernel.dtype}",
        f"_on_disk = {on_disk}",
        "",
        *step_function(kernel, plan, "step", kernel.streamed),
        "",
    ]
    if plan.again is not None:
        parts += [*step_function(kernel, plan.again, "again"), ""]
    parts += [*(_recomputing_block if plan.again else _block)(kernel, plan, arrays), "", *_drivers(kernel, arrays)]
    return "\n".join(parts) + "\n"


def step_function(kernel: Kernel, plan: Plan, name: str, streamed: bool = False) -> list[str]:
    """The equations of one step on ``_n`` neurons whose values lie side by side.

    Its arguments are ``_n``, ``_k`` (the sub-step), ``_first`` (index of the first neuron), one key per draw,
    and the row of every array; a uniform parameter is a number. A streamed step also takes a ``_line_*`` of
    ``LANES`` values per written row, gathers its results there and stores them round the cache: ``_n`` is then a
    multiple of ``LANES`` and every written row begins a cache line.
    """
    beside = (*plan.carried, *plan.params, *plan.draws, *(r.removeprefix("saved_") for r in plan.reads))
    writer = Writer(plan.body, plan.results, FUNCTIONS, beside)
    uniform = _uniform(kernel, plan)
    loop = []
    for array in [*plan.reads, *plan.carried, *(p for p in plan.params if p not in uniform)]:
        value = array.removeprefix("saved_")
        if value in plan.used:
            loop.append(f"{writer.variable(value)} = {_loaded(kernel, array)}")
    if plan.substeps > 1 and plan.merge == "last" and "grad_out" in plan.reads:
        loop.append(f"grad_out = grad_out if _k == {plan.substeps - 1} else real(0)")
    loop += [
        f"{writer.variable(d)} = real(_uniform(_key_{d}, np.uint64(_first) + np.uint64(_i)))"
        for d in plan.draws
        if d in plan.used
    ]
    loop += writer.lines
    for array, result in plan.stores.items():
        target = f"_line_{array}[_j]" if streamed else f"{array}_row[_i]"
        loop.append(_stored(kernel, plan, array, target, writer.value(result)))
    loop += assignments(writer, plan.sums, "{target}_row[_i] += {value}")
    loop += assignments(writer, {k: v for k, v in plan.updates.items() if k != v}, "{target}_row[_i] = {value}")
    head = f"def {name}({', '.join(_step_arguments(plan, uniform, writer, streamed))}):"
    if not streamed:
        return [head, "    _wide()", "    for _i in range(_n):", *indent(loop or ["pass"], 2)]
    return [
        head,
        "    _wide()",
        f"    for _at in range(0, _n, {LANES}):",
        f"        for _j in range({LANES}):",
        # Unsigned, since an index that might be negative is no plain stride to the vectoriser.
        "            _i = np.uint64(_at) + np.uint64(_j)",
        *indent(loop, 3),
        *(f"        _stream({a}_row, _at, _line_{a})" for a in plan.writes),
    ]


def _uniform(kernel: Kernel, plan: Plan) -> set[str]:
    return {p for p, u in zip(plan.params, kernel.uniform) if u}


def _step_arguments(plan: Plan, uniform: set[str], writer: Writer, streamed: bool) -> list[str]:
    arrays = [*plan.reads, *plan.writes, *plan.carried, *plan.sums]
    params = [writer.variable(p) if p in uniform else f"{p}_row" for p in plan.params]
    rows = [*(f"{a}_row" for a in arrays), *params, *(f"_line_{a}" for a in plan.writes if streamed)]
    return ["_n", "_k", "_first", *(f"_key_{d}" for d in plan.draws), *rows]


def _loaded(kernel: Kernel, array: str) -> str:
    dtype = kernel.dtype_of(array)
    return f"from_{dtype}({array}_row[_i])" if dtype in _HALF else f"{array}_row[_i]"


def _stored(kernel: Kernel, plan: Plan, array: str, target: str, value: str) -> str:
    if adds_up(plan, array):
        return f"{target} += {value}"
    dtype = kernel.dtype_of(array)
    return f"{target} = " + (f"to_{dtype}({value})" if dtype in _HALF else value)


def _totals(kernel: Kernel, plan: Plan) -> list[str]:
    """Arrays in half precision to which sub-steps add: in the dtype of the arithmetic first, rounded once."""
    return [a for a in plan.writes if adds_up(plan, a) and kernel.dtype_of(a) in _HALF]


def _narrowed(kernel: Kernel, plan: Plan) -> list[str]:
    """Store the totals of a time step."""
    lines = []
    for a in _totals(kernel, plan):
        narrow = f"_narrow_{a}[_i] = to_{kernel.dtype_of(a)}(_total_{a}[_i])"
        lines += [f"_narrow_{a} = {_row(plan, a)}", "for _i in range(_n):", f"    {narrow}"]
    return lines


def adds_up(plan: Plan, array: str) -> bool:
    """Whether the sub-steps of a time step share one row of a written array by adding to it."""
    return plan.substeps > 1 and (array == "grad_x" or (array == "output" and plan.merge == "sum"))


def _block(kernel: Kernel, plan: Plan, arrays: Arrays) -> list[str]:
    backward = kernel.mode == "backward"
    uniform = _uniform(kernel, plan)
    rows = _own_rows(kernel, plan)
    call = [*_keys(plan), _call(plan, uniform, "step", rows, streamed=kernel.streamed)]
    return [
        f"def block({_block_arguments(arrays)}):",
        *indent([*_uniform_values(plan, uniform), *_stretch(), *_lines(kernel, plan)], 1),
        f"    for _t in {_order('_steps', backward)}:",
        *indent(_masked(kernel, plan, _time_step(kernel, plan, call, backward)), 2),
        *indent(_ended(kernel, plan), 1),
    ]


def _recomputing_block(kernel: Kernel, plan: Plan, arrays: Arrays) -> list[str]:
    """Forward over the block into a scratch that stays in cache, then backward from it."""
    again = plan.again
    if again is None:
        raise TypeError("not a plan that recomputes")
    uniform = _uniform(kernel, plan)
    rows = {a: f"_scratch_{a}[_t * {plan.substeps} + _k]" for a in again.writes}
    rows |= {s: f"_state_{s}" for s in again.carried}
    rows |= _own_rows(kernel, plan)
    forward = [*_keys(again), _call(again, uniform, "again", rows)]
    back = [*_keys(plan), _call(plan, uniform, "step", rows, streamed=kernel.streamed)]
    unmasked = ["if _mask[_t * _samples + _sample] == 0:", "    continue"] if kernel.masked else []
    return [
        f"def block({_block_arguments(arrays)}):",
        *indent([*_uniform_values(plan, uniform), *_stretch(), *_lines(kernel, plan)], 1),
        *(f"    _scratch_{a} = np.empty((_steps * {plan.substeps}, _n), real)" for a in again.writes),
        *(f"    _state_{s} = initial_{s}_all[_first : _first + _n].copy()" for s in again.carried),
        "    for _t in range(_steps):",
        *indent([*unmasked, *_substeps(again, forward, backward=False)], 2),
        "    for _t in range(_steps - 1, -1, -1):",
        *indent(_masked(kernel, plan, _time_step(kernel, plan, back, backward=True)), 2),
        *indent(_ended(kernel, plan), 1),
    ]


def _own_rows(kernel: Kernel, plan: Plan) -> dict[str, str]:
    """Arrays of which a block has a row of its own."""
    rows = {a: f"_total_{a}" for a in _totals(kernel, plan)}
    return rows | {a: f"_sum_{a}" for a in kernel.shared_sums}


def _ended(kernel: Kernel, plan: Plan) -> list[str]:
    """What a block does after its last step."""
    sums = [f"{a}_all[_block] = _row_sum(_sum_{a})" for a in plan.sums if a in kernel.shared_sums]
    return [*sums, "_restore(_former)", *(["_settle()"] if kernel.streamed else [])]


def _stretch() -> list[str]:
    return [
        "_former = _flush()",
        "_neurons = _samples * _features",
        "_first = _sample * _features + _begin",
        "_n = _end - _begin",
    ]


def _lines(kernel: Kernel, plan: Plan) -> list[str]:
    """Where a streamed step gathers its results, sub-steps add theirs up, and gradients of a number do."""
    lines = [f"_line_{a} = np.empty({LANES}, {_element(kernel, a)})" for a in plan.writes if kernel.streamed]
    lines += [f"_total_{a} = np.empty(_n, real)" for a in _totals(kernel, plan)]
    own = [a for a in plan.sums if a in kernel.shared_sums]
    return [*lines, *(line for a in own for line in (f"_sum_{a} = np.empty(_n, real)", f"_blank(_sum_{a})"))]


def _time_step(kernel: Kernel, plan: Plan, call: list[str], backward: bool) -> list[str]:
    """All sub-steps of one time step, and what they add up to."""
    totals = _totals(kernel, plan)
    blank = [
        f"_total_{a}[:] = 0" if a in totals else f"{_row(plan, a)}[:] = 0" for a in plan.writes if adds_up(plan, a)
    ]
    return [*blank, *_substeps(plan, call, backward), *_narrowed(kernel, plan)]


def _substeps(plan: Plan, call: list[str], backward: bool) -> list[str]:
    if plan.substeps == 1:
        return ["_k = 0", *call]
    return [f"for _k in {_order(str(plan.substeps), backward)}:", *indent(call, 1)]


def _blank(plan: Plan, which: Callable[[Plan, str], bool]) -> list[str]:
    """Zero the written rows that start from zero."""
    return [f"{_row(plan, a)}[:] = 0" for a in plan.writes if which(plan, a)]


def _masked(kernel: Kernel, plan: Plan, lines: list[str]) -> list[str]:
    """A masked step leaves its state alone and writes zeros."""
    if not kernel.masked:
        return lines
    blank = _blank(plan, lambda _, a: not a.startswith("saved_"))
    kept = _blank(plan, lambda _, a: a.startswith("saved_"))
    blank += _substeps(plan, kept, backward=False) if kept else []
    return ["if _mask[_t * _samples + _sample] != 0:", *indent(lines, 1), "else:", *indent(blank or ["pass"], 1)]


def _block_arguments(arrays: Arrays) -> str:
    sizes = ["_block", "_sample", "_begin", "_end", *SIZES[:5], "_mask", "_clock"]
    return ", ".join([*sizes, *(f"{a}_all" for a in arrays.names)])


def _uniform_values(plan: Plan, uniform: set[str]) -> list[str]:
    return [f"_value_{p} = {p}_all[0]" for p in plan.params if p in uniform]


def _order(count: str, backward: bool) -> str:
    return f"range({count} - 1, -1, -1)" if backward else f"range({count})"


def _keys(plan: Plan) -> list[str]:
    step = f"(_clock[1] + _t) * {plan.substeps} + _k"
    return [f"_key_{d} = _key(_clock[0], {step}, {k})" for k, d in enumerate(plan.draws)]


def _row(plan: Plan, array: str) -> str:
    """The part of an array that one step of the block reads or writes."""
    if array == "x":
        # Only the input may lie in strides.
        at = "_t * _time_stride + _sample * _sample_stride + _begin"
    elif array in plan.reads or array in plan.writes:
        step = f"(_t * {plan.substeps} + _k)" if array.startswith("saved_") and plan.substeps > 1 else "_t"
        at = f"{step} * _neurons + _first"
    else:
        at = "_first"
    return f"{array}_all[{at} : {at} + _n]"


def _call(plan: Plan, uniform: set[str], name: str, rows: dict[str, str] | None = None, streamed: bool = False) -> str:
    own = rows or {}
    arrays = [*plan.reads, *plan.writes, *plan.carried, *plan.sums, *plan.params]
    values = [f"_value_{a}" if a in uniform else own.get(a) or _row(plan, a) for a in arrays]
    values += [f"_line_{a}" for a in plan.writes if streamed]
    return f"{name}({', '.join(['_n', '_k', '_first', *(f'_key_{d}' for d in plan.draws), *values])})"


def _element(kernel: Kernel, array: str) -> str:
    if array in kernel.shared_sums:
        return "np.float64"
    dtype = kernel.dtype_of(array)
    return "np.uint16" if dtype in _HALF else f"np.{dtype}"


def _drivers(kernel: Kernel, arrays: Arrays) -> list[str]:
    plan = plan_of(kernel)
    uniform = _uniform(kernel, plan)
    program = parse(kernel.program)
    outer = {"x"} & set(arrays.reads)
    sizes = dict.fromkeys(arrays.names, "_samples * _features")
    sizes |= dict.fromkeys((*arrays.reads, *arrays.writes), "_steps * _samples * _features")
    sizes |= {a: f"_steps * {program.substeps} * _samples * _features" for a in arrays.names if a.startswith("saved_")}
    sizes |= dict.fromkeys(uniform, "1") | dict.fromkeys(kernel.shared_sums, "_blocks")
    sizes |= dict.fromkeys(outer, "(_steps - 1) * _time_stride + (_samples - 1) * _sample_stride + _features")
    views = ["_parts = (_features + _size - 1) // _size", "_blocks = _samples * _parts"]
    views += [f"{a}_all = carray(_pointer({a}_at), ({sizes[a]},), {_element(kernel, a)})" for a in arrays.names]
    views.append(f"_mask = carray(_pointer(_mask_at), ({'_steps * _samples' if kernel.masked else '1'},), np.uint8)")
    views.append("_clock = carray(_pointer(_clock_at), (2,), np.int64)")
    wholes = ", ".join(["_mask", "_clock", *(f"{a}_all" for a in arrays.names)])
    loop = [
        "    _sample, _begin = _b // _parts, _b % _parts * _size",
        "    _end = min(_features, _begin + _size)",
        f"    block(_b, _sample, _begin, _end, {', '.join(SIZES[:5])}, {wholes})",
    ]
    addresses = ", ".join([*SIZES, *(f"{a}_at" for a in arrays.names)])
    functions = ["step", "again"] if plan.again is not None else ["step"]
    return [
        f"def run({addresses}):",
        *indent([*views, "for _b in range(_blocks):", *loop], 1),
        "",
        f"def run_parallel({addresses}):",
        *indent([*views, "for _b in prange(_blocks):", *loop], 1),
        "",
        '_inner = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}',
        "# The rows of one call never overlap, so a step may be vectorised without checking.",
        *(f"{name} = njit(**_inner, pipeline_class=NoAlias)({name})" for name in functions),
        "block = njit(**_inner)(block)",
        'run = njit(nogil=True, error_model="numpy", cache=_on_disk)(run)',
        'run_parallel = njit(nogil=True, error_model="numpy", parallel=True, cache=_on_disk)(run_parallel)',
    ]
