"""Networks are ordinary modules: functional_call, func transforms, autocast, copies, pickles, averaging."""

import copy
import io
import pickle

import pytest
import torch
from oracles.every_neuron import EVERY_NEURON, KINDS, SideBySide
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from spikesim.neurons import LI, LIF
from spikesim.nn import Mean, Network


def _classifier():
    return Network(
        nn.Sequential(nn.Linear(4, 8), LIF(learnable=("tau", "threshold")), nn.Linear(8, 3), LI()), readout=Mean()
    )


def _seeded(net, x):
    torch.manual_seed(5)
    return net(x)


def test_functional_call_with_other_parameters():
    net, x = Network(SideBySide()), torch.rand(5, 3, 4)
    other = {name: (p.detach() * 1.25).requires_grad_() for name, p in net.named_parameters()}
    torch.manual_seed(5)
    out = functional_call(net, other, (x,))
    out.square().mean().backward()
    moved = copy.deepcopy(net)
    moved.load_state_dict({**net.state_dict(), **{k: v.detach() for k, v in other.items()}})
    expected = _seeded(moved, x)
    expected.square().mean().backward()
    assert torch.equal(out, expected) and not torch.equal(out, _seeded(net, x))
    assert all(p.grad is None for p in net.parameters())
    for name, parameter in moved.named_parameters():
        assert (other[name].grad is None) == (parameter.grad is None), name
        if parameter.grad is not None:
            assert torch.allclose(other[name].grad, parameter.grad, rtol=1e-5, atol=1e-7), name


def test_func_grad_of_a_functional_call_equals_backward():
    net, x = _classifier(), torch.rand(5, 3, 4)
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    gradients = torch.func.grad(lambda p: functional_call(net, p, (x,)).square().mean())(parameters)
    net(x).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert torch.allclose(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6), name


def test_an_ensemble_by_vmap():
    nets, x = [_classifier() for _ in range(3)], torch.rand(5, 2, 4)
    parameters, buffers = stack_module_state(nets)
    base = copy.deepcopy(nets[0]).to("meta")
    together = vmap(lambda p, b: functional_call(base, (p, b), (x,)))(parameters, buffers)
    assert torch.allclose(together, torch.stack([net(x) for net in nets]), atol=1e-5)


def test_a_training_step_under_autocast():
    torch.manual_seed(0)
    net = Network(
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), LIF(learnable="tau"), nn.Flatten(), nn.Linear(144, 3))
    )
    x = torch.rand(6, 4, 2, 8, 8)
    seen = []
    net.module[2].register_forward_hook(lambda module, args, out: seen.extend([args[0].dtype, out.dtype]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        run = net.run(x)
    run.output.float().square().mean().backward()
    assert seen == [torch.bfloat16, torch.bfloat16]
    assert run.state["2"]["v"].dtype == torch.float32
    for name, parameter in net.named_parameters():
        assert parameter.grad.dtype == torch.float32 and parameter.grad.isfinite().all(), name
    assert net.module[2].tau.grad != 0


@pytest.mark.parametrize("name", KINDS)
def test_neurons_of_every_kind_take_half_precision(name):
    neuron = EVERY_NEURON[name]
    x = torch.rand(6, 2, 5, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = neuron(x)
    assert out.dtype == (torch.bfloat16 if neuron.emits.is_spike else torch.float32)
    out.float().sum().backward()
    assert x.grad.dtype == torch.bfloat16 and x.grad.isfinite().all()


def test_a_deep_copy_is_equal_and_independent():
    net, x = Network(SideBySide()), torch.rand(5, 3, 4)
    net.run(x)
    twin = copy.deepcopy(net)
    assert torch.equal(_seeded(twin, x), _seeded(net, x))
    before = _seeded(twin, x)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.5)
    assert torch.equal(_seeded(twin, x), before) and not torch.equal(_seeded(net, x), before)


@pytest.mark.parametrize("name", EVERY_NEURON)
def test_every_neuron_survives_pickle_and_its_state_dict(name):
    neuron = EVERY_NEURON[name]
    x = torch.rand(6, 2, 5) * 2
    again = pickle.loads(pickle.dumps(neuron))
    assert repr(again) == repr(neuron) and again.program_text() == neuron.program_text()
    assert torch.equal(_seeded(again, x), _seeded(neuron, x))
    torch.save(neuron.state_dict(), buffer := io.BytesIO())
    buffer.seek(0)
    again.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(_seeded(again, x), _seeded(neuron, x))


def test_a_whole_network_survives_torch_save():
    net, x = _classifier(), torch.rand(5, 3, 4)
    net(x).sum().backward()
    torch.save(net, buffer := io.BytesIO())
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    assert torch.equal(loaded(x), net(x))
    loaded(x).square().mean().backward()
    assert loaded.module[1].tau.grad is not None


def test_weight_averaging_and_its_training_step():
    net, x = _classifier(), torch.rand(5, 3, 4)
    averaged = torch.optim.swa_utils.AveragedModel(net, avg_fn=lambda old, new, count: (old + new) / 2)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        net(x).square().mean().backward()
        optimiser.step()
        averaged.update_parameters(net)
    assert averaged(x).shape == (3, 3)
    assert not torch.equal(averaged.module.module[0].weight, net.module[0].weight)
