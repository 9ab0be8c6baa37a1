"""How long does a LIF layer take, forward and backward, beside its peers and beside memory itself?

All contestants run in one process, in random order, with the same threads and the same allocator
settings: hard reset, arc-tangent surrogate, reset not detached. The floor is a copy of as many bytes as
the fused kernels must move (8 per element forward, 24 forward plus backward with the potential kept).

    python benchmarks/neurons.py --steps 16 --neurons 1000000
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

# Fresh large tensors otherwise cost more in page faults than any kernel: the same remedy for everyone.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "17179869184", "MALLOC_TRIM_THRESHOLD_": "17179869184"}
if "--default-malloc" not in sys.argv and any(os.environ.get(k) != v for k, v in ALLOCATOR.items()):
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})

import torch  # noqa: E402
from harness import interleave, report  # noqa: E402

from spikesim.neurons import LIF  # noqa: E402


def ours() -> Callable[[torch.Tensor], torch.Tensor]:
    neuron = LIF(2.0, reset="zero")
    return lambda x: neuron(x)


def snntorch_leaky() -> Callable[[torch.Tensor], torch.Tensor]:
    import snntorch
    from snntorch import surrogate

    neuron = snntorch.Leaky(beta=0.5, spike_grad=surrogate.atan(alpha=2.0), reset_mechanism="zero")

    def run(x: torch.Tensor) -> torch.Tensor:
        state, spikes = torch.zeros_like(x[0]), []
        for row in x.unbind(0):
            spike, state = neuron(row, state)
            spikes.append(spike)
        return torch.stack(spikes)

    return run


def spikingjelly_lif() -> Callable[[torch.Tensor], torch.Tensor]:
    from spikingjelly.activation_based import functional, neuron, surrogate

    node = neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan(alpha=2.0), detach_reset=False, step_mode="m")

    def run(x: torch.Tensor) -> torch.Tensor:
        functional.reset_net(node)
        return node(x)

    return run


def norse_lif() -> Callable[[torch.Tensor], torch.Tensor]:
    import norse.torch as norse

    layer = norse.Lift(norse.LIFBoxCell())
    return lambda x: layer(x)[0]


def torch_loop() -> Callable[[torch.Tensor], torch.Tensor]:
    neuron = LIF(2.0, reset="zero")

    def run(x: torch.Tensor) -> torch.Tensor:
        os.environ["SPIKESIM_DISABLE_JIT"] = "1"
        try:
            return neuron(x)
        finally:
            del os.environ["SPIKESIM_DISABLE_JIT"]

    return run


PEERS = {
    "spikesim": ours,
    "spikesim reference path": torch_loop,
    "snntorch Leaky": snntorch_leaky,
    "spikingjelly LIFNode": spikingjelly_lif,
    "norse LIFBox": norse_lif,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=16, help="T")
    parser.add_argument("--neurons", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--default-malloc", action="store_true", help="leave the allocator as it is")
    arguments = parser.parse_args()
    shape = (arguments.steps, 1, arguments.neurons)
    x, grad = torch.randn(shape), torch.randn(shape)
    runs, skipped = {}, {}
    for name, build in PEERS.items():
        try:
            runs[name] = build()
        except ImportError as error:
            skipped[name] = str(error)
    source, target = torch.empty_like(x), torch.empty_like(x)

    def copy(times: int) -> Callable[[], None]:
        # One copy moves 8 bytes per element.
        return lambda: [target.copy_(source) for _ in range(times)] and None

    def forward(run: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], object]:
        def call() -> object:
            with torch.no_grad():
                return run(x)

        return call

    def both(run: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], None]:
        def call() -> None:
            leaf = x.detach().requires_grad_()
            run(leaf).backward(grad)

        return call

    size = f"T={arguments.steps}, N={arguments.neurons}, float32, {torch.get_num_threads()} threads"
    groups = {
        f"forward, {size}": interleave({"copy": copy(1), **{n: forward(r) for n, r in runs.items()}}, arguments.rounds),
        f"forward + backward, {size}": interleave(
            {"copy": copy(3), **{n: both(r) for n, r in runs.items()}}, arguments.rounds
        ),
    }
    suffix = "-default-malloc" if arguments.default_malloc else ""
    report(f"neurons-T{arguments.steps}-N{arguments.neurons}{suffix}", groups, "spikesim", skipped)


if __name__ == "__main__":
    main()
