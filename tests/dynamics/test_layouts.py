"""Tensors that lie in memory in another way than a kernel was first asked for, or that are odd in another way."""

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from spikesim.errors import GradientError
from spikesim.neurons import LIF, EscapeLIF
from spikesim.nn import Mean, Network


def _restrided(x):
    return x.clone(memory_format=torch.contiguous_format)


def _gradients(net, x, hooked):
    net.zero_grad()
    if hooked:
        with saved_tensors_hooks(_restrided, lambda kept: kept):
            y = net(x)
    else:
        y = net(x)
    y.square().sum().backward()
    return [p.grad.clone() for p in net.parameters()]


@pytest.mark.parametrize(
    "lay", [lambda x: x[:1].expand(4, 3, 30), lambda x: x.permute(2, 1, 0).contiguous().permute(2, 1, 0)]
)
def test_an_exported_neuron_takes_another_layout_than_it_was_traced_with(lay):
    program = torch.export.export(LIF(), (torch.rand(4, 3, 30),)).module()
    x = lay(torch.rand(4, 3, 30) * 3)
    assert torch.equal(program(x), LIF()(x))


def test_an_exported_network_takes_another_layout_than_it_was_traced_with():
    net = Network(nn.Sequential(LIF()))
    program = torch.export.export(net, (torch.rand(4, 3, 5, 6),)).module()
    x = (torch.rand(4, 3, 6, 5) * 3).transpose(-1, -2)
    assert torch.equal(program(x), net(x))


@pytest.mark.parametrize("memory", ["keep", "recompute"])
def test_hooks_may_save_tensors_in_another_layout(memory):
    net = Network(nn.Sequential(nn.Conv2d(2, 8, 3), LIF(), nn.Flatten(), nn.Linear(288, 5)), readout=Mean())
    net.module[1].memory = memory
    x = torch.rand(4, 3, 2, 8, 8) * 3
    for found, expected in zip(_gradients(net, x, hooked=True), _gradients(net, x, hooked=False)):
        assert torch.equal(found, expected)


def test_hooks_may_save_tensors_of_a_fused_layer_in_another_layout():
    layers = [
        nn.Conv2d(2, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        LIF(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 5),
    ]
    net = Network(nn.Sequential(*layers), readout=Mean())
    x = torch.rand(4, 3, 2, 8, 8) * 3
    for found, expected in zip(_gradients(net, x, hooked=True), _gradients(net, x, hooked=False)):
        assert torch.equal(found, expected)


def test_a_negative_view_is_read_as_its_values():
    x = (torch.rand(4, 3, 50) * 3).requires_grad_()
    negative = torch._neg_view(-x.detach())
    assert negative.is_neg() and torch.equal(LIF()(negative), LIF()(x))
    y, grad = LIF()(x), torch.randn(4, 3, 50)
    (expected,) = torch.autograd.grad(y, x, grad, retain_graph=True)
    (found,) = torch.autograd.grad(y, x, torch._neg_view(-grad))
    assert torch.equal(found, expected)


def test_a_default_device_does_not_reach_into_a_run():
    neuron = LIF()
    x = torch.rand(4, 2, 50_000)
    expected = neuron(x)
    with torch.device("meta"):
        assert torch.equal(neuron(x), expected)


def test_a_batch_of_gradients_is_refused():
    x = torch.rand(4, 3, requires_grad=True)
    y = LIF()(x)
    with pytest.raises(GradientError, match="one gradient at a time"):
        torch.autograd.grad(y, x, torch.randn(2, 4, 3), is_grads_batched=True)


def test_one_compiled_neuron_per_channel_serves_every_size():
    neuron = LIF(tau=torch.tensor([2.0, 3.0, 4.0]))
    compiled = torch.compile(neuron, dynamic=True, fullgraph=True)
    for shape in [(4, 2, 3), (7, 5, 3)]:
        assert torch.equal(compiled(torch.ones(shape)), neuron(torch.ones(shape)))


@pytest.mark.parametrize("memory", ["keep", "recompute"])
def test_a_negative_view_is_differentiated_as_its_values(memory):
    neuron = LIF()
    neuron.memory = memory
    x = torch.rand(4, 3, 50) * 3
    slopes = []
    for rows in (x.clone().requires_grad_(), torch._neg_view(-x).requires_grad_()):
        neuron(rows).sum().backward()
        slopes.append(rows.grad)
    assert torch.equal(*slopes)
    state = {"v": torch.rand(3, 50)}
    expected = neuron.run_rows(x.flatten(0, 1), 4, state=state)[0]
    negative = {"v": torch._neg_view(-state["v"])}
    assert torch.equal(neuron.run_rows(x.flatten(0, 1), 4, state=negative)[0], expected)


def test_random_numbers_do_not_depend_on_the_layout_of_an_exported_input():
    neuron = EscapeLIF()
    x = torch.rand(4, 3, 5, 6, 2)
    net = Network(nn.Sequential(neuron))
    program = torch.export.export(net, (x,)).module()
    found = []
    for rows in (x, x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)):
        torch.manual_seed(0)
        found.append(program(rows))
    torch.manual_seed(0)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], net(x))
