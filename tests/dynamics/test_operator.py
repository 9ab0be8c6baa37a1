"""The kernels as torch operators: registration, dtypes, layouts, gradients, compile and export."""

import pytest
import torch
from torch import nn

from spikesim.dynamics import operator as kernels
from spikesim.errors import GradientError
from spikesim.neurons import IF, LI, LIF
from spikesim.nn import Constant, Mean, Network


def _arguments(neuron, x, timesteps, constant=False, mask=None):
    states = [torch.zeros(()) for _ in neuron.states]
    params = [getattr(neuron, p).reshape(()) for p in neuron.params]
    return (x, states, params, mask, None, neuron.program_text(), timesteps, "constant" if constant else "rows")


@pytest.mark.parametrize("mask", [None, torch.tensor([[True, False], [True, True], [False, True]])])
@pytest.mark.parametrize("neuron", [IF(), LIF(learnable=("tau",)), LI()], ids=lambda n: type(n).__name__)
@pytest.mark.parametrize("memory", ["keep", "recompute"])
def test_opcheck(neuron, mask, memory):
    x = torch.randn(6, 5, requires_grad=True)
    inference = _arguments(neuron, x.detach(), 3, mask=mask)
    inference[2][:] = [p.detach() for p in inference[2]]
    torch.library.opcheck(kernels.infer, inference)
    wrt = ",".join(p for p in neuron.params if getattr(neuron, p).requires_grad)
    torch.library.opcheck(kernels.train, (*_arguments(neuron, x, 3, mask=mask), wrt, memory))


def test_opcheck_of_a_constant_input():
    x = torch.randn(4, 5, requires_grad=True)
    torch.library.opcheck(kernels.train, (*_arguments(LIF(), x, 3, constant=True), "", "keep"))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_layout_is_kept_and_does_not_change_the_result(layout):
    x = torch.randn(6, 3, 4, 5) + 0.5
    neuron = LIF(threshold=torch.tensor([0.5, 1.0, 1.5]), learnable="threshold")
    y, _ = neuron.run_rows(x.contiguous(memory_format=layout), 3)
    y.sum().backward()
    gradient = neuron.threshold.grad.clone()
    neuron.zero_grad()
    expected, _ = neuron.run_rows(x, 3)
    expected.sum().backward()
    assert y.is_contiguous(memory_format=layout)
    assert torch.equal(y, expected)
    assert torch.allclose(gradient, neuron.threshold.grad)


def test_strided_input_equals_contiguous_input():
    x = torch.randn(5, 8, 6)
    assert torch.equal(LIF()(x[:, ::2, 1:]), LIF()(x[:, ::2, 1:].contiguous()))
    assert torch.equal(LIF()(x.transpose(1, 2)), LIF()(x.transpose(1, 2).contiguous()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_accumulates_in_float32(dtype):
    x = torch.full((300, 1), 0.01, dtype=dtype)
    spikes = IF()(x)
    assert spikes.dtype == dtype
    assert spikes.sum().item() == int(300 * x[0].item())
    assert LI()(x).dtype == torch.float32


def test_autocast_keeps_potentials_in_float32():
    net = nn.Sequential(nn.Linear(3, 4), LIF())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = net(torch.rand(5, 2, 3))
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert net[0].weight.grad.dtype == torch.float32


def test_double_backward_is_refused_with_a_message():
    x = torch.randn(4, 2, 3, requires_grad=True)
    (grad,) = torch.autograd.grad(LIF()(x).sum(), x, create_graph=True)
    with pytest.raises(GradientError, match="differentiated twice"):
        grad.sum().backward()


@pytest.mark.parametrize("memory", ["keep", "recompute"])
def test_a_gradient_penalty_is_refused_not_wrong(memory):
    layer, neuron = nn.Linear(3, 3), LIF()
    neuron.memory = memory
    a = torch.randn(4, 2, 3, requires_grad=True)
    y = neuron(layer(a) * 4)
    (g,) = torch.autograd.grad(y.sum(), a, create_graph=True)
    with pytest.raises(GradientError, match="differentiated twice"):
        (y.sum() + g.square().sum()).backward()


def test_gradient_reaches_initial_and_final_state():
    neuron = LIF(4.0, reset="none")
    v = torch.zeros(2, 3, requires_grad=True)
    _, final = neuron.run_rows(torch.zeros(5 * 2, 3), 5, state={"v": v})
    final["v"].sum().backward()
    assert torch.allclose(v.grad, torch.full((2, 3), 0.75**5))


def _convolutional():
    layers = [nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), LIF(), nn.AvgPool2d(2), nn.Conv2d(6, 4, 3), LIF()]
    return Network(nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 3)), readout=Mean()).eval()


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile_fullgraph_with_changing_t_and_n(backend):
    net = _convolutional()
    compiled = torch.compile(net, fullgraph=True, backend=backend, dynamic=True)
    for shape in [(4, 3, 2, 10, 10), (6, 5, 2, 10, 10), (3, 2, 2, 10, 10)]:
        x = torch.rand(shape)
        assert torch.allclose(compiled(x), net(x), atol=1e-5)
    net.zero_grad()
    x = torch.rand(4, 3, 2, 10, 10)
    net(x).sum().backward()
    expected = net.module[0].weight.grad.clone()
    net.zero_grad()
    compiled(x).sum().backward()
    assert torch.allclose(net.module[0].weight.grad, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("strict", [False, True])
def test_export_with_dynamic_t_and_n(strict, tmp_path):
    net = _convolutional()
    sizes = {0: torch.export.Dim("T"), 1: torch.export.Dim("N")}
    x = torch.rand(4, 3, 2, 10, 10)
    program = torch.export.export(net, (x,), dynamic_shapes={"x": sizes}, strict=strict)
    torch.export.save(program, tmp_path / "net.pt2")
    loaded = torch.export.load(tmp_path / "net.pt2").module()
    for shape in [(4, 3, 2, 10, 10), (7, 2, 2, 10, 10), (3, 200, 2, 10, 10)]:
        x = torch.rand(shape)
        assert torch.allclose(loaded(x), net(x), atol=1e-6)


def test_export_of_a_hoisted_constant_input():
    net = Network(nn.Sequential(nn.Linear(4, 8), IF(), nn.Linear(8, 3)), Constant(5), Mean())
    sizes = {0: torch.export.Dim("N")}
    program = torch.export.export(net, (torch.rand(3, 4),), dynamic_shapes={"x": sizes}, strict=True)
    x = torch.rand(7, 4)
    assert torch.allclose(program.module()(x), net(x), atol=1e-6)
