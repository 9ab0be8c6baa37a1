"""What does a small call cost, where there is nothing to compute? 16 steps of 10 neurons, in microseconds.

The fixed cost of a call: checks, the operator's dispatch, the record for autograd, the kernel's launch. ``torch.relu``
and torch's own custom operator around nothing show what torch asks for already.

    python benchmarks/overhead.py
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import torch
from contestants import CONTESTANTS, build
from harness import Results, child, interleave, machine

from spikesim import LIF, Network

CALLS = ("without gradient", "recording", "recording and backward")


class _Nothing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(grad)


@torch.library.custom_op("benchmarks::nothing", mutates_args=())
def _nothing(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


torch.library.register_autograd("benchmarks::nothing", lambda ctx, grad: torch.empty_like(grad))


def measure(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    names = ["spikesim", "torch loop (unbind)", "snnTorch Leaky", "SpikingJelly LIFNode", "Norse LIFBox", "Sinabs LIF"]
    layers, skipped = build([n for n in names if n in CONTESTANTS])
    network = Network(torch.nn.Sequential(LIF(2.0, reset="zero")))
    layers["spikesim in a Network"] = lambda x: network(x)
    layers["torch.relu"] = torch.relu
    layers["autograd.Function, empty"] = _Nothing.apply
    layers["torch custom operator, empty"] = _nothing
    x, grad = torch.randn(16, 1, 10), torch.randn(16, 1, 10)
    leaf = x.clone().requires_grad_()

    def without(layer: Callable) -> Callable[[], object]:
        def call() -> object:
            with torch.no_grad():
                return layer(x)

        return call

    def recording(layer: Callable) -> Callable[[], object]:
        return lambda: layer(leaf)

    def both(layer: Callable) -> Callable[[], object]:
        def call() -> None:
            layer(leaf).backward(grad)
            leaf.grad = None

        return call

    rows = {}
    for what, wrap in zip(CALLS, (without, recording, both)):
        times = interleave({name: wrap(layer) for name, layer in layers.items()}, arguments.rounds)
        print(f"\n{what}, 16 x 10, {arguments.threads} threads")
        rows[what] = {}
        for name, sample in sorted(times.items(), key=lambda item: item[1].median):
            rows[what][name] = {**sample.summary(), "microseconds": sample.median * 1e6}
            print(
                f"  {name:30s} {sample.median * 1e6:9.1f} us   {len(sample.clean)}/{len(sample.seconds)} clean",
                flush=True,
            )
    for name, why in skipped.items():
        print(f"  skipped {name}: {why}")
    print(json.dumps({"rows": rows, "skipped": skipped, "machine": machine()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        (arguments.threads,) = arguments.threads
        measure(arguments)
        return
    results = Results("overhead")
    for threads in arguments.threads:
        row = child(["--child", "--threads", str(threads), "--rounds", str(arguments.rounds)])
        if "failed" in row:
            print(row["failed"])
            continue
        results.content["machine"] = row.pop("machine")
        results.add(f"16 x 10, threads={threads}", row)
    print(f"\nwritten to {results.path}")


if __name__ == "__main__":
    main()
