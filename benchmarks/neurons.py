"""How long does a LIF layer take, forward and backward, beside its peers and beside memory itself?

Every group (T, N, threads, allocator) runs in a process of its own, all contestants interleaved in it; results are
written after each group, so that a sweep can be stopped and called again. Floors: a non-temporal copy, scaled to 8
bytes per element forward and 20 forward plus backward, measured in the same group.

    python benchmarks/neurons.py                                # T 4, 16, 64, 100 x N 1e4 ... 4e6 x 1, 2 threads
    python benchmarks/neurons.py --steps 16 --neurons 1e6 --threads 2
    python benchmarks/neurons.py --default-malloc               # the same without the allocator settings
    python benchmarks/neurons.py --memory --steps 16 --neurons 1e6
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

from harness import Peak, Results, child, interleave, machine, show

BYTES = {"forward": 8, "forward + backward": 20}


def group_name(steps: int, neurons: int, threads: int) -> str:
    return f"T={steps} N={neurons} threads={threads}"


def budget_mib(share: float = 0.7) -> float:
    with open("/proc/meminfo") as file:
        return share * next(int(line.split()[1]) for line in file if line.startswith("MemAvailable")) / 1024


def measure(arguments: argparse.Namespace) -> None:
    """One group, in this process; the JSON goes to the last line of standard output."""
    import contestants
    import torch
    from floor import copies

    torch.set_num_threads(arguments.threads[0])
    torch.manual_seed(0)
    (steps,), (neurons,) = arguments.steps, arguments.neurons
    elements = steps * neurons
    mib = elements * 4 / 2**20
    allowed = arguments.memory_mib or budget_mib()
    skipped = {}
    for name in arguments.contestants:
        tensors = {**contestants.CONTESTANTS, **contestants.EXTRA}[name][1]
        if (tensors + 6) * mib > allowed:
            skipped[name] = f"needs about {tensors * mib / 1024:.0f} GiB"
    layers, missing = contestants.build([n for n in arguments.contestants if n not in skipped])
    skipped |= missing
    contestants.check(layers)
    x, grad = torch.randn(steps, 1, neurons), torch.randn(steps, 1, neurons)
    x.clamp_(-8, 8)

    def forward(layer):
        def call():
            with torch.no_grad():
                return layer(x)

        return call

    def both(layer):
        def call():
            leaf = x.detach().requires_grad_()
            layer(leaf).backward(grad)

        return call

    rows = {"skipped": skipped}
    compiled_in = {}
    for what, wrap in (("forward", forward), ("forward + backward", both)):
        calls = {name: wrap(layer) for name, layer in layers.items()}
        for name in [n for n in calls if "compile" in n]:
            begin = time.perf_counter()
            try:
                calls[name]()
                compiled_in[what] = time.perf_counter() - begin
            except Exception as error:  # inductor fails in many ways; the others go on
                skipped[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
                del calls[name], layers[name]
        times = interleave({**copies(elements), **calls}, arguments.rounds, seconds=arguments.seconds)
        scale = BYTES[what] / 8
        for name in [n for n in times if n.startswith("floor")]:
            sample = times.pop(name)
            scaled = replace(sample, seconds=[s * scale for s in sample.seconds])
            times[f"{name}, {BYTES[what]} B"] = scaled
        floor = times[f"floor: non-temporal copy, {BYTES[what]} B"].median
        title = f"{what}, {group_name(steps, neurons, arguments.threads[0])}, {mib:.1f} MiB a tensor"
        rows[what] = {"floor_ms": floor * 1e3, "contestants": show(title, times, floor)}
    for name, why in skipped.items():
        print(f"  skipped {name}: {why}")
    print(json.dumps({**rows, "compile_seconds": compiled_in, "machine": machine()}), flush=True)


def measure_memory(arguments: argparse.Namespace) -> None:
    """Peak resident memory of forward plus backward of one contestant, above input and output gradient."""
    import contestants
    import torch

    torch.set_num_threads(arguments.threads[0])
    (steps,), (neurons,), (name,) = arguments.steps, arguments.neurons, arguments.contestants
    layers, skipped = contestants.build([name])
    if skipped:
        print(json.dumps({"skipped": skipped[name]}))
        return
    layer = layers[name]
    shape = (steps, 1, neurons)

    def both(x, grad):
        leaf = x.detach().requires_grad_()
        layer(leaf).backward(grad)
        return leaf.grad

    # Compiles and warms every pool without a large allocation; torch.compile needs the shape itself.
    warm = shape if "compile" in name else (steps, 1, 4096)
    both(torch.randn(warm), torch.randn(warm))
    x, grad = torch.randn(shape), torch.randn(shape)
    with Peak() as peak:
        for _ in range(3):
            both(x, grad)
    mib = steps * neurons * 4 / 2**20
    print(json.dumps({"peak_mib": peak.mib, "tensors": peak.mib / mib, "tensor_mib": mib, "method": peak.method}))


def sweep(arguments: argparse.Namespace) -> None:
    suffix = "-default-malloc" if arguments.default_malloc else ""
    results = Results(f"{'neurons-memory' if arguments.memory else 'neurons'}{suffix}", arguments.again)
    passed = ["--seconds", str(arguments.seconds), "--rounds", str(arguments.rounds)]
    if arguments.memory_mib:
        passed += ["--memory-mib", str(arguments.memory_mib)]
    sizes = [(t, n, k) for k in arguments.threads for t in arguments.steps for n in arguments.neurons]
    for index, (steps, neurons, threads) in enumerate(sizes, 1):
        group = group_name(steps, neurons, threads)
        if group in results:
            print(f"[{index}/{len(sizes)}] {group}: in the file already (--again measures anew)")
            continue
        print(f"\n[{index}/{len(sizes)}] {group}", flush=True)
        one = ["--child", "--steps", str(steps), "--neurons", str(neurons), "--threads", str(threads), *passed]
        if not arguments.memory:
            row = child([*one, "--contestants", *arguments.contestants], arguments.default_malloc)
            if "failed" in row:
                print(f"  {row['failed']}; nothing written")
                continue
            results.content["machine"] = row.pop("machine")
        else:
            row = {}
            for name in arguments.contestants:
                if steps * neurons * 4 / 2**20 * 20 > budget_mib():
                    row[name] = {"skipped": "too large for this machine"}
                    continue
                row[name] = child([*one, "--memory", "--contestants", name], arguments.default_malloc)
                print(f"  {name:30s} {row[name]}", flush=True)
        results.add(group, row)
    print(f"\nwritten to {results.path}")


def whole(text: str) -> int:
    return int(float(text))


def main() -> None:
    from contestants import CONTESTANTS, EXTRA

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=whole, nargs="+", default=[4, 16, 64, 100], help="T")
    parser.add_argument("--neurons", type=whole, nargs="+", default=[10_000, 100_000, 1_000_000, 4_000_000])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--contestants", nargs="+", choices=[*CONTESTANTS, *EXTRA], default=list(CONTESTANTS))
    parser.add_argument("--rounds", type=int, default=11, help="clean samples wanted")
    parser.add_argument("--seconds", type=float, default=60.0, help="budget for each half of a group")
    parser.add_argument(
        "--memory-mib", type=float, help="skip contestants that would need more (default: 70 %% of free)"
    )
    parser.add_argument("--default-malloc", action="store_true", help="leave the allocator as it comes")
    parser.add_argument("--memory", action="store_true", help="peak memory, one process for each contestant")
    parser.add_argument("--again", action="store_true", help="measure what the file holds already")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory and not arguments.child:
        arguments.contestants += [n for n in EXTRA if n not in arguments.contestants]
    if not arguments.child:
        sweep(arguments)
    elif arguments.memory:
        measure_memory(arguments)
    else:
        measure(arguments)


if __name__ == "__main__":
    main()
