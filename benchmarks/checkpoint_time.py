"""What does Network(..., checkpoint_time=K) save, and what does it cost?

Peak memory over the start and processor time of one training step of an SHD-sized network (140 inputs, three hidden
layers of 1024 LIF neurons), each setting in a process of its own.

    python benchmarks/checkpoint_time.py
    python benchmarks/checkpoint_time.py --steps 200 --samples 64
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

from harness import Peak

CHUNKS = (0, 50, 20, 10)  # 0: all steps at once


def measure(every: int, steps: int, samples: int) -> dict[str, float]:
    import torch
    from torch import nn

    from spikesim.neurons import LIF
    from spikesim.nn import Mean, Network

    torch.set_num_threads(1)
    layers: list[nn.Module] = []
    for inside, outside in ((140, 1024), (1024, 1024), (1024, 1024)):
        layers += [nn.Linear(inside, outside), LIF()]
    net = Network(nn.Sequential(*layers, nn.Linear(1024, 20)), readout=Mean(), checkpoint_time=every or None)
    x, labels = (torch.rand(steps, samples, 140) < 0.05).float(), torch.randint(20, (samples,))

    def step() -> None:
        net.zero_grad()
        torch.nn.functional.cross_entropy(net(x), labels).backward()

    net(x[:2]).sum().backward()  # compiles kernels outside the measurement
    with Peak() as peak:
        step()
    seconds = []
    for _ in range(3):
        start = time.thread_time()
        step()
        seconds.append(time.thread_time() - start)
    return {"peak_mib": peak.mib, "seconds": statistics.median(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(measure(arguments.one, arguments.steps, arguments.samples)))
        return
    found = {}
    for every in CHUNKS:
        sizes = ["--steps", str(arguments.steps), "--samples", str(arguments.samples)]
        command = [sys.executable, __file__, "--one", str(every), *sizes]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[every] = json.loads(done.stdout.splitlines()[-1])
    whole = found[0]
    print(f"T={arguments.steps}, N={arguments.samples}; ratios to all steps at once")
    for every, one in found.items():
        print(
            f"K={every or 'T':>3}  peak {one['peak_mib']:7.1f} MiB ({one['peak_mib'] / whole['peak_mib']:.2f})"
            f"  step {one['seconds'] * 1e3:7.1f} ms ({one['seconds'] / whole['seconds']:.2f})"
        )


if __name__ == "__main__":
    main()
