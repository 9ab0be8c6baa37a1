"""Everything that needs a real GPU, in one call of under ten minutes: first whether it is right, then how fast it is.

1. correctness: a pairwise cover of neuron x surrogate x reset x dtype x direction x memory, against float64
2. graphs: capture in a CUDA graph and replay, against eager
3. memory: peak of a training step, beside its input, output and gradients
4. bandwidth: LIF beside a device copy of the same bytes; float32, float16, bfloat16; eager, and replayed from a graph
5. variants: how many time steps to load ahead, how many threads per block
6. overhead: what a small call costs
7. peers: SpikingJelly's CuPy and Triton backends, torch.compile; one that is missing is skipped by name

    pip install -e '.[cuda]'                   # or, for a bare machine: torch numba-cuda[cu13] networkx platformdirs
    python benchmarks/gpu_check.py --name h200
    python benchmarks/gpu_check.py --simulate  # without a GPU: correctness in Numba's simulator, the rest skipped

Results go to ``results/gpu-<name>.json`` after every section; the exit status is 1 if anything was wrong. A part whose
time is up is skipped by name: ``--only bandwidth,peers`` takes it alone, and keeps what the file holds of the others.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIMULATOR = {"NUMBA_ENABLE_CUDASIM": "1", "SPIKESIM_SIMULATE_CUDA": "1"}
# In order of importance: the last are those that a slow machine leaves out.
SECTIONS = ("correctness", "graphs", "memory", "bandwidth", "variants", "overhead", "peers")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", help="of the result file; the GPU's own by default")
    parser.add_argument("--only", type=lambda s: tuple(s.split(",")), default=SECTIONS, help="sections, by comma")
    parser.add_argument("--neurons", type=lambda s: s.split(","), help="classes to check; all by default")
    parser.add_argument("--full", action="store_true", help="check the product of all factors; takes hours")
    parser.add_argument("--minutes", type=float, default=9.0, help="after which nothing new is begun")
    parser.add_argument("--workers", type=int, help="processes that compile")
    parser.add_argument("--simulate", action="store_true", help="without a GPU")
    parser.add_argument("--out", type=Path, help="folder of the result file")
    given = parser.parse_args()
    if unknown := set(given.only) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    return given


def main() -> int:
    begin, given = time.monotonic(), arguments()
    # Numba chooses its simulator when it is imported.
    if given.simulate and any(os.environ.get(k) != v for k, v in SIMULATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **SIMULATOR})
    os.environ.setdefault("SPIKESIM_CACHE_DIR", str(Path(tempfile.gettempdir()) / "spikesim-gpu-check"))
    sys.path.insert(0, str(ROOT))  # where spikesim is not installed
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))

    import gpu_correctness
    import gpu_timing
    import harness
    import torch

    if given.out:
        harness.RESULTS = given.out
    if not given.simulate and not torch.cuda.is_available():
        print("torch sees no GPU; --simulate checks the kernels without one", file=sys.stderr)
        return 2
    device = "cpu" if given.simulate else "cuda"
    gpu = "simulated" if given.simulate else torch.cuda.get_device_name().replace("NVIDIA ", "")
    results = harness.Results(f"gpu-{given.name or gpu.lower().replace(' ', '-')}", again=given.only == SECTIONS)
    results.content["machine"] = {**harness.machine(), "gpu": gpu_timing.gpu(given.simulate)}
    failed = 0
    for section in SECTIONS:
        if section not in given.only:
            continue
        left = begin + 60 * given.minutes - time.monotonic()
        print(f"\n== {section}", flush=True)
        if section == "correctness":
            rows = gpu_correctness.run(given, device, left)
            failed += len(rows["failed"])
        elif given.simulate:
            rows = {"skipped": "needs a GPU"}
        elif left < 20:
            rows = {"skipped": f"no time left of {given.minutes:g} minutes"}
        else:
            rows = getattr(gpu_timing, section)(left)
            failed += len(rows.get("failed", ()))
        if "skipped" in rows:
            print(f"  skipped: {rows['skipped']}")
        results.add(section, rows)
    print(f"\n{failed} wrong; {time.monotonic() - begin:.0f} s; written to {results.path}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
