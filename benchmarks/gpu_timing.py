"""The timed sections of ``gpu_check.py``: CUDA events, contestants in random order, beside a copy of the same bytes."""

from __future__ import annotations

import importlib.metadata
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from harness import Samples, show

from spikesim.neurons import LIF, EscapeLIF

Call = Callable[[], object]
SAMPLE = 3e-3  # seconds of GPU time that a sample lasts at least
ROUNDS = 11

# [T, N]: those of the CPU benchmark, SpikingJelly's own table, and the Open Neuromorphic benchmark (16 samples each).
SIZES = [(16, 100_000), (16, 1_000_000), (100, 100_000), (100, 1_000_000), (32, 4_194_304)]
SIZES += [(500, 16 * n) for n in (512, 4096, 8192, 16384)]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def gpu(simulated: bool) -> dict[str, Any]:
    """The device and what compiles for it."""
    versions = {}
    for package in ("numba-cuda", "nvidia-nvvm", "cuda-bindings", "cupy-cuda13x", "cupy-cuda12x", "triton"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    if simulated:
        return {"name": "Numba's CUDA simulator", "versions": versions}
    properties = torch.cuda.get_device_properties(0)
    return {
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "l2_mib": round(getattr(properties, "L2_cache_size", 0) / 2**20, 1),
        "cuda": torch.version.cuda,
        "versions": versions,
    }


def interleave(calls: dict[str, Call], rounds: int = ROUNDS) -> dict[str, Samples]:
    """Time all calls on the GPU's own clock, in random order within each round."""
    samples = {name: Samples() for name in calls}
    for name, call in calls.items():
        for _ in range(3):
            call()
        samples[name].calls = max(1, min(200, round(SAMPLE / max(_events([call])[0], 1e-6))))
    order, shuffle = list(calls), random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        times = _events([lambda n=n: [calls[n]() for _ in range(samples[n].calls)] for n in order])
        for name, seconds in zip(order, times):
            samples[name].seconds.append(seconds / samples[name].calls)
            samples[name].waited.append(0.0)
    return samples


def _events(calls: list[Call]) -> list[float]:
    marks = []
    for call in calls:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        marks.append((begin, end))
    torch.cuda.synchronize()
    return [begin.elapsed_time(end) * 1e-3 for begin, end in marks]


def _inputs(steps: int, neurons: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator("cuda").manual_seed(0)
    x = torch.randn(steps, 1, neurons, device="cuda", generator=generator).add_(0.4).to(dtype)
    return x, torch.randn(steps, 1, neurons, device="cuda", generator=generator).to(dtype)


def _forward(layer: Callable, x: torch.Tensor) -> Call:
    def call() -> object:
        with torch.no_grad():
            return layer(x)

    return call


def _both(layer: Callable, x: torch.Tensor, grad: torch.Tensor) -> Call:
    leaf = x.detach().requires_grad_()
    return lambda: torch.autograd.grad(layer(leaf), leaf, grad)


def _replayed(call: Call) -> tuple[Call, Any]:
    """The call, captured in a CUDA graph, and what it returns."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = call()
    return graph.replay, result


def _copy(moved: int) -> Call:
    """A device copy that reads and writes ``moved`` bytes in all."""
    source, target = (torch.empty(max(moved // 2, 1), dtype=torch.uint8, device="cuda") for _ in range(2))
    return lambda: target.copy_(source)


def _lif(memory: str = "keep", **flags: Any) -> LIF:
    neuron = LIF(2.0, reset="zero", **flags).cuda()
    neuron.memory = memory
    return neuron


def graphs(left: float) -> dict[str, Any]:
    """Replay equals eager, also on new inputs and at another time of a stochastic neuron's clock."""
    failed = {}
    for memory in ("keep", "recompute"):
        for steps, neurons in ((7, 1000), (16, 300_000)):
            x, grad = _inputs(steps, neurons, torch.float32)
            neuron, fresh = _lif(memory, learnable="tau"), _inputs(steps, neurons, torch.float32)[0].neg()
            leaf = x.clone().requires_grad_()

            def step(neuron=neuron, leaf=leaf, grad=grad):
                out = neuron(leaf)
                return out, *torch.autograd.grad(out, [leaf, neuron.tau], grad)

            replay, captured = _replayed(step)
            for which, values in (("the captured input", x), ("a new input", fresh)):
                leaf.data.copy_(values)
                replay()
                found = [t.clone() for t in captured]
                if not all(torch.equal(a, b) for a, b in zip(found, step())):
                    failed[f"{memory} {steps} x {neurons}"] = f"replay on {which} differs from eager"
    chance = EscapeLIF().cuda()
    clock = torch.tensor([3, 0], device="cuda")
    x, v = torch.rand(8 * 5000, device="cuda") * 2, torch.zeros(5000, device="cuda")

    def draw():
        with torch.no_grad():
            return chance.run_rows(x, 8, state={"v": v, "clock": clock})[0]

    replay, captured = _replayed(draw)
    for start in (0, 8):
        clock.copy_(torch.tensor([3, start], device="cuda"))
        replay()
        if not torch.equal(captured, draw()):
            failed[f"EscapeLIF at step {start}"] = "replay differs from eager"
    for name, problem in failed.items():
        print(f"  WRONG {name}: {problem}")
    print(f"  {len(failed)} of 10 differ from eager")
    return {"compared": 10, "failed": failed}


def memory(left: float) -> dict[str, Any]:
    """Peak bytes of forward and backward, beside those of input, output and two gradients."""
    rows = {}
    for steps, neurons in ((16, 1_000_000), (100, 1_000_000), (16, 4_000_000)):
        for kept in ("keep", "recompute"):
            x, grad = _inputs(steps, neurons, torch.float32)
            call = _both(_lif(kept), x, grad)
            call()
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            call()
            ideal = 4 * x.numel() * x.element_size()
            peak = torch.cuda.max_memory_allocated()
            rows[f"{kept}, T={steps} N={neurons}"] = {"peak_mib": peak / 2**20, "of_ideal": peak / ideal}
            print(f"  {kept:10s} T={steps:3d} N={neurons}: {peak / 2**20:9.0f} MiB, {peak / ideal:.2f} x four tensors")
            del x, grad, call
    return {"rows": rows}


def bandwidth(left: float) -> dict[str, Any]:
    """LIF beside a copy of the bytes that it must move: eager, and from a graph, which leaves the kernel alone."""
    begin, rows, skipped = time.monotonic(), {}, {}
    for name, dtype in DTYPES.items():
        for steps, neurons in SIZES:
            title = f"{name} T={steps} N={neurons}"
            if time.monotonic() - begin > 0.7 * left:
                skipped[title] = "no time left"
                continue
            x, grad = _inputs(steps, neurons, dtype)
            size, elements = dtype.itemsize, steps * neurons
            for what, moved, layers in (
                ("forward", 2 * size, {"spikesim": _lif()}),
                ("forward + backward, kept", 4 * size + 8, {"spikesim": _lif("keep")}),
                ("forward + backward, recomputed", 5 * size, {"spikesim": _lif("recompute")}),
            ):
                calls: dict[str, Call] = {"copy of the same bytes": _copy(moved * elements)}
                for layer, neuron in layers.items():
                    eager = _forward(neuron, x) if what == "forward" else _both(neuron, x, grad)
                    calls[layer] = eager
                    calls[f"{layer}, CUDA graph"] = _replayed(eager)[0]
                times = interleave(calls)
                floor = times["copy of the same bytes"].median
                found = show(f"{title}, {what}: {moved} bytes per element", times, floor)
                rows[f"{title}, {what}"] = {
                    "bytes_per_element": moved,
                    "copy_gb_per_s": moved * elements / floor * 1e-9,
                    "contestants": found,
                }
                del calls
            del x, grad
            torch.cuda.empty_cache()
    return {"rows": rows, **({"left_out": skipped} if skipped else {})}


def variants(left: float) -> dict[str, Any]:
    """The inference kernel of LIF, with other numbers of steps loaded ahead, threads per block, and fast arithmetic."""
    from numba import cuda

    from spikesim.dynamics.emit_cuda import emit_cuda
    from spikesim.dynamics.plan import Kernel

    rows, neuron = {}, _lif()
    for name, dtype in DTYPES.items():
        if name == "float16":
            continue
        for steps, neurons in ((16, 1_000_000), (100, 1_000_000)):
            x, _ = _inputs(steps, neurons, dtype)
            out, v = torch.empty_like(x), torch.zeros(neurons, device="cuda")
            kernel = Kernel(neuron.program_text(), "infer", "float32", (True, True), storage=name)
            sizes = (steps, 1, neurons, neurons, 0, 0, 0, 0)
            addresses = [t.data_ptr() for t in (x, out, v, neuron.tau, neuron.threshold)]
            stream = cuda.external_stream(torch.cuda.current_stream().cuda_stream)
            calls: dict[str, Call] = {"copy of the same bytes": _copy(2 * dtype.itemsize * x.numel())}
            for ahead in (1, 2, 4, 8):
                for threads in (128, 256) if ahead == 4 else (128,):
                    for fast in (False, True) if (ahead, threads) == (4, 128) else (False,):
                        source = emit_cuda(kernel, on_disk=False, ahead=ahead)
                        if fast:
                            source = source.replace("cuda_.jit(cache", "cuda_.jit(fastmath=True, cache")
                        module: dict[str, Any] = {}
                        exec(source, module)
                        run = module["run"][-(-neurons // threads), threads, stream or 0]
                        label = f"{ahead} ahead, {threads} threads" + (", fast arithmetic" if fast else "")
                        calls[label] = partial(run, *sizes, *addresses)
            times = interleave(calls)
            title = f"{name} T={steps} N={neurons}"
            rows[title] = show(title, times, times["copy of the same bytes"].median, "4 ahead, 128 threads")
    return {"rows": rows}


def overhead(left: float) -> dict[str, Any]:
    """Microseconds on the host per call of 16 steps of 10 neurons, the GPU waited for only at the end."""
    x, grad = _inputs(16, 10, torch.float32)
    neuron, rows = _lif(), {}
    calls = {
        "forward": _forward(neuron, x),
        "forward + backward": _both(neuron, x, grad),
        "relu": _forward(torch.relu, x),
    }
    for name, call in calls.items():
        for _ in range(50):
            call()
        torch.cuda.synchronize()
        samples = []
        for _ in range(7):
            begin = time.perf_counter()
            for _ in range(200):
                call()
            samples.append((time.perf_counter() - begin) / 200)
            torch.cuda.synchronize()
        rows[name] = sorted(samples)[3] * 1e6
        print(f"  {name:20s} {rows[name]:8.1f} us per call")
    return {"microseconds": rows}


def peers(left: float) -> dict[str, Any]:
    """Other libraries on the same GPU, forward + backward; SpikingJelly's own table is T = 4 ... 32, float16."""
    import contestants

    begin, rows, failed = time.monotonic(), {}, {}
    sizes = [(16, 1_000_000, torch.float32), *((t, 4_194_304, torch.float16) for t in (4, 8, 16, 32))]
    for steps, neurons, dtype in sizes:
        x, grad = _inputs(steps, neurons, dtype)
        layers: dict[str, Callable] = {"spikesim": _lif()}
        skipped: dict[str, str] = {}
        for name, build in _peers(contestants, steps).items():
            if time.monotonic() - begin > 0.8 * left:
                skipped[name] = "no time left"
                continue
            try:
                layer = build()
                _both(layer, x, grad)()
                torch.cuda.synchronize()
                layers[name] = layer
            except Exception as error:  # a peer fails in its own way; the others go on
                text = str(error).strip().splitlines() or [""]
                skipped[name] = f"{type(error).__name__}: {text[0][:200]}"
        calls = {n: _both(layer, x, grad) for n, layer in layers.items()}
        title = f"forward + backward, {str(dtype)[6:]} T={steps} N={neurons}"
        found = show(title, interleave(calls, 7))
        with torch.no_grad():
            spikes = layers["spikesim"](x)
            agree = {n: float((layer(x) == spikes).float().mean()) for n, layer in layers.items() if n != "spikesim"}
        rows[title] = {"contestants": found, "equal_spikes": agree, "skipped": skipped}
        for name, why in skipped.items():
            print(f"  skipped {name}: {why}")
        del x, grad, calls, layers, spikes
        torch.cuda.empty_cache()
    return {"rows": rows, "failed": failed}


def _peers(contestants: Any, steps: int) -> dict[str, Callable[[], Callable]]:
    def spikingjelly(backend: str) -> Callable[[], Callable]:
        def build() -> Callable:
            from spikingjelly.activation_based import functional, neuron, surrogate

            # Newer versions choose the backend on their own and know no such argument: a TypeError, reported by name.
            node = neuron.LIFNode(
                tau=2.0, v_reset=0.0, surrogate_function=surrogate.ATan(alpha=2.0), step_mode="m", backend=backend
            ).cuda()

            def run(x: torch.Tensor) -> torch.Tensor:
                functional.reset_net(node)
                return node(x)

            return run

        return build

    found = {f"SpikingJelly, {b}": spikingjelly(b) for b in ("cupy", "triton")}
    found["SpikingJelly, as it chooses"] = contestants.spikingjelly_lif
    found["torch loop (unbind)"] = contestants.torch_loop
    if steps <= 16:
        found["torch.compile of the loop"] = contestants.compiled_loop
    return found
