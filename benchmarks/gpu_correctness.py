"""First section of ``gpu_check.py``: kernels against float64, in several processes, since compiling takes longest."""

from __future__ import annotations

import argparse
import inspect
import multiprocessing
import os
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

# Multiply-adds that round once and an exp of its own: a GPU rounds otherwise than the CPU that the tolerances are for.
SLACK = 5.0

_ARGUMENTS = {"Lapicque": {"beta": 0.9}}  # has no defaults by design


def subjects(names: list[str] | None) -> dict[str, Any]:
    """What can be combined, of every neuron that spikesim exports."""
    import spikesim.neurons
    from spikesim.dynamics import Neuron
    from spikesim.dynamics.equivalence_cover import subject

    found = {}
    for name in names or spikesim.neurons.__all__:
        kind = getattr(spikesim.neurons, name)
        if inspect.isclass(kind) and issubclass(kind, Neuron) and kind.states and callable(getattr(kind, "step", None)):
            found[name] = subject(kind, _ARGUMENTS.get(name))
    return found


def run(given: argparse.Namespace, device: str, left: float) -> dict[str, Any]:
    """Check a cover of all combinations.

    Args:
        given: command line.
        device: where the kernels run.
        left: seconds, of which as many are taken as leave some for the other sections.
    """
    from spikesim.dynamics.equivalence_cover import cover, product

    kinds = subjects(given.neurons)
    cases = (product if given.full else cover)(kinds, (device,))
    if device == "cpu":
        # The simulator walks through Python line by line; half precision differs in loads and stores alone.
        cases = [c for c in cases if c.dtype in ("float32", "bfloat16")]
    cores = os.cpu_count() or 1
    workers = given.workers or (1 if device == "cpu" else max(1, min(12, cores - 2)))
    deadline = time.monotonic() + (left if given.full else 0.6 * left)
    worst: dict[str, float] = {}
    failed, late, begin = {}, 0, time.monotonic()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_prepare) as pool:
        waiting = {pool.submit(_check, kinds[c.neuron], c, deadline): c for c in cases}
        for done in as_completed(waiting):
            case, (deviation, problem) = waiting[done], done.result()
            if deviation is None and problem is None:
                late += 1
                continue
            if problem is not None:
                failed[str(case)] = problem
                print(f"  WRONG {case}: {problem}", flush=True)
            if deviation is not None:
                worst[case.dtype] = max(worst.get(case.dtype, 0.0), deviation)
    checked = len(cases) - late
    print(f"  {checked} of {len(cases)} combinations, {len(failed)} wrong, {time.monotonic() - begin:.0f} s")
    for dtype, deviation in sorted(worst.items()):
        print(f"  {dtype:10s} largest deviation {deviation:.1e}")
    counts = {k: dict(Counter(getattr(c, k) for c in cases)) for k in ("neuron", "dtype", "direction", "memory")}
    return {
        "combinations": len(cases), "checked": checked, "cases": counts, "worst": worst, "failed": failed,
        "seconds": round(time.monotonic() - begin, 1),
        **({"unchecked": f"{late} combinations: time was up"} if late else {}),
    }  # fmt: skip


def _prepare() -> None:
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")


def _check(kind: Any, case: Any, deadline: float) -> tuple[float | None, str | None]:
    """Largest deviation, and what is wrong; neither if time is up."""
    from spikesim.dynamics.equivalence_cover import TOLERANCE, check

    if time.monotonic() > deadline:
        return None, None
    try:
        found = check(kind, case)
        return max(found.single.worst, found.run.worst), found.problem(SLACK * TOLERANCE[case.dtype])
    except Exception as error:  # whatever goes wrong in one combination, the others are checked
        return None, f"{type(error).__name__}: {str(error)[:500]}"
