"""What do the allocator's settings bring, and what do they cost?

Page faults, processor time and resident memory of a step, for each setting in processes of their own, taken in turns.
One thread: processor time is then hardly disturbed by other programs.

    python benchmarks/allocator.py
    python benchmarks/allocator.py --workloads lif conv --repeats 3
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from harness import BARE, KEEPING, Peak, Results, environment, machine, status

THP = {"THP_MEM_ALLOC_ENABLE": "1"}
SETTINGS = {
    "nothing": BARE,
    "huge pages": {**BARE, **THP},
    "kept": {**BARE, **KEEPING},
    "pool": {},  # spikesim in anyone's program
    "pool, huge pages": THP,  # the command
    "pool, kept": KEEPING,  # after spikesim.tune_allocator()
    "pool, huge pages, kept": {**THP, **KEEPING},  # spikesim train
}
STEPS = {"lif": 60, "conv": 30, "conv of varying T": 60, "conv, 128 channels": 10, "random sizes": 800}


def lif() -> Callable[[], object]:
    import torch

    from spikesim.neurons import LIF

    neuron, x, grad = LIF(2.0, reset="zero"), torch.randn(16, 1, 1_000_000), torch.randn(16, 1, 1_000_000)

    def step() -> None:
        leaf = x.detach().requires_grad_()
        neuron(leaf).backward(grad)

    return step


def conv(channels: int = 32, varying: bool = False) -> Callable[[], object]:
    """The training step of training.py; with SGD, and a number of time steps that may vary."""
    import torch
    from training import spikesim_net

    net, draw = spikesim_net(channels, 64), random.Random(0)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    x, labels = torch.rand(16, 4, 2, 64, 64), torch.randint(0, 11, (4,))

    def step() -> None:
        optimizer.zero_grad()
        timesteps = draw.randint(6, 16) if varying else 16
        torch.nn.functional.cross_entropy(net(x[:timesteps]), labels).backward()
        optimizer.step()

    return step


def random_sizes() -> Callable[[], object]:
    """The worst case: 24 blocks of 1 to 64 MiB, each replaced at random, and small ones that stay between them."""
    import torch

    draw, live, stay = random.Random(1), [None] * 24, []

    def step() -> None:
        k = draw.randrange(24)
        live[k] = None
        live[k] = torch.ones(draw.randrange(1 << 18, 1 << 24))
        stay.append(torch.ones(16))

    return step


WORKLOADS = {
    "lif": lif,
    "conv": conv,
    "conv of varying T": lambda: conv(varying=True),
    "conv, 128 channels": lambda: conv(128),
    "random sizes": random_sizes,
}


def measure(workload: str, steps: int) -> None:
    import torch

    from spikesim.allocator import release_memory

    torch.set_num_threads(1)
    torch.manual_seed(0)
    step = WORKLOADS[workload]()
    faults, seconds = [], []
    with Peak() as peak:
        for _ in range(steps):
            before, start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time()
            step()
            seconds.append(time.process_time() - start)
            faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    half = steps // 2
    row = {
        "faults_per_step": statistics.mean(faults[half:]),
        "cpu_ms": statistics.median(seconds[half:]) * 1e3,
        "peak_mib": peak.mib,
        "resident_mib": status("VmRSS") - peak.base,
    }
    release_memory()
    print(json.dumps({**row, "after_release_mib": status("VmRSS") - peak.base, "machine": machine()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments.child, STEPS[arguments.child])
        return
    results = Results("allocator", again=True)
    for workload in arguments.workloads:
        rows: dict[str, list[dict]] = {setting: [] for setting in SETTINGS}
        for _ in range(arguments.repeats):
            for setting, extra in SETTINGS.items():
                row = _child(workload, extra)
                results.content["machine"] = row.pop("machine", None)
                rows[setting].append(row)
        print(
            f"\n{workload}: medians of {arguments.repeats} processes; memory above what is there before the first step"
        )
        summary = {}
        for setting, found in rows.items():
            summary[setting] = {k: statistics.median(r[k] for r in found) for k in found[0]}
            s = summary[setting]
            print(
                f"  {setting:24s} {s['faults_per_step']:10.0f} faults/step {s['cpu_ms']:9.1f} ms"
                f"  peak {s['peak_mib']:6.0f} MiB  kept {s['resident_mib']:6.0f}  left {s['after_release_mib']:6.0f}",
                flush=True,
            )
        results.add(workload, {"settings": summary})
    print(f"\nwritten to {results.path}")


def _child(workload: str, extra: dict[str, str]) -> dict:
    base = {k: v for k, v in environment(default_malloc=True).items() if k not in BARE}
    command = [sys.executable, sys.argv[0], "--child", workload]
    run = subprocess.run(command, env={**base, **extra}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
