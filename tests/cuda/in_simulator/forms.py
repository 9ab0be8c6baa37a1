"""Run inside Numba's CUDA simulator: forms of input, masks, dtypes, gradients, against the equations on tensors."""

import pytest
import torch
from torch import nn

from spikesim.dynamics import Neuron, Param, SpikeType, State, cuda_math, launch_cuda, ops
from spikesim.dynamics.counter import key, uniform
from spikesim.dynamics.cuda_support import SIMULATED
from spikesim.dynamics.launch import Extent
from spikesim.dynamics.plan import Kernel
from spikesim.errors import DeviceError
from spikesim.neurons import LI, LIF, EscapeLIF, HodgkinHuxley
from spikesim.nn import Constant, Mean, Network


@pytest.fixture
def launches(monkeypatch):
    """Kernels that were launched for CUDA, in order."""
    assert SIMULATED
    seen = []
    simulate = launch_cuda._simulate

    def spy(kernel, *rest):
        seen.append(kernel)
        simulate(kernel, *rest)

    monkeypatch.setattr(launch_cuda, "_simulate", spy)
    return seen


def _both(monkeypatch, neuron, run, *leaves):
    """Results and gradients of a run with CUDA kernels, and of the same on the reference path."""
    found = []
    for disabled in ("0", "1"):
        monkeypatch.setenv("SPIKESIM_DISABLE_JIT", disabled)
        own = [leaf.detach().clone().requires_grad_() for leaf in leaves]
        learnt = [p for p in neuron.parameters() if p.requires_grad]
        results = run(*own)
        total = sum((r.to(torch.float64) * _weights(r)).sum() for r in results)
        found.append([*results, *torch.autograd.grad(total, [*own, *learnt], allow_unused=True)])
    return zip(*found)


def _weights(like):
    return torch.linspace(-1, 1, like.numel(), dtype=torch.float64).reshape(like.shape)


def _equal(pairs, tolerance=1e-10):
    for found, expected in pairs:
        assert (found is None) == (expected is None)
        if found is not None:
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("memory", ["keep", "recompute"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6, 9])
def test_any_number_of_steps(monkeypatch, launches, steps, memory):
    neuron = LIF(2.3, 0.8, learnable=("tau", "threshold")).double()
    neuron.memory = memory
    x = torch.randn(steps, 3, 2, dtype=torch.float64) + 0.6
    _equal(_both(monkeypatch, neuron, lambda x: (neuron(x),), x))
    assert [k.mode for k in launches] == ["train" if memory == "keep" else "infer", "backward"]


@pytest.mark.parametrize("memory", ["keep", "recompute"])
@pytest.mark.parametrize("kind", [LIF, LI, HodgkinHuxley, EscapeLIF], ids=lambda k: k.__name__)
def test_a_masked_step_keeps_the_state_and_emits_nothing(monkeypatch, launches, kind, memory):
    neuron = kind().double()
    neuron.memory = memory
    x = torch.randn(5 * 3, 4, dtype=torch.float64) + 0.8
    mask = torch.rand(5, 3) > 0.4
    v = torch.randn(3, 4, dtype=torch.float64) * 0.1
    start = {k: torch.zeros(3, 4, dtype=torch.float64) for k in neuron.states} | {"clock": torch.tensor([5, 0])}

    def run(x, v):
        out, final = neuron.run_rows(x, 5, state=start | {"v": v}, mask=mask)
        return out, *(final[k] for k in neuron.states)

    _equal(_both(monkeypatch, neuron, run, x, v))
    assert all(k.masked for k in launches)


@pytest.mark.parametrize("memory", ["keep", "recompute"])
@pytest.mark.parametrize("kind", [LIF, HodgkinHuxley], ids=lambda k: k.__name__)
def test_a_constant_input_is_read_once(monkeypatch, launches, kind, memory):
    neuron = kind().double()
    neuron.memory = memory
    x = torch.randn(3, 4, dtype=torch.float64) + 0.8
    _equal(_both(monkeypatch, neuron, lambda x: (neuron.run_rows(x, 6, constant=True)[0],), x))
    assert all(k.constant for k in launches)


