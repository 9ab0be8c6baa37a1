"""What every benchmark shares: interleaved contestants, clean samples, peak memory, and a JSON with the machine in it.

How a time is taken. All contestants of a group run in one process, in random order within each round.
Warm-up calls are not counted. A sample is one call, or as many calls as fill twenty milliseconds, so that everyone,
the floor too, is seen with what it leaves in the caches itself and not with what the contestant before it did; before
a sample of short calls one more is made and not counted. While it runs, the kernel counts how long our threads stood
ready without a core (``/proc/self/task/*/schedstat``); a sample that waited for more than 3 % of its time says
something about the machine's other users and is dropped. Medians of what is left are printed, and beside them in the
JSON the medians of all samples.
Groups on one thread count that thread's processor time instead of the clock on the wall, which waits do not lengthen.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
PACKAGES = ("spikesim", "torch", "numba", "llvmlite", "numpy", "snntorch", "spikingjelly", "norse", "sinabs", "tonic")

# The allocator of all contestants alike: freed memory stays with the process (docs/performance.md).
KEEPING = {"MALLOC_MMAP_THRESHOLD_": "17179869184", "MALLOC_TRIM_THRESHOLD_": "17179869184"}
BARE = {"SPIKESIM_TUNE_ALLOCATOR": "0"}

WARM_UP = 2
SAMPLE = 20e-3  # seconds
SHORT = 20e-3
WAITED = 0.03
FEWEST_CLEAN = 3


def environment(default_malloc: bool) -> dict[str, str]:
    """The environment of a measuring process: freed memory kept, or the allocator as it comes."""
    taken_out = (*KEEPING, *BARE, "THP_MEM_ALLOC_ENABLE", "GLIBC_TUNABLES")
    kept = {k: v for k, v in os.environ.items() if k not in taken_out}
    return {**kept, **(BARE if default_malloc else KEEPING)}


@dataclass
class Samples:
    """Seconds per call of one contestant, and which of them were disturbed."""

    seconds: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    calls: int = 1
    short: bool = False

    @property
    def clean(self) -> list[float]:
        return [s for s, w in zip(self.seconds, self.waited) if w <= WAITED]

    @property
    def trusted(self) -> bool:
        return len(self.clean) >= FEWEST_CLEAN

    @property
    def median(self) -> float:
        return statistics.median(self.clean if self.trusted else self.seconds)

    def summary(self) -> dict[str, Any]:
        return {
            "median_ms": self.median * 1e3,
            "median_of_all_ms": statistics.median(self.seconds) * 1e3,
            "fastest_ms": min(self.seconds) * 1e3,
            "samples": len(self.seconds),
            "clean": len(self.clean),
            "calls_per_sample": self.calls,
            "disturbed": not self.trusted,
        }


def waiting() -> int:
    """Nanoseconds that the threads of this process have waited for a core so far."""
    total = 0
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/schedstat") as file:
                total += int(file.read().split()[1])
        except (OSError, IndexError):  # the thread has just ended
            continue
    return total


def interleave(
    contestants: dict[str, Callable[[], object]],
    rounds: int,
    seconds: float = 60.0,
    batch: bool = True,
    seed: int = 0,
    before: Callable[[], object] = lambda: None,
) -> dict[str, Samples]:
    """Time all contestants in random order within each round.

    Args:
        contestants: what to call.
        rounds: clean samples wanted of each; disturbed rounds are repeated up to twice as often.
        seconds: budget of the group; a round is begun only within it (three rounds are always run).
        batch: fill :data:`SAMPLE` with short calls.
        seed: of the order.
        before: called before each sample, and not counted; with it ``batch`` must be off.
    """
    import torch

    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    samples = {name: Samples() for name in contestants}
    for name, call in contestants.items():
        for _ in range(WARM_UP):
            before()
            begin = time.perf_counter()
            call()
            taken = time.perf_counter() - begin
        samples[name].calls = max(1, round(SAMPLE / max(taken, 1e-7))) if batch else 1
        samples[name].short = taken < SHORT
    order, shuffle, begin = list(contestants), random.Random(seed).shuffle, time.perf_counter()
    can_tell = os.path.exists("/proc/self/schedstat")
    gc.collect()
    gc.disable()
    try:
        for k in range(2 * rounds):
            if k >= FEWEST_CLEAN and time.perf_counter() - begin > seconds:
                break
            if all(len(s.clean) >= rounds for s in samples.values()):
                break
            shuffle(order)
            for name in order:
                _sample(contestants[name], samples[name], clock, can_tell, before)
    finally:
        gc.enable()
    return samples


def _sample(
    call: Callable[[], object],
    into: Samples,
    clock: Callable[[], float],
    can_tell: bool,
    prepare: Callable[[], object],
) -> None:
    if into.short:
        prepare()
        call()
    prepare()
    before = waiting() if can_tell else 0
    begin, start = time.perf_counter(), clock()
    for _ in range(into.calls):
        call()
    seconds, wall = clock() - start, time.perf_counter() - begin
    after = waiting() if can_tell else 0
    into.seconds.append(seconds / into.calls)
    into.waited.append((after - before) * 1e-9 / wall)


def status(field_name: str) -> float:
    """MiB of a line of /proc/self/status, such as VmRSS or VmHWM."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field_name}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(field_name)


