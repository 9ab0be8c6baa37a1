"""Fused batch-norm, neuron and pool against the three layers one by one."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracles.fused import POOLS, chain, fused, fused_layers, pooled_gradient, statistics
from torch import nn

from spikesim.dynamics import Sigmoid
from spikesim.dynamics.fused_emit import emit_fused
from spikesim.dynamics.fused_launch import Shape, tiling
from spikesim.dynamics.fused_operator import moments
from spikesim.dynamics.fused_plan import FusedKernel
from spikesim.dynamics.fused_rows import rows
from spikesim.errors import GradientError
from spikesim.neurons import LI, LIF, AdLIF, SignedIF

LAST = torch.channels_last


def conv_output(*shape, dtype=torch.float64):
    return (torch.randn(*shape, dtype=dtype) * 1.5 + 0.8).contiguous(memory_format=LAST)


def norm_of(channels, dtype=torch.float64):
    norm = nn.BatchNorm2d(channels).to(dtype)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    return norm


def both(x, norm, neuron, pool, timesteps):
    """Output, gradients and running averages of the fused layer and of the chain."""
    results = []
    for run in (fused, chain):
        leaf, own, layer = x.clone(memory_format=torch.preserve_format).requires_grad_(), copy.deepcopy(norm), neuron
        out = run(leaf, own, layer, pool, timesteps)
        weights = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view_as(out)
        leaves = [leaf, *own.parameters(), *layer.parameters()]
        grads = torch.autograd.grad((out * weights).sum(), leaves, allow_unused=True)
        results.append([out, *grads, own.running_mean, own.running_var])
        assert out.is_contiguous(memory_format=LAST)
        assert fused_layers(out) == (run is fused)
        assert own.num_batches_tracked == 1
    return results


def assert_close(mine, theirs, tolerance):
    for a, b in zip(mine, theirs):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype and a.shape == b.shape
            scale = b.abs().max().clamp(min=1e-3)
            assert ((a - b).abs().max() / scale).item() <= tolerance


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 130), st.integers(2, 9), st.integers(2, 9)),
    kind=st.sampled_from(list(POOLS)),
    seed=st.integers(0, 99),
)
@example(shape=(1, 1, 1, 2, 2), kind="max", seed=0)
@example(shape=(2, 3, 130, 7, 9), kind="max", seed=1)
@example(shape=(3, 2, 5, 9, 7), kind="average", seed=2)
@example(shape=(2, 2, 3, 40, 90), kind="max", seed=3)  # several chunks per line
@settings(max_examples=25)
def test_equals_the_chain_at_every_size(shape, kind, seed):
    torch.manual_seed(seed)
    timesteps, samples, channels, height, width = shape
    x, norm = conv_output(timesteps * samples, channels, height, width), norm_of(channels)
    neuron = LIF(learnable=("tau", "threshold")).double()
    assert_close(*both(x, norm, neuron, POOLS[kind], timesteps), 1e-10)


NEURONS = {
    "AdLIF": lambda: AdLIF(),
    "SignedIF": lambda: SignedIF(),
    "LI": lambda: LI(),
    "per channel": lambda: LIF(tau=torch.linspace(1.5, 3, 6), learnable=("tau", "threshold"), initial={"v": -0.5}),
}


@pytest.mark.parametrize("name", NEURONS)
def test_every_kind_of_neuron(name):
    neuron, kind = NEURONS[name]().double(), list(POOLS)[len(name) % 3]
    x = conv_output(4 * 2, 6, 6, 5)
    assert_close(*both(x, norm_of(6), neuron, POOLS[kind], 4), 1e-10)


@pytest.mark.parametrize("kind", ["none", "max"])
def test_single_precision(kind):
    x = conv_output(8 * 2, 32, 8, 8).float()
    mine, theirs = both(x, norm_of(32).float(), LIF(), POOLS[kind], 8)
    # Without near-ties no spike differs; torch's own statistics are good to 4e-6 standard deviations.
    assert torch.equal(mine[0], theirs[0])
    assert_close(mine, theirs, 1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_the_chain_on_widened_values(dtype):
    x, norm = conv_output(4 * 2, 8, 6, 6).to(dtype), norm_of(8).float()
    mine = both(x, norm, LIF(), POOLS["max"], 4)[0]
    wide = both(x.float(), norm, LIF(), POOLS["max"], 4)[1]
    assert mine[0].dtype == mine[1].dtype == dtype
    assert torch.equal(mine[0].float(), wide[0])
    # The gradient is rounded twice, before and after what the statistics take from it.
    assert_close([m.float() for m in mine[1:]], wide[1:], 3 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("frozen", ["eval", "batch", "untracked"])
def test_frozen_and_untracked_statistics(frozen):
    x, norm = conv_output(6, 4, 6, 6), nn.BatchNorm2d(4, track_running_stats=frozen != "untracked").double()
    if frozen == "eval":
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    if frozen != "batch":
        norm.eval()
    results = []
    for run in (fused, chain):
        leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
        out = run(leaf, norm, LIF(), POOLS["max"], 3)
        results.append([out, *torch.autograd.grad(out.sum(), [leaf, *norm.parameters()])])
    assert_close(*results, 1e-10)


def test_evaluation_in_single_precision_is_bit_for_bit():
    x, norm = conv_output(8, 16, 6, 6).float(), norm_of(16).float().eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        assert torch.equal(fused(x, norm, LI(), None, 4), chain(x, norm, LI(), None, 4))


@pytest.mark.parametrize("momentum", [0.3, None])
def test_running_averages(momentum):
    norms = [nn.BatchNorm2d(3, momentum=momentum).double() for _ in range(2)]
    for step in range(3):
        x = conv_output(4, 3, 4, 4) * (1 + step)
        for run, norm in zip((fused, chain), norms):
            run(x, norm, LIF(), None, 2)
    assert_close([b.double() for b in norms[0].buffers()], [b.double() for b in norms[1].buffers()], 1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("dtype,tolerance", [(torch.float32, 1e-6), (torch.float64, 1e-10)])
def test_statistics(dtype, tolerance, offset):
    x = (conv_output(7, 37, 9, 11) + offset).to(dtype).contiguous(memory_format=LAST)
    found, (mean, variance) = moments(x), statistics(x)
    assert torch.allclose(found.mean, mean, rtol=tolerance, atol=0)
    assert torch.allclose(found.variance, variance, rtol=tolerance, atol=0)


def test_ties_and_nan_in_a_window():
    rng = np.random.default_rng(0)
    values = rng.choice(np.array([0.0, 1.0, 2.0, np.nan], np.float32), size=(6, 3, 2, 40))
    x = torch.tensor(values)
    leaf = x.clone().requires_grad_()
    out, grad = nn.functional.max_pool2d(leaf, 2), torch.randn(6, 3, 1, 20)
    (expected,) = torch.autograd.grad(out, leaf, grad)
    assert torch.equal(expected, pooled_gradient(x, grad))
    functions = rows("float32")
    for k in range(len(x)):
        top, bottom = (np.ascontiguousarray(x[k, :, i].T.numpy()).reshape(-1) for i in (0, 1))
        pooled, chosen = np.empty(60, np.float32), np.empty(60, np.uint8)
        functions.pool_max(20, 3, top, bottom, pooled)
        np.testing.assert_array_equal(pooled, out[k, :, 0].T.detach().reshape(-1).numpy())
        functions.choose(20, 3, top, bottom, chosen)
        grads = [np.empty(120, np.float32) for _ in range(2)]
        functions.route_max(20, 3, chosen, grad[k, :, 0].T.contiguous().view(-1).numpy(), *grads)
        for i in (0, 1):
            np.testing.assert_array_equal(grads[i], expected[k, :, i].T.reshape(-1).numpy())


def test_nan_in_the_input_stays_in_its_channel():
    x = conv_output(6, 4, 6, 6)
    x[1, 2, 3, 3] = float("nan")
    mine, theirs = both(x, norm_of(4), LIF(), POOLS["max"], 3)
    assert torch.equal(mine[0], theirs[0])
    for a, b in zip(mine[1:], theirs[1:]):
        assert torch.equal(a.isnan(), b.isnan())
        assert torch.allclose(a.nan_to_num(), b.nan_to_num(), rtol=1e-10, atol=1e-12)
    assert not mine[1][:, [0, 1, 3]].isnan().any()


def test_threads_do_not_change_a_bit():
    x, norm, found = conv_output(4 * 8, 32, 16, 16), norm_of(32), []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            neuron = LIF(learnable=("tau", "threshold")).double()
            found.append(both(x, norm, neuron, POOLS["max"], 4)[0])
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other))


def test_gradients_are_those_of_the_smoothed_layer():
    neuron = LIF(surrogate=Sigmoid(2.0).smoothed(), learnable="tau").double()
    norm = norm_of(2)
    x = conv_output(6, 2, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, *_: fused(x, norm, neuron, POOLS["max"], 3), (x, norm.weight, norm.bias, neuron.tau), nondet_tol=0.0
    )


def test_a_second_derivative_is_refused():
    x, norm = conv_output(4, 2, 4, 4).requires_grad_(), norm_of(2)
    out = fused(x, norm, LIF(), POOLS["max"], 2)
    (grad,) = torch.autograd.grad(out.sum(), x, create_graph=True)
    (first,) = torch.autograd.grad(fused(x, norm, LIF(), POOLS["max"], 2).sum(), x)
    assert torch.equal(grad, first)
    with pytest.raises(GradientError, match="differentiated twice"):
        grad.sum().backward()


def test_no_more_than_the_input_is_kept():
    kept = []
    x = conv_output(8, 16, 8, 8).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        fused(x, norm_of(16), LIF(), POOLS["max"], 4)
    large = [t for t in kept if t.numel() >= x.numel() // 4]
    assert sum(t.numel() for t in large) <= x.numel() * (1 + 1 / 4)  # the input, and the initial state of one step


@given(
    shape=st.builds(
        Shape, st.integers(1, 9), st.integers(1, 5), st.integers(1, 200), st.integers(2, 50), st.integers(2, 50)
    )
)
@settings(max_examples=50)
def test_tiles_cover_everything_once(shape):
    row, size, tiles = tiling(shape, pooled=True)
    pairs = shape.samples * ((shape.height + 1) // 2)
    assert row % (2 * shape.channels) == 0 and (tiles - 1) * size < pairs <= tiles * size
    row, size, tiles = tiling(shape, pooled=False)
    assert size % row == row % shape.channels == 0 and (tiles - 1) * size < shape.neurons <= tiles * size


def test_source_reads_like_the_equations():
    kernel = FusedKernel(LIF().program_text(), "backward", "max", "float32", "float32", (True, True))
    source = emit_fused(kernel)
    assert "u = v + (x - v) / tau" in source
    compile(source, "kernel", "exec")
