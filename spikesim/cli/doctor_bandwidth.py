"""How near a LIF comes to the speed of memory: its bytes per second beside those of a copy, in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

STEPS, NEURONS = 16, 1_000_000
ROUNDS = 9
# Bytes of float32 that each must move per neuron and step. A copy reads one value and writes one, and so does a
# forward; with its backward it reads the input again, reads the incoming gradient and writes the outgoing one.
COPY, FORWARD, TRAINING = 8, 8, 20


def bandwidth(device: str, neurons: int = NEURONS) -> dict[str, Any]:
    """Measure copy, forward, and forward with backward of a LIF in turns.

    Args:
        device: "cpu" or "cuda".
        neurons: N of ``[16, N]`` inputs; more than the caches hold.

    Returns:
        Gigabytes per second of each, by median, and what share of the copy's bandwidth the kernels reach: with memory
        fresh from the system, and on the CPU also with memory that the process keeps (``kept``).
    """
    import torch

    from spikesim.allocator import allocator_state, restore_allocator, tune_allocator

    found = {"device": device, "shape": [STEPS, neurons], "fresh": _measured(device, neurons)}
    if device == "cpu" and not allocator_state()["tuned"] and tune_allocator().applied:
        found["kept"] = _measured(device, neurons)
        restore_allocator()
    return found | {"threads": torch.get_num_threads() if device == "cpu" else None}


def _measured(device: str, neurons: int) -> dict[str, float]:
    import torch

    from spikesim.neurons import LIF

    x = torch.randn(STEPS, neurons, device=device)
    copied, gradient, neuron = torch.empty_like(x), torch.ones_like(x), LIF().to(device)
    wanted = x.detach().requires_grad_()

    def forward() -> None:
        with torch.no_grad():
            neuron(x)

    def training() -> None:
        wanted.grad = None
        neuron(wanted).backward(gradient)

    contestants: dict[str, Callable[[], object]] = {
        "copy": lambda: copied.copy_(x), "forward": forward, "training": training,
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for k in range(ROUNDS + 2):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if device == "cuda":
                torch.cuda.synchronize()
            if k >= 2:  # the first rounds compile and warm up
                seconds[name].append(time.perf_counter() - start)
    moved = {"copy": COPY, "forward": FORWARD, "training": TRAINING}
    rates = {name: moved[name] * x.numel() / statistics.median(times) / 1e9 for name, times in seconds.items()}
    return {
        "copy_gb_s": round(rates["copy"], 2),
        "forward_gb_s": round(rates["forward"], 2),
        "training_gb_s": round(rates["training"], 2),
        "forward_share": round(rates["forward"] / rates["copy"], 3),
        "training_share": round(rates["training"] / rates["copy"], 3),
    }


def threads_agree(steps: int = 16, neurons: int = 1 << 17) -> bool:
    """Whether one thread and all threads give the same bits, forward and backward."""
    import torch

    from spikesim.neurons import LIF

    x = torch.randn(steps, neurons, generator=torch.Generator().manual_seed(0)) + 0.4
    found, threads = [], torch.get_num_threads()
    for count in (1, threads):
        torch.set_num_threads(count)
        try:
            neuron, wanted = LIF(learnable=("tau", "threshold")), x.clone().requires_grad_()
            out = neuron(wanted)
            out.backward(x)
        finally:
            torch.set_num_threads(threads)
        found.append([out.detach(), *(leaf.grad for leaf in (wanted, neuron.tau, neuron.threshold))])
    return all(torch.equal(one, other) for one, other in zip(*found))
