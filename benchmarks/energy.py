"""What does counting operations cost beside the forward pass that is counted?

A VGG-like spiking network (convolutions of 3 x 3, IF, average pools; no batch-norm, as after a conversion) on random
pictures, and the counters of other packages on the same network: they run beside its forward as their documentation
says. Time is measured in turns in one process, on one thread unless told otherwise; peak memory in a process for each.

    python benchmarks/energy.py                       # some minutes; writes results/energy.json
    python benchmarks/energy.py --width 16 --dry      # quick, prints only
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

import torch
from harness import Peak, Results, child, interleave, machine, show
from torch import nn

SLOWER, MORE = 1.15, 1.05  # at most so many times the time and the memory of the forward
FORWARD, OURS = "forward alone", "spikesim ledger"
Call = Callable[[], object]


def vgg(width: int, classes: int = 10) -> nn.Module:
    from spikesim.neurons import IF

    parts: list[nn.Module] = []
    channels = 3
    for wanted in (width, width, 0, 2 * width, 2 * width, 0, 4 * width, 4 * width, 0):
        if not wanted:
            parts.append(nn.AvgPool2d(2))
            continue
        parts += [nn.Conv2d(channels, wanted, 3, padding=1), IF(threshold=0.3)]
        channels = wanted
    head = [nn.Flatten(), nn.Linear(channels * 16, 4 * width), IF(threshold=0.3), nn.Linear(4 * width, classes)]
    return nn.Sequential(*parts, *head)


def neurobench(network: nn.Module, x: torch.Tensor) -> Call:
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
    from neurobench.models import TorchModel

    from spikesim.neurons import IF

    model = TorchModel(network)
    model.add_activation_module(IF)
    data = (torch.zeros(len(x), 1), None)

    def run() -> None:
        model.register_hooks()
        model(x)
        SynapticOperations()(model, None, data)
        ActivationSparsity()(model, None, data)
        model.cleanup_hooks()

    return run


def syops(network: nn.Module, x: torch.Tensor) -> Call:
    import numpy as np
    from syops import ops

    from spikesim.neurons import IF

    hooks = {
        nn.Conv2d: ops.conv_syops_counter_hook,
        nn.Linear: ops.linear_syops_counter_hook,
        nn.AvgPool2d: ops.pool_syops_counter_hook,
        IF: ops.IF_syops_counter_hook,
    }

    def run() -> None:
        handles = []
        for module in network.modules():
            if type(module) in hooks:
                module.__syops__ = np.zeros(4)
                handles.append(module.register_forward_hook(hooks[type(module)]))
        network(x)
        for handle in handles:
            handle.remove()

    return run


def spikingjelly(network: nn.Module, x: torch.Tensor) -> Call:
    from spikingjelly.activation_based.op_counter import DispatchCounterMode, MACCounter, SynOpCounter

    def run() -> None:
        with DispatchCounterMode([SynOpCounter(), MACCounter()]):
            network(x)

    return run


PEERS = {"NeuroBench": neurobench, "syops": syops, "SpikingJelly SynOp + MAC": spikingjelly}


def calls(width: int, batch: int, timesteps: int, peers: bool = True) -> dict[str, Call]:
    from spikesim.energy import Ledger
    from spikesim.nn import Constant, Mean, Network

    torch.manual_seed(0)
    network = Network(vgg(width), encoder=Constant(timesteps), readout=Mean()).eval()
    x = torch.rand(batch, 3, 32, 32)
    found: dict[str, Call] = {
        FORWARD: lambda: network(x),
        OURS: lambda: Ledger.record(network, x, input="analog"),
    }
    for name, build in PEERS.items() if peers else ():
        try:
            found[name] = build(network, x)
        except ImportError as error:
            print(f"  {name} is skipped: {error}", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64, help="channels of the first layers")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--timesteps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true", help="the ledger alone")
    parser.add_argument("--dry", action="store_true", help="write no results")
    parser.add_argument("--memory", choices=[FORWARD, OURS, *PEERS], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    size = (arguments.width, arguments.batch, arguments.timesteps)
    if arguments.memory:
        calls(arguments.width, 2, arguments.timesteps)[arguments.memory]()  # compiles
        call = calls(*size)[arguments.memory]
        with Peak() as peak:
            call()
        print(json.dumps({"peak_mib": peak.mib}))
        return
    title = f"VGG-like, width {size[0]}, batch {size[1]}, T = {size[2]}, {arguments.threads} threads"
    rows = show(
        title,
        interleave(calls(*size, not arguments.no_peers), arguments.rounds, seconds=600.0, batch=False),
        against=FORWARD,
    )
    options = [f"--{name}={getattr(arguments, name)}" for name in ("width", "batch", "timesteps", "threads")]
    for name, row in rows.items():
        row["peak_mib"] = child([*options, "--memory", name]).get("peak_mib")
    base, short = rows[FORWARD], False
    for name, row in rows.items():
        slower = row["median_ms"] / base["median_ms"]
        more = row["peak_mib"] / base["peak_mib"] if row["peak_mib"] and base["peak_mib"] else float("nan")
        row |= {"times_the_time": slower, "times_the_memory": more}
        print(f"  {name:28s} {slower:6.3f} x the time, {more:6.3f} x the memory of the forward")
        short |= name == OURS and not (slower <= SLOWER and more <= MORE)
    if not arguments.dry:
        results = Results("energy", again=True)
        results.content["machine"] = machine()
        results.add(title, {"rows": rows})
        print(f"written to {results.path}")
    if short:
        print(f"asked: at most {SLOWER} x the time and {MORE} x the memory")
        sys.exit(3)


if __name__ == "__main__":
    main()
