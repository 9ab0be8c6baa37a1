"""What every benchmark shares: interleaved contestants, medians, ratios, memory, and a JSON with the machine in it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import random
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

RESULTS = Path(__file__).with_name("results")
PACKAGES = ("spikesim", "torch", "numba", "numpy", "snntorch", "spikingjelly", "norse", "sinabs")


def interleave(contestants: dict[str, Callable[[], object]], rounds: int, seed: int = 0) -> dict[str, list[float]]:
    """Seconds per call of each contestant, in random order within each round; two warm-up rounds are dropped."""
    order, times = list(contestants), {name: [] for name in contestants}
    shuffle = random.Random(seed).shuffle
    for k in range(rounds + 2):
        shuffle(order)
        for name in order:
            start = time.perf_counter()
            contestants[name]()
            if k >= 2:
                times[name].append(time.perf_counter() - start)
    return times


def machine() -> dict[str, object]:
    """Processor, threads, allocator settings and versions: what a number means nothing without."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    cpu = next((s.split(":")[1].strip() for s in _cpuinfo() if s.startswith("model name")), platform.processor())
    return {
        "cpu": cpu,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "malloc": {k: v for k, v in os.environ.items() if k.startswith("MALLOC_") or k == "THP_MEM_ALLOC_ENABLE"},
        "versions": versions,
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def report(name: str, groups: dict[str, dict[str, list[float]]], baseline: str, skipped: dict[str, str]) -> Path:
    """Print medians in ms and ratios to ``baseline``; write them as JSON."""
    rows = {}
    for group, times in groups.items():
        print(f"\n{group}")
        reference = statistics.median(times[baseline])
        rows[group] = {}
        for contestant, seconds in sorted(times.items(), key=lambda kv: statistics.median(kv[1])):
            median = statistics.median(seconds)
            rows[group][contestant] = {"median_ms": median * 1e3, "ratio": median / reference, "rounds": len(seconds)}
            print(f"  {contestant:28s} {median * 1e3:10.3f} ms   {median / reference:6.2f} x {baseline}")
    for contestant, why in skipped.items():
        print(f"  skipped {contestant}: {why}")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    content = {"machine": machine(), "peak_rss_mib": peak, "skipped": skipped, "groups": rows}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.replace(path)
    print(f"\nwritten to {path}")
    return path
