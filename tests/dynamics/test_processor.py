"""What kernels ask of the processor: its widest registers, and no time for subnormal numbers."""

import math
import platform

import numpy as np
import pytest
import torch
from llvmlite import binding

from spikesim.dynamics.cache import compiled_in_memory
from spikesim.dynamics.cpu_math import row_sum
from spikesim.dynamics.launch import Extent, Launch
from spikesim.dynamics.plan import Kernel
from spikesim.neurons import EIF, LIF

SUBNORMAL = 1e-40


@pytest.mark.skipif(
    not binding.get_host_cpu_features().get("avx512f"), reason="this processor has no 512-bit registers"
)
def test_steps_are_vectorised_as_wide_as_the_processor_goes():
    neuron = EIF()
    kernel = Kernel(neuron.program_text(), "infer", "float32", tuple(True for _ in neuron.params))
    module = compiled_in_memory(kernel)
    arrays = [torch.zeros(4, 8), torch.zeros(4, 8), torch.zeros(8), *(getattr(neuron, p) for p in neuron.params)]
    launch = Launch(kernel, Extent(4, 1, 8, 8, 0))
    launch._ready[False] = module
    launch(arrays)
    (assembly,) = module.run.inspect_asm().values()
    assert "vdivps" in assembly and "zmm" in assembly
    assert "vfmadd" in assembly  # the exponential's polynomial


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="other processors compute them at full speed")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_potential_decays_to_the_smallest_normal_number_and_not_below(threads):
    """At the smallest subnormal, where it would stay for good, every step would take a hundred cycles."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        x = torch.zeros(400, 1, 1 << 10)
        x[0] = 1.0
        neuron = LIF(threshold=10.0)
        out, final = neuron.run_rows(x.flatten(0, 1), 400)
        smallest = torch.finfo(torch.float32).tiny
        assert out.sum() == 0 and torch.isin(final["v"], torch.tensor([0.0, smallest])).all()
        halves = LIF(threshold=10.0).run_rows(x[:100].flatten(0, 1), 100)[1]["v"]
        assert torch.equal(halves, torch.full_like(halves, math.ldexp(1.0, -100)))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("grad", [False, True])
def test_the_rest_of_the_process_keeps_subnormal_numbers(grad):
    LIF()(torch.randn(4, 2, 3, requires_grad=grad)).sum()
    x = torch.randn(64, 4, 1 << 12, requires_grad=grad)
    out = LIF()(x)
    if grad:
        out.sum().backward()
    assert torch.full((8,), SUBNORMAL).mul(0.5).max() > 0
    assert (torch.full((1 << 18,), SUBNORMAL) * 0.5).min() > 0  # in torch's own threads too
    assert np.float32(SUBNORMAL) * np.float32(0.5) > 0


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 1000])
def test_a_row_is_added_up_in_double_precision(length):
    row = np.random.default_rng(length).normal(size=length).astype(np.float32)
    assert row_sum(row) == pytest.approx(math.fsum(row.tolist()), rel=1e-14, abs=1e-14)
    if length:
        row[0] = np.nan
        assert math.isnan(row_sum(row))


def test_a_gradient_of_one_number_does_not_depend_on_threads():
    found = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            neuron, x = LIF(learnable=("tau", "threshold")), torch.linspace(-1, 3, 8 * 70_000).reshape(8, 1, -1)
            neuron(x).sum().backward()
            found.append((neuron.tau.grad, neuron.threshold.grad))
        finally:
            torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found))
