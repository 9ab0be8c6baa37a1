"""The comparisons that doctor makes: which, in which process, and what came of each."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from itertools import groupby
from typing import Any

from spikesim.cli.doctor_journal import Journal
from spikesim.cli.doctor_result import Result
from spikesim.cli.doctor_workers import Died, spread
from spikesim.dynamics.equivalence_cover import TOLERANCE, Case, Subject, check, cover, product, subject
from spikesim.errors import ConfigError, SpikesimError

ARGUMENTS = {"Lapicque": {"beta": 0.9}}  # what a neuron without defaults is built with


@cache
def subjects() -> tuple[dict[str, Subject], dict[str, str]]:
    """Every neuron of the package that can be compared, and why the others cannot."""
    import spikesim.neurons

    found, refused = {}, {}
    for name in spikesim.neurons.__all__:
        kind = getattr(spikesim.neurons, name)
        if not callable(getattr(kind, "step", None)):
            continue  # a base without equations
        try:
            found[name] = subject(kind, ARGUMENTS.get(name))
        except SpikesimError as error:
            refused[name] = str(error)
    return found, refused


def devices() -> list[str]:
    """Where kernels run here."""
    import torch

    from spikesim.dynamics.cuda_support import why_not

    return ["cpu", "cuda"] if torch.cuda.is_available() and why_not() is None else ["cpu"]


def chosen(full: bool, neurons: Sequence[str], dtypes: Sequence[str]) -> list[Case]:
    """The cases to compare.

    Args:
        full: the product instead of a pairwise cover.
        neurons: names to keep to; all if empty.
        dtypes: likewise.

    Raises:
        ConfigError: an unknown name.
    """
    known, _ = subjects()
    _only_known("--neuron", neurons, known)
    _only_known("--dtype", dtypes, TOLERANCE)
    kept = {k: v for k, v in known.items() if not neurons or k in neurons}
    combined = product if full else cover
    return combined(kept, devices(), [name for name in TOLERANCE if not dtypes or name in dtypes])


def _only_known(option: str, given: Sequence[str], known: Any) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ConfigError(f"{option}: given {', '.join(unknown)}, known are {', '.join(known)}")


def evaluate(case: Case) -> Result:
    """Compare one case; whatever goes wrong becomes its problem."""
    start = time.perf_counter()
    found, problem = None, None
    try:
        equivalence = check(subjects()[0][case.neuron], case)
        found, problem = asdict(equivalence), equivalence.problem(TOLERANCE[case.dtype])
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    return Result(case, found, problem, time.perf_counter() - start)


def evaluate_alone(case: Case) -> Result:
    """The same in a process of its own, which leaves the other cores to the others."""
    import torch

    torch.set_num_threads(1)
    logging.getLogger("spikesim.dynamics.disk").setLevel(logging.ERROR)  # doctor has said so already
    return evaluate(case)


def evaluated(cases: Sequence[Case], jobs: int, journal: Journal | None = None) -> Iterator[Result]:
    """Compare all cases, in the order in which they come in.

    Args:
        cases: what to compare.
        jobs: number of processes.
        journal: where results are kept in case of an interrupt; what is there already is not compared again.
    """
    done = journal.results() if journal is not None else {}
    yield from (done[case] for case in cases if case in done)
    left = sorted(case for case in cases if case not in done)
    # Cases of one neuron and reset share kernels. Long tasks first: the last one ends alone.
    tasks = [list(group) for _, group in groupby(left, key=lambda case: (case.neuron, case.reset))]
    tasks = [part for task in tasks for part in _parts(task)]
    tasks.sort(key=lambda task: -sum(case.cost for case in task))
    jobs = max(min(jobs, len(tasks)), 1)
    for case, answer in spread(evaluate if jobs == 1 else evaluate_alone, tasks, jobs):
        result = Result(case, None, str(answer), 0.0) if isinstance(answer, Died) else answer
        if journal is not None:
            journal.add(result)
        yield result


def _parts(task: list[Case], most: int = 64) -> Iterator[list[Case]]:
    for start in range(0, len(task), most):
        yield task[start : start + most]
