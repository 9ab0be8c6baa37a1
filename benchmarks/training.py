"""How long does a training step of a convolutional network take, and how much memory does it need?

Five times [Conv 3x3, BatchNorm, LIF, MaxPool 2], then Linear 512, LIF, Linear 110, LIF, a vote of ten: the network
for DVS128 Gesture of Fang et al. (ICCV 2021) on half its resolution, without dropout. Forward, cross-entropy, backward,
SGD. All contestants start from the same weights, and the spiking ones must give the same loss. The same network with
ReLU in place of every LIF is what an ordinary network of that size costs.

    python benchmarks/training.py                               # C128, 64x64, T=16, B=4, float32 and bfloat16
    python benchmarks/training.py --channels 32 --rounds 5      # a quick try
    python benchmarks/training.py --default-malloc
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from harness import Peak, Results, child, interleave, machine, show
from torch import nn

DEPTH, CLASSES, VOTERS = 5, 11, 10
LAST = torch.channels_last


class Vote(nn.Module):
    """The mean of ten neurons per class."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(1, (CLASSES, VOTERS)).mean(2)


def _layers(channels: int, size: int, activation: Callable[[], nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for k in range(DEPTH):
        layers += [nn.Conv2d(channels if k else 2, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)]
        layers += [activation(), nn.MaxPool2d(2)]
    side = size // 2**DEPTH
    layers += [nn.Flatten(), nn.Linear(channels * side * side, 512), activation()]
    layers += [nn.Linear(512, CLASSES * VOTERS), activation(), Vote()]
    return nn.Sequential(*layers)


def spikesim_net(channels: int, size: int, fuse: bool = True, pack: bool = False) -> nn.Module:
    from spikesim import LIF, Mean, Network

    module = _layers(channels, size, lambda: LIF(2.0, reset="zero"))
    return Network(module, readout=Mean(), fuse=fuse, pack_spikes=pack).to(memory_format=LAST)


class Folded(nn.Module):
    """An ordinary network over every frame, and the mean over time."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(0)


class Jelly(nn.Module):
    """SpikingJelly's own layers in its multi-step mode; they fold time into the batch themselves."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        from spikingjelly.activation_based import functional, layer, neuron, surrogate

        def lif() -> nn.Module:
            return neuron.LIFNode(2.0, surrogate_function=surrogate.ATan(), detach_reset=False)

        layers: list[nn.Module] = []
        for k in range(DEPTH):
            layers += [layer.Conv2d(channels if k else 2, channels, 3, padding=1, bias=False)]
            layers += [layer.BatchNorm2d(channels), lif(), layer.MaxPool2d(2, 2)]
        side = size // 2**DEPTH
        layers += [layer.Flatten(), layer.Linear(channels * side * side, 512), lif()]
        layers += [layer.Linear(512, CLASSES * VOTERS), lif(), layer.VotingLayer(VOTERS)]
        self.module = nn.Sequential(*layers)
        functional.set_step_mode(self, "m")
        self.forget = functional.reset_net  # it calls every attribute named reset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.forget(self)
        return self.module(x).mean(0)


class Loop(nn.Module):
    """snnTorch's neurons in the loop over time that its tutorials write."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        import snntorch
        from snntorch import surrogate

        def leaky() -> nn.Module:
            made = snntorch.Leaky(0.5, spike_grad=surrogate.atan(alpha=2.0), init_hidden=True, reset_mechanism="zero")
            return nn.Sequential(Halved(), made)

        self.module = _layers(channels, size, leaky)
        self.neurons = [layer for layer in self.modules() if isinstance(layer, snntorch.Leaky)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for neuron in self.neurons:
            neuron.reset_mem()
        return torch.stack([self.module(frame) for frame in x]).mean(0)


class Halved(nn.Module):
    """The input of LIF with tau = 2: snnTorch's neurons leave the division to the weights."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


BUILDERS: dict[str, Callable[[int, int], nn.Module]] = {
    "SpikingJelly": Jelly,
    "SpikingJelly, channels-last": lambda c, s: Jelly(c, s).to(memory_format=LAST),
    "snnTorch loop": Loop,
    "snnTorch loop, channels-last": lambda c, s: Loop(c, s).to(memory_format=LAST),
    "spikesim": spikesim_net,
    "spikesim, packed spikes": lambda c, s: spikesim_net(c, s, pack=True),
    "spikesim, not fused": lambda c, s: spikesim_net(c, s, fuse=False),
    "ReLU net": lambda c, s: Folded(_layers(c, s, nn.ReLU)),
    "ReLU net, channels-last": lambda c, s: Folded(_layers(c, s, nn.ReLU)).to(memory_format=LAST),
}


def build(name: str, channels: int, size: int) -> nn.Module:
    """The contestant, with the weights that seed 0 gives to the plain network."""
    torch.manual_seed(0)
    source = _layers(channels, size, nn.Identity)
    net = BUILDERS[name](channels, size)
    own = [p for p in net.parameters() if p.requires_grad]
    given = list(source.parameters())
    if [p.shape for p in own] != [p.shape for p in given]:
        raise RuntimeError(f"{name} has other parameters than the plain network: {[tuple(p.shape) for p in own]}")
    with torch.no_grad():
        for mine, theirs in zip(own, given):
            mine.copy_(theirs)
    return net.train()


def step_of(net: nn.Module, arguments: argparse.Namespace, dtype: str) -> Callable[[], float]:
    generator = torch.Generator().manual_seed(1)
    shape = (arguments.steps, arguments.batches[0], 2, arguments.size, arguments.size)
    x = (torch.rand(shape, generator=generator) < 0.1).float()
    labels = torch.randint(0, CLASSES, (arguments.batches[0],), generator=generator)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = nn.functional.cross_entropy(net(x).float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def available(arguments: argparse.Namespace) -> tuple[dict[str, nn.Module], dict[str, str]]:
    nets, skipped = {}, {}
    for name in arguments.contestants:
        try:
            nets[name] = build(name, arguments.channels, arguments.size)
        except ImportError as error:
            skipped[name] = str(error)
    return nets, skipped


def measure_time(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    nets, skipped = available(arguments)
    (dtype,) = arguments.dtypes
    steps = {name: step_of(net, arguments, dtype) for name, net in nets.items()}
    losses = {name: step() for name, step in steps.items()}
    spiking = [v for k, v in losses.items() if "ReLU" not in k and "snnTorch" not in k]
    # Batch-norm sums in another order when fused or channels-last; bfloat16 rounds every sum.
    if spiking and max(spiking) - min(spiking) > (1e-3 if dtype == "float32" else 5e-2) * abs(spiking[0]):
        raise RuntimeError(f"the spiking contestants differ in their first loss: {losses}")
    times = interleave(steps, arguments.rounds, seconds=arguments.seconds, batch=False)
    rows = show(f"{dtype}, {title(arguments, arguments.batches[0])}", times, against="spikesim")
    rows = {name: {**row, "first_loss": losses[name]} for name, row in rows.items()}
    spent = {name: stages(step) for name, step in steps.items() if name in SPLIT}
    for name, parts in spent.items():
        print(f"  {name}: " + ", ".join(f"{part} {share:.0%}" for part, share in parts.items()))
    found = {"rows": rows, "where the time goes": spent, "skipped": skipped, "machine": machine()}
    print(json.dumps(found), flush=True)


SPLIT = ("spikesim", "SpikingJelly", "ReLU net, channels-last")
FUSED = "neurons, with norms and pools fused in"
# What an operator belongs to, by the first part of its name that is found.
STAGES = {
    "conv": "convolutions",
    "addmm": "linear layers",
    "aten::mm": "linear layers",
    "spikesim": FUSED,
    "FusedLayer": FUSED,
    "_Eager": FUSED,
    "batch_norm": "batch-norm",
    "max_pool": "max-pool",
}
OTHER = "elementwise, copies and the optimiser"


def stages(step: Callable[[], float]) -> dict[str, float]:
    """Shares of the processor time of a step, by what it is spent on."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        step()
    spent: dict[str, float] = {}
    for event in recorded.key_averages():
        stage = next((stage for part, stage in STAGES.items() if part in event.key), OTHER)
        spent[stage] = spent.get(stage, 0.0) + event.self_cpu_time_total
    total = sum(spent.values())
    return {stage: time / total for stage, time in sorted(spent.items(), key=lambda item: -item[1])}


def measure_memory(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    nets, skipped = available(arguments)
    if skipped:
        print(json.dumps({"skipped": skipped}))
        return
    (net,), (dtype,) = nets.values(), arguments.dtypes
    # A small step first: kernels are compiled and thread pools started before memory is counted.
    small = argparse.Namespace(**{**vars(arguments), "steps": 2, "batches": [1]})
    step_of(net, small, dtype)()
    step = step_of(net, arguments, dtype)
    with Peak() as peak:
        for _ in range(3):
            step()
    print(json.dumps({"peak_mib": peak.mib, "method": peak.method}))


def title(arguments: argparse.Namespace, batch: int) -> str:
    a = arguments
    return f"C{a.channels} {a.size}x{a.size} T={a.steps} B={batch} threads={a.threads}"


def sweep(arguments: argparse.Namespace) -> None:
    results = Results("training" + ("-default-malloc" if arguments.default_malloc else ""))
    a = arguments
    shared = ["--channels", a.channels, "--size", a.size, "--steps", a.steps, "--child"]
    shared = [*shared, "--threads", a.threads, "--rounds", a.rounds, "--seconds", a.seconds]
    for dtype, batch in itertools.product(a.dtypes, a.batches):
        passed = [str(p) for p in [*shared, "--batches", batch]]
        begin = time.perf_counter()
        row: dict[str, Any] = child([*passed, "--dtypes", dtype, "--contestants", *a.contestants], a.default_malloc)
        if "failed" in row:
            print(f"  {dtype}: {row['failed']}; nothing written")
            continue
        results.content["machine"] = row.pop("machine")
        for name, why in row.get("skipped", {}).items():
            print(f"  skipped {name}: {why}")
        print("  peak memory of three steps above what lies there before, each in a process of its own:")
        row["memory"] = {}
        for name in [n for n in a.contestants if n in row.get("rows", {})]:
            one = [*passed, "--dtypes", dtype, "--contestants", name, "--memory"]
            row["memory"][name] = found = {
                "default allocator": child(one, default_malloc=True).get("peak_mib"),
                "kept": child(one, default_malloc=False).get("peak_mib"),
            }
            print(f"    {name:30s} " + ", ".join(f"{k} {v or 0:.0f} MiB" for k, v in found.items()), flush=True)
        results.add(f"{dtype}, {title(a, batch)}", row)
        print(f"  ({time.perf_counter() - begin:.0f} s)")
    print(f"\nwritten to {results.path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=16, help="T")
    parser.add_argument("--batches", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"])
    parser.add_argument("--contestants", nargs="+", choices=list(BUILDERS), default=list(BUILDERS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=240.0, help="budget of the timing of one dtype")
    parser.add_argument("--default-malloc", action="store_true", help="leave the allocator as it comes")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.child:
        sweep(arguments)
    elif arguments.memory:
        measure_memory(arguments)
    else:
        measure_time(arguments)


if __name__ == "__main__":
    main()