@pytest.mark.parametrize("masked", [False, True])
def test_strides_of_time_and_sample(monkeypatch, launches, masked):
    neuron = LIF().double()
    # [N, T, F] seen as [T, N, F]; dense samples of 256 values are read in place.
    x = (torch.randn(2, 5, 256, dtype=torch.float64) + 0.6).transpose(0, 1)
    mask = torch.tensor([[True, False], [False, True], [True, True], [True, False], [True, True]]) if masked else None
    neuron.memory = "recompute"  # so that the backward reads it too

    def run(x):
        return (neuron._run(x.transpose(0, 1), 5, "steps", None, mask)[0],)

    _equal(_both(monkeypatch, neuron, run, x.transpose(0, 1).contiguous()))
    assert len(launches) == 2


def test_parameters_per_channel_in_channels_last(monkeypatch, launches):
    neuron = LIF(torch.tensor([2.0, 3.0, 4.0]), learnable="tau").double()
    x = (torch.randn(4 * 2, 3, 2, 2, dtype=torch.float64) + 0.8).to(memory_format=torch.channels_last)

    def run(x):
        out, final = neuron.run_rows(x.contiguous(memory_format=torch.channels_last), 4)
        assert out.is_contiguous(memory_format=torch.channels_last)
        return out, final["v"]

    _equal(_both(monkeypatch, neuron, run, x))
    assert launches


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("memory", ["keep", "recompute"])
def test_half_precision_lies_in_memory_only(monkeypatch, launches, dtype, memory):
    neuron = LIF(learnable="tau")
    neuron.memory = memory
    x = (torch.randn(6, 3, 4) + 0.6).to(dtype)
    pairs = list(_both(monkeypatch, neuron, lambda x: (neuron(x),), x))
    assert pairs[0][0].dtype == dtype
    assert torch.equal(*pairs[0])
    for found, expected in pairs[1:]:
        torch.testing.assert_close(found, expected, rtol=2 * torch.finfo(dtype).eps, atol=1e-6)
    assert all(k.storage == str(dtype).removeprefix("torch.") and k.dtype == "float32" for k in launches)


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_conversions_round_as_torch_does(kind):
    dtype = getattr(torch, kind)
    values = torch.cat(
        [torch.randn(300) * 10 ** torch.randint(-6, 6, (300,)), torch.tensor([0.0, torch.inf, -torch.inf])]
    )
    widen, narrow = getattr(cuda_math, f"from_{kind}"), getattr(cuda_math, f"to_{kind}")
    for value, expected in zip(values.numpy(), values.to(dtype)):
        bits = narrow(value)
        assert bits == expected.view(torch.uint16).item()
        assert widen(expected.view(torch.uint16).numpy()[()]) == expected.float().item()


def test_random_numbers_are_those_of_every_backend():
    for seed, step, draw, neuron in [(0, 0, 0, 0), (2**62 - 1, 7, 1, 12345), (-3, 2**40, 2, 2**33)]:
        assert cuda_math.uniform(seed, step, draw, neuron) == uniform(key(seed, step, draw), neuron)


def test_stochastic_spikes_equal_those_of_the_reference_bit_for_bit(monkeypatch, launches):
    neuron, state = EscapeLIF().double(), {"v": torch.zeros(30, dtype=torch.float64), "clock": torch.tensor([11, 40])}
    x = torch.rand(8 * 30, dtype=torch.float64) * 2
    pairs = list(_both(monkeypatch, neuron, lambda x: neuron.run_rows(x, 8, state=state)[:1], x))
    assert torch.equal(*pairs[0])
    assert 0 < pairs[0][0].sum() < 240


