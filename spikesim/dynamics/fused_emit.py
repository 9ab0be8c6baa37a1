"""Write a fused layer kernel out as Numba source for the CPU.

In channels-last order the neurons of a pixel lie side by side, then those of the next pixel, line by line. A tile
is a stretch of lines of one time step; a worker walks a tile through all steps before it takes the next, so
that its state stays in cache, and within a step chunk by chunk, so that what passes between the batch-norm,
the neuron and the pool stays in the first-level cache. Tiles are cut by shape alone, and sums are taken tile by
tile: a result never depends on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from spikesim.dynamics.emit import step_function
from spikesim.dynamics.fused_plan import FusedKernel, FusedPlan, fused_arrays, fused_plan
from spikesim.dynamics.plan import Plan
from spikesim.dynamics.primitives import FUNCTIONS
from spikesim.dynamics.source import indent

# Integers that every fused kernel is called with, before the addresses of its arrays. ``_row`` are the neurons of
# a chunk, ``_size`` the pairs of lines of a tile (the neurons of a tile if there is no pool); ``_far`` says that the
# input lies in memory rather than in a cache, ``_stream`` that what is written shall go round the caches.
SIZES = (
    "_steps",
    "_samples",
    "_height",
    "_width",
    "_channels",
    "_row",
    "_size",
    "_far",
    "_stream",
    "_tiles",
    "_workers",
)


def emit_fused(kernel: FusedKernel, on_disk: bool = True) -> str:
    """Python source of a fused kernel, ready to be compiled by Numba.

    >>> from spikesim.neurons import LI
    >>> text = LI().program_text()
    >>> "_affine(" in emit_fused(FusedKernel(text, "forward", "max", "float32", "float32", (True,)))
    True
    """
    plan = fused_plan(kernel)
    steps = [*step_function(kernel.step, plan.step, "step"), ""]
    if plan.again is not None:
        steps += [*step_function(kernel.step, plan.again, "again"), ""]
    return "\n".join(
        [
            f'"""Batch-norm, neuron, pool ({kernel.pool}): {kernel.mode} kernel, {kernel.storage}; do not edit."""',
            "import numpy as np",
            "from numba import carray, njit, prange",
            f"from spikesim.dynamics.cpu_math import {', '.join(sorted(FUNCTIONS))}",
            "from spikesim.dynamics.fused_rows import prefetch as _prefetch, repeated as _repeated, rows as _rows",
            "from spikesim.dynamics.fused_rows import spill as _spill, total as _total, workspace as _workspace",
            "from spikesim.dynamics.memory import NoAlias, pointer as _pointer, settle as _settle, wide as _wide",
            "from spikesim.dynamics.memory import flush as _flush, restore as _restore",
            f"real = np.{kernel.dtype}",
            f"_on_disk = {on_disk}",
            f'_functions = _rows("{kernel.storage}")',
            *(f"_{f} = _functions.{f}" for f in _FUNCTIONS),
            "",
            *steps,
            *(_forward(kernel, plan) if kernel.mode == "forward" else _backward(kernel, plan)),
            "",
            *_drivers(kernel, plan),
            "",
        ]
    )


_FUNCTIONS = ("affine", "keep", "take", "tally", "pool_max", "pool_average", "choose", "route_max", "route_average")


def _forward(kernel: FusedKernel, plan: FusedPlan) -> list[str]:
    rows = {"x": "_z", "output": "_emitted[_r * _row : _r * _row + _n]"}
    chunk = [
        _fetch(0),
        "_affine(_n, x_all[_at : _at + _n], _scale, _shift, _z)",
        _fetch(1),
        _call(kernel, plan.step, "step", rows),
        _fetch(2),
    ]
    if kernel.pool == "none":
        chunk += [
            "_out = _buffer[:_n] if _stream else output_all[_at : _at + _n]",
            "_keep(_n, _emitted, _out)",
            "if _stream: _spill(_n, _out, output_all[_at : _at + _n])",
        ]
        pooled = []
    else:
        lines = "_emitted[:_row], _emitted[_row:]"
        pooled = [f"_pool_{kernel.pool}(_windows, _channels, {lines}, output_all[_to : _to + _pooled])"]
    return [
        *_work_header(kernel),
        *indent(_allocated(kernel, plan), 1),
        "    _former = _flush()",
        "    for _tile in range(_from, _until):",
        *indent(_bounds(kernel), 2),
        "        for _t in range(_steps):",
        *indent(_chunks(kernel, chunk, after=pooled), 3),
        "    _restore(_former)",
        "    if _stream:",
        "        _settle()",
    ]


def _backward(kernel: FusedKernel, plan: FusedPlan) -> list[str]:
    step, again = plan.step, plan.again
    forward: list[str] = []
    if again is not None:
        rows = {"x": "_z", "output": "_emitted[_r * _row : _r * _row + _n]"}
        rows |= {a: _scratch(a) for a in again.writes if a != "output"}
        rows |= {s: f"_state_{s}[_in_tile : _in_tile + _n]" for s in again.carried}
        chunk = [
            _fetch(0),
            "_affine(_n, x_all[_at : _at + _n], _scale, _shift, _z)",
            _fetch(1),
            _call(kernel, again, "again", rows),
            _fetch(2),
        ]
        chosen = [
            "_choose(_windows, _channels, _emitted[:_row], _emitted[_row:], _chosen[_to_tile : _to_tile + _pooled])"
        ]
        forward = [
            *(f"_state_{s}[: _end - _begin] = initial_{s}_all[_begin:_end]" for s in again.carried),
            "for _t in range(_steps):",
            *indent(_chunks(kernel, chunk, after=chosen if kernel.pool == "max" else []), 1),
        ]
    incoming = {
        "none": [],
        "max": [
            "_route_max(_windows, _channels, _chosen[_to_tile : _to_tile + _pooled], "
            "grad_out_all[_to : _to + _pooled], _grad[:_row], _grad[_row:])"
        ],
        "average": [
            "_route_average(_windows, _channels, grad_out_all[_to : _to + _pooled], _grad[:_row], _grad[_row:])"
        ],
    }[kernel.pool]
    if incoming:
        # What no window covers gets nothing: the last column of an odd width, the last line of an odd height.
        incoming += ["for _i in range(2 * _pooled, _n):", "    _grad[_i] = _grad[_row + _i] = 0"]
    rows = {"grad_out": "_grad[_r * _row : _r * _row + _n]", "grad_x": "_grad_z"}
    rows |= {a: _scratch(a) for a in step.reads[1:]}
    rows |= {s: f"_sum_{s}" for s in step.sums}
    chunk = [
        *(["_take(_n, grad_out_all[_at : _at + _n], _grad)"] if kernel.pool == "none" else []),
        _call(kernel, step, "step", rows),
        "_out = _buffer[:_n] if _stream else grad_x_all[_at : _at + _n]",
        "_tally(_n, _grad_z, x_all[_at : _at + _n], _centre, _gain, _sum_grad, _sum_product, _out)",
        "if _stream: _spill(_n, _out, grad_x_all[_at : _at + _n])",
    ]
    sums = ["_sum_grad", "_sum_product", *(f"_sum_{s}" for s in step.sums)]
    return [
        *_work_header(kernel),
        *indent(_allocated(kernel, plan), 1),
        "    _former = _flush()",
        "    for _tile in range(_from, _until):",
        *indent(_bounds(kernel), 2),
        *indent([f"{s}[:] = 0" for s in sums], 2),
        *indent(forward, 2),
        "        for _t in range(_steps - 1, -1, -1):",
        *indent(_chunks(kernel, chunk, before=incoming), 3),
        *indent([f"_total({s}, _partial_all[_tile, {k}])" for k, s in enumerate(sums)], 2),
        "    _restore(_former)",
        "    if _stream:",
        "        _settle()",
    ]


def _fetch(part: int) -> str:
    """Fetch a part of the chunk that follows in the line."""
    return f"if _far: _prefetch(x_all, _at + _row, _n, {part})"


def _scratch(array: str) -> str:
    return f"_scratch_{array}[_t * _most + _in_tile : _t * _most + _in_tile + _n]"


def _bounds(kernel: FusedKernel) -> list[str]:
    """The neurons of a tile within one time step."""
    if kernel.pool == "none":
        return ["_begin = _tile * _size", "_end = min(_neurons, _begin + _size)"]
    return [
        "_first_pair, _end_pair = _tile * _size, min(_samples * _pairs, (_tile + 1) * _size)",
        "_begin = _first_pair // _pairs * _height * _line + _first_pair % _pairs * 2 * _line",
        "_end = _end_pair // _pairs * _height * _line + _end_pair % _pairs * 2 * _line",
        "_to_begin = (_first_pair // _pairs * (_height // 2) + _first_pair % _pairs) * (_width // 2) * _channels",
    ]


def _chunks(kernel: FusedKernel, chunk: list[str], before: Sequence[str] = (), after: Sequence[str] = ()) -> list[str]:
    """Visit the chunks of a tile within one time step; ``before`` and ``after`` treat a chunk of two lines at once."""
    if kernel.pool == "none":
        return [
            "for _first in range(_begin, _end, _row):",
            "    _n = min(_row, _end - _first)",
            "    _at, _in_tile = _t * _neurons + _first, _first - _begin",
            "    _r = 0",
            *indent(chunk, 1),
        ]
    each = [
        "_first = _top + _r * _line + _left",
        "_at, _in_tile = _t * _neurons + _first, _first - _begin",
        *chunk,
    ]
    pooling = [
        "_windows = _n // (2 * _channels)",
        "_pooled = _windows * _channels",
        "_to_line = (_sample * (_height // 2) + _pair) * (_width // 2 * _channels)",
        "_to = _t * _samples * (_height // 2) * (_width // 2 * _channels) + _to_line + _left // 2",
        "_to_tile = _t * (_most // 4) + _to_line - _to_begin + _left // 2",
    ]
    prepared = ["if _lines == 2:", *indent([*pooling, *before], 1), "else:", "    _grad[:_n] = 0"] if before else []
    return [
        "for _unit in range(_first_pair, _end_pair):",
        "    _sample, _pair = _unit // _pairs, _unit % _pairs",
        "    _top = (_sample * _height + 2 * _pair) * _line",
        "    _lines = min(2, _height - 2 * _pair)",
        "    for _left in range(0, _line, _row):",
        "        _n = min(_row, _line - _left)",
        *indent(prepared, 2),
        "        for _r in range(_lines):",
        *indent(each, 3),
        *(["        if _lines == 2:", *indent([*pooling, *after], 3)] if after else []),
    ]


def _allocated(kernel: FusedKernel, plan: FusedPlan) -> list[str]:
    """What a worker works in: chunk rows, the constants of a chunk, and the scratch of a tile."""
    uniform = _uniform(kernel, plan.step)
    element = "np.uint16" if kernel.storage in ("bfloat16", "float16") else f"np.{kernel.storage}"
    lines = [
        "_line = _width * _channels",
        "_pairs = (_height + 1) // 2",
        "_neurons = _samples * _height * _line",
        "_most = _size" if kernel.pool == "none" else "_most = _size * 2 * _line",
        "_z = _workspace(_row, real(0))",
        "_emitted = _workspace(2 * _row, real(0))",
        f"_buffer = _workspace(_row, {element}(0))",
        *(f"_value_{p} = {p}_all[0]" for p in plan.step.params if p in uniform),
    ]
    channels = ["_scale", "_shift", *(p for p in plan.step.params if p not in uniform)]
    if kernel.mode == "forward":
        return [*lines, *(f"{_pattern(c)} = _repeated({c}_all, _row)" for c in channels)]
    channels += ["_centre", "_gain"]
    again = plan.again
    lines += [f"{_pattern(c)} = _repeated({c}_all, _row)" for c in channels]
    lines += ["_grad = _workspace(2 * _row, real(0))", "_grad_z = _workspace(_row, real(0))"]
    lines += [f"_sum_{s} = _workspace(_row, real(0))" for s in ("grad", "product", *plan.step.sums)]
    if again is not None:
        lines += [f"_scratch_{a} = _workspace(_steps * _most, real(0))" for a in again.writes if a != "output"]
        lines += [f"_state_{s} = _workspace(_most, real(0))" for s in again.carried]
    if kernel.pool == "max":
        lines.append("_chosen = _workspace(_steps * (_most // 4), np.uint8(0))")
    return lines


def _pattern(channel_array: str) -> str:
    return channel_array if channel_array.startswith("_") else f"_per_channel_{channel_array}"


def _uniform(kernel: FusedKernel, plan: Plan) -> set[str]:
    return {p for p, u in zip(plan.params, kernel.uniform) if u}


def _call(kernel: FusedKernel, plan: Plan, name: str, rows: dict[str, str]) -> str:
    uniform = _uniform(kernel, plan)
    given = {c: f"{c}_all[_first : _first + _n]" for c in plan.carried}
    given |= {p: f"_value_{p}" if p in uniform else _pattern(p) for p in plan.params}
    given |= rows
    arrays = [*plan.reads, *plan.writes, *plan.carried, *plan.sums, *plan.params]
    return f"{name}({', '.join(['_n', '0', '_first', *(given[a] for a in arrays)])})"


def _work_header(kernel: FusedKernel) -> list[str]:
    arguments = ["_from", "_until", *SIZES[:-2], *(f"{a}_all" for a in fused_arrays(kernel))]
    return [f"def work({', '.join(arguments)}):"]


def _drivers(kernel: FusedKernel, plan: FusedPlan) -> list[str]:
    arrays = fused_arrays(kernel)
    neurons = "_samples * _height * _width * _channels"
    pooled = "_samples * (_height // 2) * (_width // 2) * _channels"
    outer = neurons if kernel.pool == "none" else pooled
    sizes = dict.fromkeys(arrays, neurons)
    sizes |= dict.fromkeys(("x", "grad_x"), f"_steps * {neurons}")
    sizes |= dict.fromkeys(("output", "grad_out"), f"_steps * {outer}")
    sizes |= {p: "1" if p in _uniform(kernel, plan.step) else "_channels" for p in plan.step.params}
    sizes |= dict.fromkeys(("_scale", "_shift", "_centre", "_gain"), "_channels")
    half = kernel.storage in ("bfloat16", "float16")
    stored = "np.uint16" if half else f"np.{kernel.storage}"
    dtypes = dict.fromkeys(arrays, "real") | dict.fromkeys(("x", "grad_x", "output", "grad_out"), stored)
    views = [f"{a}_all = carray(_pointer({a}_at), ({sizes[a]},), {dtypes[a]})" for a in arrays if a != "_partial"]
    if "_partial" in arrays:
        count = 2 + len(plan.step.sums)
        views.append(f"_partial_all = carray(_pointer(_partial_at), (_tiles, {count}, _channels), np.float64)")
    addresses = ", ".join([*SIZES, *(f"{a}_at" for a in arrays)])
    wholes = ", ".join([*SIZES[:-2], *(f"{a}_all" for a in arrays)])
    names = ["step", "again"] if plan.again is not None else ["step"]
    return [
        f"def run({addresses}):",
        *indent([*views, f"work(0, _tiles, {wholes})"], 1),
        "",
        f"def run_parallel({addresses}):",
        *indent([*views, "for _worker in prange(_workers):"], 1),
        f"        work(_worker * _tiles // _workers, (_worker + 1) * _tiles // _workers, {wholes})",
        "",
        "# The rows of one call never overlap, so a step may be vectorised without checking.",
        *(
            f'{name} = njit(nogil=True, error_model="numpy", pipeline_class=NoAlias, cache=_on_disk)({name})'
            for name in names
        ),
        'work = njit(nogil=True, error_model="numpy", cache=_on_disk)(work)',
        'run = njit(nogil=True, error_model="numpy", cache=_on_disk)(run)',
        'run_parallel = njit(nogil=True, error_model="numpy", parallel=True, cache=_on_disk)(run_parallel)',
    ]
