"""How long until the first result in a fresh process, beyond ``import torch``?

Cold: an empty kernel cache, as on the first day. Warm: the same again. Each in a process of its own, taken in turns.

    python benchmarks/first_call.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

from harness import BARE, Results, environment, machine

CODE = """
import json, time
start = time.perf_counter()
import torch
torch.zeros(1)
imported = time.perf_counter()
import spikesim
neuron = spikesim.LIF()
built = time.perf_counter()
with torch.no_grad():
    neuron(torch.rand({shape}))
forward = time.perf_counter()
x = torch.rand({shape}).requires_grad_()
neuron(x).sum().backward()
both = time.perf_counter()
neuron(x).sum().backward()
second = time.perf_counter()
print(json.dumps({{
    "import torch": imported - start, "import spikesim, build LIF": built - imported,
    "first forward": forward - built, "first forward + backward": both - forward,
    "second forward + backward": second - both, "beyond import torch": both - imported,
}}))
"""


def run(cache: str, shape: str) -> dict[str, float]:
    output = subprocess.check_output(
        [sys.executable, "-c", CODE.format(shape=shape)], env={**environment(True), **BARE, "SPIKESIM_CACHE_DIR": cache}
    )
    return json.loads(output.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    results = Results("first-call", again=True)
    results.content["machine"] = machine()
    for label, shape in (("one thread's work", "16, 1, 10"), ("all threads' work", "16, 1, 100_000")):
        found: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
        for _ in range(arguments.repeats):
            with tempfile.TemporaryDirectory() as folder:
                cache = os.path.join(folder, "cache")
                found["cold"].append(run(cache, shape))
                found["warm"].append(run(cache, shape))
        rows = {}
        print(f"\n{label} ({shape}), medians of {arguments.repeats} processes, in seconds")
        for state, runs in found.items():
            rows[state] = {step: statistics.median(r[step] for r in runs) for step in runs[0]}
            print(
                f"  {state}: " + ", ".join(f"{step} {seconds:.3f}" for step, seconds in rows[state].items()), flush=True
            )
        results.add(label, rows)
    print(f"\nwritten to {results.path}")


if __name__ == "__main__":
    main()