def test_threads_that_recompute_serve_several_neurons_each(monkeypatch, launches):
    monkeypatch.setattr(launch_cuda, "SCRATCH", 16 * 5 * 8)  # as much as sixteen threads keep
    neuron = LIF(learnable="tau").double()
    neuron.memory = "recompute"
    extent = Extent(5, 1, 50, 50, 0)
    kernel = Kernel(neuron.program_text(), "backward", "float64", (True, True), recompute=True)
    assert launch_cuda._scratch(kernel, extent, 50, torch.device("cpu")).shape == (5, 16)
    x = torch.randn(5, 1, 50, dtype=torch.float64) + 0.6
    _equal(_both(monkeypatch, neuron, lambda x: (neuron(x),), x))
    assert launches[-1].recompute


class Awkward(Neuron):
    """Its names are those that a kernel might want for itself."""

    states = {"exp": State(0.1), "device": State(), "fresh": State(), "exp_": State(0.2)}
    params = {"cuda_math": Param(0.5), "block": Param(2.0), "again": Param(1.0)}
    emits = SpikeType("analog")

    def step(self, x, *, exp, device, fresh, exp_, cuda_math, block, again):
        total = ops.exp(-exp * cuda_math) + device * again + x * exp_
        return total, {"exp": exp + x, "device": fresh, "fresh": device + total / block, "exp_": exp_ * 0.5}


class Called(Neuron):
    """A draw and a state called like functions of the kernel."""

    states = {"run": State(), "cuda_": State()}
    params = {"gain": Param(0.5)}
    emits = SpikeType("analog")

    def step(self, x, *, run, cuda_, gain):
        return run, {"run": cuda_ * gain + x, "cuda_": run}


@pytest.mark.parametrize("memory", ["keep", "recompute"])
@pytest.mark.parametrize("kind", [Awkward, Called], ids=lambda k: k.__name__)
def test_any_name_will_do(monkeypatch, launches, kind, memory):
    neuron = kind(learnable=kind.params).double()
    neuron.memory = memory
    _equal(_both(monkeypatch, neuron, lambda x: (neuron(x),), torch.randn(5, 2, 3, dtype=torch.float64)))
    assert len(launches) == 2


def test_what_is_not_finite_goes_through_as_in_torch(monkeypatch, launches):
    neuron = LIF()
    x = torch.tensor([[0.5, torch.nan, torch.inf, -torch.inf]] * 5)
    monkeypatch.setenv("SPIKESIM_DISABLE_JIT", "0")
    found = neuron.run_rows(x.flatten(), 5)
    monkeypatch.setenv("SPIKESIM_DISABLE_JIT", "1")
    expected = neuron.run_rows(x.flatten(), 5)
    torch.testing.assert_close(found[0], expected[0], equal_nan=True)
    torch.testing.assert_close(found[1]["v"], expected[1]["v"], equal_nan=True)
    assert launches


def test_no_neurons_no_launch(launches):
    assert LIF()(torch.zeros(4, 0, 3)).shape == (4, 0, 3)
    assert launches == []


def test_arrays_on_two_devices_are_refused():
    kernel = Kernel(LI().program_text(), "infer", "float32", (True,))
    arrays = [torch.zeros(4), torch.zeros(4), torch.zeros(1), torch.zeros((), device="meta")]
    with pytest.raises(DeviceError, match=r"cpu and meta.*net\.to\(x\.device\)"):
        launch_cuda.launch_cuda(kernel, Extent(4, 1, 1, 1, 0), arrays)


def test_a_network_in_one_piece_of_compiled_code(launches):
    layers = [nn.Conv2d(1, 2, 3), LIF(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 3), LIF()]
    net = Network(nn.Sequential(*layers), Constant(3), readout=Mean())
    x = torch.rand(2, 1, 4, 4)
    net(x).sum().backward()
    expected = net.module[0].weight.grad.clone()
    net.zero_grad()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), net(x))
    compiled(x).sum().backward()
    torch.testing.assert_close(net.module[0].weight.grad, expected)
    assert {k.mode for k in launches} >= {"infer", "train", "backward"} or len(launches) > 8
