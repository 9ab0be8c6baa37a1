"""What doctor shows on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from spikesim.cli.doctor_result import Result
from spikesim.dynamics.equivalence_cover import Case


def _table(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for k, column in enumerate(columns):
        table.add_column(column, justify="left" if k < left else "right", overflow="fold")
    return table


def machine_table(report: Mapping[str, Any]) -> Table:
    """Versions, backends, cache and allocator, one line each."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in _machine_rows(report):
        table.add_row(*row)
    return table


def _machine_rows(report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    found = {k: v for k, v in report["versions"].items() if v is not None}
    yield "versions", ", ".join(f"{name} {version}" for name, version in found.items())
    if missing := [name for name in report["versions"] if name not in found]:
        yield "not installed", ", ".join(missing)
    cpu, cuda = report["backends"]["cpu"], report["backends"]["cuda"]
    yield "processor", f"{cpu['processor']} ({cpu['target']}), {cpu['cores']} cores"
    yield "vectors", ", ".join(cpu["vector_extensions"]) or "none known"
    yield "threads", f"torch {cpu['torch_threads']}, numba {cpu['numba_threads']}"
    yield "CPU kernels", "on" if cpu["kernels"] else f"off: {report['kernels_off']}"
    on = f"on {cuda['device']}" if cuda["kernels"] else f"off: {cuda['reason']}"
    yield "CUDA kernels", on
    yield "kernel cache", _cache(report["cache"])
    yield "allocator", _allocator(report["allocator"])


def _cache(cache: Mapping[str, Any]) -> str:
    if not cache["writable"]:
        return (
            f"{cache['folder']} cannot be written ({cache['reason']}): every process compiles anew; set "
            "SPIKESIM_CACHE_DIR to a folder that can"
        )
    return f"{cache['folder']}, {cache['kernels']} kernels, {cache['bytes'] / 2**20:.1f} MiB"


def _allocator(state: Mapping[str, Any]) -> str:
    library = f"glibc {state['glibc']}" if state["glibc"] else "not glibc"
    if state["tuned"]:
        kept = "freed memory is kept"
    else:
        kept = f"as the system has it ({state['refusal']})" if state["refusal"] else "as the system has it"
    asked = "asked for" if state["huge_pages_requested"] else "not asked for"
    return f"{library}, {kept}; huge pages: {state['huge_pages'] or 'unknown'}, {asked}"


def summary_table(results: Sequence[Result]) -> Table:
    """One row per neuron: how many comparisons passed, and the largest deviations per dtype."""
    dtypes = list(dict.fromkeys(r.case.dtype for r in sorted(results, key=lambda r: r.case.dtype)))
    table = _table("largest deviation from float64, single steps / whole runs", "neuron", "passed", *dtypes)
    for name in sorted({r.case.neuron for r in results}, key=str.lower):
        own = [r for r in results if r.case.neuron == name]
        passed = sum(r.problem is None for r in own)
        cells = [_worst([r for r in own if r.case.dtype == dtype]) for dtype in dtypes]
        table.add_row(name, f"{passed}/{len(own)}", *cells, style=None if passed == len(own) else "red")
    return table


def _worst(results: Sequence[Result]) -> str:
    compared = [r for r in results if r.found is not None]
    if not compared:
        return "-"
    return f"{_short(max(r.worst for r in compared))} / {_short(max(r.run for r in compared))}"


def _short(deviation: float) -> str:
    return "0" if deviation == 0.0 else f"{deviation:.0e}".replace("e-0", "e-")


def full_table(results: Sequence[Result]) -> Table:
    """One row per comparison."""
    table = _table("every comparison", "case", "surrogates", "steps", "runs", "verdict", left=2)
    for r in results:
        deviations = (_short(r.worst), _short(r.run)) if r.found else ("-", "-")
        verdict = "failed" if r.problem else "passed"
        names = r.case.surrogates.replace("+", ", ")
        table.add_row(_name(r.case), names, *deviations, verdict, style="red" if r.problem else None)
    return table


def failures(results: Sequence[Result]) -> str:
    """Every comparison that failed, in full, one paragraph each; empty if none did."""
    failed = [r for r in results if r.problem is not None]
    return "\n".join(f"{_name(r.case)}, surrogates {r.case.surrogates}: {r.problem}" for r in failed)


def _name(case: Case) -> str:
    backend = case.device if case.memory == "-" else f"{case.device} {case.memory}"
    reset = [] if case.reset == "-" else [f"reset={case.reset}"]
    return " ".join([case.neuron, *reset, case.dtype, case.direction, backend])


def bandwidth_table(measured: Sequence[Mapping[str, Any]]) -> Table:
    """Gigabytes per second of a LIF beside a copy."""
    steps, neurons = measured[0]["shape"]
    title = f"bandwidth of LIF, float32 [{steps}, {neurons}], beside a copy"
    table = _table(title, "device", "memory", "copy", "forward", "with backward", left=2)
    for found in measured:
        for memory in ("fresh", "kept"):
            if memory in found:
                m = found[memory]
                cells = [f"{m[f'{k}_gb_s']:.1f} GB/s, {100 * m[f'{k}_share']:.0f} %" for k in ("forward", "training")]
                table.add_row(found["device"], memory, f"{m['copy_gb_s']:.1f} GB/s", *cells)
    return table