class Peak:
    """Peak resident memory above where it starts, in MiB: the high-water mark is reset at the start."""

    def __enter__(self) -> Peak:
        gc.collect()
        # 5 resets the high-water mark (proc(5)); where that is not permitted the mark of the whole process counts.
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self.method = "VmHWM, reset"
        except OSError:
            self.method = "VmHWM of the whole process"
        self.base = status("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        self.mib = status("VmHWM") - self.base


def machine() -> dict[str, Any]:
    """Processor, cores, kernel, allocator and versions: what a number means nothing without."""
    import torch

    from spikesim.allocator import allocator_state

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    info = _cpuinfo()
    return {
        "cpu": info.get("model name", platform.processor()),
        "family, model": [info.get("cpu family"), info.get("model")],
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "simd": torch.backends.cpu.get_cpu_capability(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "allocator": allocator_state(),
        "versions": versions,
    }


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().split("\n\n")[0].splitlines() if path.exists() else []
    return {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}


def commit() -> str | None:
    """The revision that was measured, with a mark if files differ from it."""
    try:
        root = Path(__file__).parent
        name = subprocess.check_output(["git", "describe", "--always", "--dirty"], cwd=root, text=True, stderr=-3)
    except (OSError, subprocess.CalledProcessError):
        return None
    return name.strip()


class Results:
    """One JSON under ``results/``: groups of contestants, written after every group, so that a sweep may stop anywhere.

    Args:
        name: of the file.
        again: measure groups that the file already holds.
    """

    def __init__(self, name: str, again: bool = False) -> None:
        self.path = RESULTS / f"{name}.json"
        self.content: dict[str, Any] = {"groups": {}}
        if self.path.exists() and not again:
            self.content = json.loads(self.path.read_text())

    def __contains__(self, group: str) -> bool:
        return group in self.content["groups"]

    def add(self, group: str, rows: dict[str, Any]) -> None:
        """Keep a group's rows and write the file."""
        self.content["groups"][group] = {"commit": commit(), "at": time.strftime("%Y-%m-%d %H:%M"), **rows}
        self.write()

    def write(self) -> None:
        """Write all to a temporary name, then rename."""
        RESULTS.mkdir(exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.content, indent=1) + "\n")
        temporary.replace(self.path)


def show(
    title: str, times: dict[str, Samples], floor: float | None = None, against: str = "spikesim"
) -> dict[str, Any]:
    """Print a group, fastest first, with ratios to the floor and to one contestant; give its rows for the JSON."""
    print(f"\n{title}" + (f"   floor {floor * 1e3:.3f} ms" if floor else ""), flush=True)
    reference = times[against].median if against in times else None
    rows: dict[str, Any] = {}
    for name, sample in sorted(times.items(), key=lambda item: item[1].median):
        row, line = sample.summary(), f"  {name:30s} {sample.median * 1e3:11.4f} ms"
        if floor:
            row["of_floor"] = sample.median / floor
            line += f"  {row['of_floor']:7.2f} x floor"
        if reference:
            row[f"of_{against}"] = sample.median / reference
            line += f"  {sample.median / reference:7.2f} x {against}"
        line += f"   {len(sample.clean)}/{len(sample.seconds)} clean" + ("  DISTURBED" if not sample.trusted else "")
        rows[name] = row
        print(line, flush=True)
    return rows


def child(arguments: Iterable[str], default_malloc: bool = False, timeout: float | None = None) -> dict[str, Any]:
    """Run this script again in a fresh process with those arguments; it prints JSON on its last line.

    What it prints before goes through. A child that dies gives ``{"failed": why}``.
    """
    process = subprocess.Popen(
        [sys.executable, sys.argv[0], *arguments], env=environment(default_malloc), stdout=subprocess.PIPE, text=True
    )
    last = ""
    try:
        for line in process.stdout:  # type: ignore[union-attr]
            if line.startswith("{"):
                last = line
            else:
                print(line, end="", flush=True)
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        return {"failed": f"took more than {timeout} s"}
    if process.returncode != 0 or not last:
        return {"failed": f"exit status {process.returncode}"}
    return json.loads(last)
