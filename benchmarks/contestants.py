"""A LIF layer over [T, 1, N], as each library's documentation says to run it over a sequence.

Hard reset, reset not detached, arc-tangent surrogate (alpha 2), decay 1/2, threshold 1; where a library has no such
surrogate or reset order its own default stands and is named. All take float32 ``[T, 1, N]`` and return every spike.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable

import torch

Layer = Callable[[torch.Tensor], torch.Tensor]
TAU, THRESHOLD, ALPHA = 2.0, 1.0, 2.0


class MissingError(Exception):
    """A contestant cannot run here; the message says why."""


def spikesim(memory: str = "auto") -> Layer:
    from spikesim.neurons import LIF

    neuron = LIF(TAU, reset="zero")
    neuron.memory = memory
    return lambda x: neuron(x)


def snntorch_leaky() -> Layer:
    """Its reset comes one step later than ours, and its input is not scaled by 1/tau: the library's own LIF."""
    import snntorch
    from snntorch import surrogate

    neuron = snntorch.Leaky(beta=1.0 - 1.0 / TAU, spike_grad=surrogate.atan(alpha=ALPHA), reset_mechanism="zero")

    def run(x: torch.Tensor) -> torch.Tensor:
        state, spikes = torch.zeros_like(x[0].detach()), []
        # Its tutorials index x[step]; unbind gives the same numbers without a backward of T full gradients.
        for row in x.unbind(0):
            spike, state = neuron(row, state)
            spikes.append(spike)
        return torch.stack(spikes)

    return run


def spikingjelly_lif() -> Layer:
    from spikingjelly.activation_based import functional, neuron, surrogate

    node = neuron.LIFNode(
        tau=TAU, v_reset=0.0, surrogate_function=surrogate.ATan(alpha=ALPHA), detach_reset=False, step_mode="m"
    )

    def run(x: torch.Tensor) -> torch.Tensor:
        functional.reset_net(node)
        return node(x)

    return run


def norse_lif_box() -> Layer:
    """SuperSpike: it has no arc-tangent."""
    import norse.torch as norse

    parameters = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(1000.0 / TAU), v_th=torch.tensor(THRESHOLD))
    layer = norse.Lift(norse.LIFBoxCell(parameters))
    return lambda x: layer(x)[0]


def sinabs_lif() -> Layer:
    """Single exponential surrogate; batch first, so time is the second axis of a view."""
    from sinabs import activation, layers

    layer = layers.LIF(
        tau_mem=-1.0 / math.log(1.0 - 1.0 / TAU),
        spike_threshold=torch.tensor(THRESHOLD),
        spike_fn=activation.SingleSpike,
        reset_fn=activation.MembraneReset(),
        norm_input=True,
    )

    def run(x: torch.Tensor) -> torch.Tensor:
        layer.reset_states()
        return layer(x.transpose(0, 1)).transpose(0, 1)

    return run


class _ATanSpike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(u)
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> torch.Tensor:
        (u,) = ctx.saved_tensors
        return grad * (ALPHA / 2) / (1 + (math.pi / 2 * ALPHA * u).square())


def _loop(x: torch.Tensor) -> torch.Tensor:
    v, spikes = torch.zeros_like(x[0].detach()), []
    for row in x.unbind(0):
        u = v + (row - v) / TAU
        s = _ATanSpike.apply(u - THRESHOLD)
        v = u * (1.0 - s)
        spikes.append(s)
    return torch.stack(spikes)


def torch_loop() -> Layer:
    return _loop


def compiled_loop() -> Layer:
    """Inductor's C++ backend, unrolled over T, for one shape."""
    if not any(shutil.which(c) for c in ("g++", "clang++", "c++")):
        raise MissingError("torch.compile needs a C++ compiler, and none is installed")
    return torch.compile(_loop, dynamic=False)


# Tensors of size [T, N] that are alive at the peak of forward + backward, for the memory budget (measured, rounded up).
CONTESTANTS: dict[str, tuple[Callable[[], Layer], int]] = {
    "spikesim": (spikesim, 6),
    "torch.compile of the loop": (compiled_loop, 8),
    "torch loop (unbind)": (torch_loop, 12),
    "snnTorch Leaky": (snntorch_leaky, 14),
    "SpikingJelly LIFNode": (spikingjelly_lif, 14),
    "Norse LIFBox": (norse_lif_box, 16),
    "Sinabs LIF": (sinabs_lif, 16),
}
EXTRA: dict[str, tuple[Callable[[], Layer], int]] = {
    "spikesim, recompute": (lambda: spikesim("recompute"), 5),
    "spikesim, keep": (lambda: spikesim("keep"), 6),
}


def build(names: list[str]) -> tuple[dict[str, Layer], dict[str, str]]:
    """Those that run here, and why the others do not."""
    built, skipped = {}, {}
    for name in names:
        try:
            built[name] = {**CONTESTANTS, **EXTRA}[name][0]()
        except (ImportError, MissingError) as error:
            skipped[name] = str(error)
    return built, skipped


def check(layers: dict[str, Layer], exact: tuple[str, ...] = ("torch loop (unbind)", "SpikingJelly LIFNode")) -> None:
    """All give binary spikes of the right shape; those with the same equations give the same numbers.

    Raises:
        RuntimeError: a contestant computes something else than it should.
    """
    generator = torch.Generator().manual_seed(0)
    x, grad = torch.randn(8, 1, 256, generator=generator) * 2, torch.randn(8, 1, 256, generator=generator)
    results = {}
    for name, layer in layers.items():
        if "compile" in name:  # compiled once for each shape: the loop itself is checked
            continue
        leaf = x.clone().requires_grad_()
        spikes = layer(leaf)
        spikes.backward(grad)
        values = set(spikes.unique().tolist())
        if spikes.shape != x.shape or spikes.dtype != x.dtype or not values <= {0.0, 1.0} or len(values) < 2:
            raise RuntimeError(f"{name} gave {tuple(spikes.shape)} {spikes.dtype} with values {sorted(values)[:4]}")
        results[name] = spikes.detach(), leaf.grad
    for name in exact:
        if name in results and "spikesim" in results:
            for ours, theirs in zip(results["spikesim"], results[name]):
                if not torch.allclose(ours, theirs, atol=1e-5):
                    raise RuntimeError(f"{name} differs from spikesim by {(ours - theirs).abs().max():.3g}")
