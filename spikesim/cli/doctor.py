"""``spikesim doctor``: what is installed, whether the kernels are right on this machine, and how fast they are."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikesim.errors import CheckFailed, ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from spikesim.cli.doctor_result import Result

SCHEMA = 1


def doctor(
    full: Annotated[
        bool, typer.Option("--full", help="Compare every combination instead of a pairwise cover: hours of compiling.")
    ] = False,
    neuron: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this neuron; may be given repeatedly.")
    ] = None,
    dtype: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this dtype; may be given repeatedly.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that compile and compare (default: one per core).", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output instead of tables.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the JSON to this file. After an interrupt, the same FILE takes the run up again.",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show every comparison, not only those that fail.")
    ] = False,
) -> None:
    """Check this installation: versions, backends, and every neuron's kernels against float64 equations.

    Kernels that are not in the cache yet are compiled first, about a second each. Exits with 3 if a check fails.

    Example: spikesim doctor --neuron LIF --neuron ALIF
    """
    from rich.console import Console

    from spikesim.cli import doctor_machine as machine
    from spikesim.cli.doctor_checks import chosen
    from spikesim.cli.doctor_tables import machine_table

    show = Console(stderr=as_json, quiet=as_json, highlight=False)
    cases = chosen(full, neuron or [], dtype or [])
    if not cases:
        raise ConfigError("nothing is left to compare; give other values to --neuron and --dtype")
    off = machine.kernels_off()
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "versions": machine.versions(),
        "backends": machine.backends(),
        "kernels_off": off,
        "cache": machine.cache(),
        "allocator": machine.allocator(),
    }
    show.print(machine_table(report))
    if off is None:
        results = _compare(cases, jobs or report["backends"]["cpu"]["cores"], output, report, full)
        _show_equivalence(show, results, verbose, full)
        problems = [*_problems(results, neuron), *_measure(show, report)]
    else:
        show.print("\nNothing was compared and nothing measured: kernels are off.", style="yellow")
        report |= {"equivalence": None, "bandwidth": None, "threads_agree": None}
        problems = []
    report |= {"passed": None if off else not problems, "problems": problems}
    _write(report, as_json, output)
    if problems:
        raise CheckFailed("; ".join(problems))


def _compare(cases: Sequence[Any], jobs: int, output: Path | None, report: dict[str, Any], full: bool) -> list[Result]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from spikesim.cli.doctor_checks import evaluated
    from spikesim.cli.doctor_journal import Journal, software

    journal = Journal(output.with_name(output.name + ".part"), software(report["versions"])) if output else None
    columns = (TextColumn("comparing {task.fields[at]}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    start, results = time.perf_counter(), []
    errors = Console(stderr=True, highlight=False)
    with Progress(*columns, TimeRemainingColumn(), console=errors, transient=True) as progress:
        task = progress.add_task("", total=len(cases), at="")
        try:
            for result in evaluated(cases, jobs, journal):
                results.append(result)
                progress.update(task, advance=1, at=result.case.neuron)
        except KeyboardInterrupt:
            if output is not None:
                errors.print(
                    f"{len(results)} of {len(cases)} comparisons are kept; give --output {output} again", markup=False
                )
            raise
    results.sort(key=lambda result: result.case)
    report["equivalence"] = {
        "full": full,
        "jobs": jobs,
        "seconds": round(time.perf_counter() - start, 1),
        "compared": len(results),
        "failed": sum(result.problem is not None for result in results),
        "cases": [result.to_json() for result in results],
    }
    if journal is not None:
        journal.remove()
    return results


def _show_equivalence(show: Console, results: Sequence[Result], verbose: bool, full: bool) -> None:
    from spikesim.cli.doctor_tables import failures, full_table, summary_table

    show.print()
    show.print(full_table(results) if verbose else summary_table(results))
    kind = "every combination" if full else "every pair of neuron, surrogate, reset, dtype, direction and backend"
    show.print(f"{len(results)} comparisons cover {kind}.")
    if failed := failures(results):
        show.print(f"\nfailed\n{failed}", style="red", markup=False, soft_wrap=True)


def _problems(results: Sequence[Result], neurons: Sequence[str] | None) -> list[str]:
    from spikesim.cli.doctor_checks import subjects

    failed = sum(result.problem is not None for result in results)
    problems = [f"{failed} of {len(results)} comparisons of kernels with their equations failed"] if failed else []
    refused = subjects()[1]
    return problems + [f"{name} cannot be built: {why}" for name, why in refused.items() if not neurons]


def _measure(show: Console, report: dict[str, Any]) -> list[str]:
    from spikesim.cli.doctor_bandwidth import bandwidth, threads_agree
    from spikesim.cli.doctor_checks import devices
    from spikesim.cli.doctor_machine import threading_layer
    from spikesim.cli.doctor_tables import bandwidth_table

    measured: list[Mapping[str, Any]] = [bandwidth(device) for device in devices()]
    agree = threads_agree()
    report |= {"bandwidth": measured, "threads_agree": agree}
    report["backends"]["cpu"]["threading_layer"] = threading_layer()
    show.print()
    show.print(bandwidth_table(measured))
    same = "the same bits" if agree else "different bits"
    show.print(f"One thread and {measured[0]['threads']} give {same} ({threading_layer() or 'one thread'}).")
    return [] if agree else ["one thread and several give different results"]


def _write(report: Mapping[str, Any], as_json: bool, output: Path | None) -> None:
    from spikesim.viz import write_text

    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    if output is not None:
        write_text(output, text)
    if as_json:
        typer.echo(text, nl=False)
