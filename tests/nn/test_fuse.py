"""When a network fuses its layers, when it steps aside, and that nobody can tell but by the clock."""

import contextlib
import copy
import pickle

import pytest
import torch
from oracles.fused import fused_layers
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from spikesim.errors import ConfigError, ReuseError, ShapeError
from spikesim.models import conv_snn
from spikesim.neurons import LIF, EscapeLIF
from spikesim.nn import Constant, Mean, Network
from spikesim.nn.fuse import groups, norm_neuron_pool


def block(*after, norm=None, neuron=None):
    norm, neuron = norm or nn.BatchNorm2d(4), neuron or LIF()
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), norm, neuron, *(after or (nn.MaxPool2d(2),)))


def network(**settings):
    layers = [block(), nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3), LIF(learnable="tau"), nn.Flatten(), nn.Linear(12, 5)]
    return Network(nn.Sequential(*layers), readout=Mean(), **settings)


def frames(*shape):
    return (torch.rand(shape or (5, 3, 2, 8, 8)) < 0.3).float()


def fused_count(net, x=None, **arguments):
    return fused_layers(net(frames() if x is None else x, **arguments))


def test_a_network_fuses_on_its_own_and_not_if_told():
    assert fused_count(network()) == 2
    assert fused_count(network(fuse=False)) == 0
    net = network()
    net.fuse = False
    assert fused_count(net) == 0


@pytest.mark.parametrize("training", [True, False])
def test_results_gradients_and_averages_are_those_of_the_unfused_network(training):
    plain = network(fuse=False).double().train(training)
    net, x = copy.deepcopy(plain), frames().double().requires_grad_()
    net.fuse = True
    results = []
    for each in (net, plain):
        for _ in range(2):
            out = each(x)
        grads = torch.autograd.grad(out.square().sum(), [x, *each.parameters()])
        results.append([out, *grads, *each.buffers()])
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-10) for a, b in zip(*results))
    assert list(net.state_dict()) == list(plain.state_dict())


def test_nothing_is_left_behind():
    net = network()
    for failing in (frames(5, 3, 7, 8, 8), frames()):
        with contextlib.suppress(RuntimeError, ShapeError):
            net(failing)
        assert not any("forward" in m.__dict__ for m in net.modules())
    assert torch.equal(copy.deepcopy(net).eval()(x := frames()), pickle.loads(pickle.dumps(net)).eval()(x))


def test_model_of_the_package_is_fused():
    assert fused_count(conv_snn(width=4), frames(3, 2, 2, 34, 34)) == 3


UNUSUAL = {
    "a subclass of the norm": lambda: block(norm=type("Own", (nn.BatchNorm2d,), {})(4)),
    "another norm": lambda: block(norm=nn.InstanceNorm2d(4)),
    "random numbers": lambda: block(neuron=EscapeLIF()),
    "kept potentials": lambda: block(neuron=_keeping()),
    "parameters per neuron": lambda: block(neuron=LIF(tau=torch.full((4, 8, 8), 2.0))),
    "norm of another dtype": lambda: block(norm=nn.BatchNorm2d(4).double()),
    "a forward of its own": lambda: _patched(block()),
    "a hook on the norm": lambda: _hooked(block(), 1),
    "a hook on the neuron": lambda: _hooked(block(), 2),
    "a hook on the pool": lambda: _hooked(block(), 3),
    "compiled": lambda: _compiled(block()),
}


def _keeping():
    neuron = LIF()
    neuron.memory = "keep"
    return neuron


def _patched(layers):
    layers[1].forward = nn.BatchNorm2d(4).forward
    return layers


def _hooked(layers, k):
    layers[k].register_forward_hook(lambda *_: None)
    return layers


def _compiled(layers):
    layers.compile(backend="eager")
    return layers


@pytest.mark.parametrize("name", [n for n in UNUSUAL if n != "norm of another dtype"])
def test_steps_aside(name):
    net = Network(UNUSUAL[name]())
    out = net(frames())
    assert fused_layers(out) == 0 and out.shape == (5, 3, 4, 4, 4)


def test_a_norm_of_another_dtype_is_left_to_torch():
    with pytest.raises((RuntimeError, ConfigError)):
        Network(UNUSUAL["norm of another dtype"]())(frames())


@pytest.mark.parametrize(
    "pool,fuses_pool",
    [
        (nn.MaxPool2d(2), True),
        (nn.MaxPool2d((2, 2), stride=2), True),
        (nn.AvgPool2d(2), True),
        (nn.MaxPool2d(3), False),
        (nn.MaxPool2d(2, stride=1), False),
        (nn.MaxPool2d(2, padding=1), False),
        (nn.MaxPool2d(2, ceil_mode=True), False),
        (nn.AvgPool2d(2, divisor_override=3), False),
        (nn.ReLU(), False),
    ],
)
def test_which_pools_are_taken_along(pool, fuses_pool):
    layers = block(pool)
    assert len(groups(layers)[0]) == 2 + fuses_pool
    net, plain = Network(layers), Network(layers, fuse=False)
    x = frames(5, 3, 2, 9, 9)
    assert torch.equal(net.eval()(x), plain.eval()(x))
    assert fused_layers(net(x)) == 1


def test_masks_tracing_and_other_watchers_step_aside():
    net, x = network().eval(), frames()
    assert fused_count(net, x, mask=torch.ones(5, 3, dtype=torch.bool)) == 0
    expected = net(x)

    class Counter(TorchDispatchMode):
        names = set()

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.names.add(function.overloadpacket._qualified_op_name)
            return function(*args, **(kwargs or {}))

    with Counter():
        watched = net(x)
    assert torch.equal(watched, expected) and any("max_pool2d" in name for name in Counter.names)
    exported = torch.export.export(net, (x,))
    assert torch.equal(exported.module()(x), expected)
    for calls in (
        torch.func.functional_call(net, dict(net.named_parameters()), (x,)),
        torch.compile(net, backend="eager")(x),
    ):
        assert torch.equal(calls, expected)


def test_replaced_parameters_are_the_ones_that_are_used():
    net, x = network(), frames()
    other = {k: (v.detach() * 1.3 + 0.1).requires_grad_() for k, v in net.named_parameters()}
    out = torch.func.functional_call(net, other, (x,))
    grads = torch.autograd.grad(out.sum(), list(other.values()))
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(other[name])
    expected = torch.autograd.grad(net(x).sum(), list(net.parameters()))
    assert fused_layers(out) == 2 and all(torch.equal(a, b) for a, b in zip(grads, expected))


def test_streams_carry_state_and_its_gradient():
    net, x = network().double().eval(), frames().double()
    whole = net.run(x)
    session = net.stream(detach=False)
    chunked = torch.cat([session(x[:2]), session(x[2:])])
    assert torch.allclose(chunked, net.unread(x), rtol=1e-12)
    for layer, states in whole.state.items():
        for name, value in states.items():
            assert torch.allclose(session.state[layer][name], value, rtol=1e-12)
    parameters = list(net.parameters())
    expected = torch.autograd.grad(net.unread(x).square().sum(), parameters)
    found = torch.autograd.grad(chunked.square().sum(), parameters)
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(found, expected))


def test_gradient_of_final_states():
    net = network().double().eval()
    plain = copy.deepcopy(net)
    plain.fuse = False
    grads = []
    for each in (net, plain):
        state = each.run(frames(4, 2, 2, 8, 8).double().fill_(0.5)).state
        total = sum(v.square().sum() for states in state.values() for v in states.values())
        grads.append(torch.autograd.grad(total, list(each.parameters()), allow_unused=True))
    for a, b in zip(*grads):
        assert (a is None) == (b is None) and (a is None or torch.allclose(a, b, rtol=1e-9, atol=1e-12))


def test_a_hoisted_layer_steps_aside_and_the_next_one_fuses():
    net = Network(network().module, encoder=Constant(4), readout=Mean())
    assert fused_count(net, frames(3, 2, 8, 8)) == 1


def test_autocast_and_packed_spikes():
    plain = network(fuse=False)
    net, packed = copy.deepcopy(plain), copy.deepcopy(plain)
    net.fuse = packed.fuse = packed.pack_spikes = True
    x = frames(8, 3, 2, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        out = net(x)
    assert out.dtype == torch.bfloat16 and fused_layers(out) == 2
    out.float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    grads = [torch.autograd.grad(n(x).square().sum(), list(n.parameters())) for n in (copy.deepcopy(packed), packed)]
    assert all(torch.equal(a, b) for a, b in zip(*grads))


def test_a_neuron_reached_twice_is_still_refused():
    shared = LIF()
    with pytest.raises(ReuseError):
        Network(nn.Sequential(block(neuron=shared), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), shared))(frames())


def test_a_layer_that_stands_twice_in_a_container_runs_twice():
    pool = nn.MaxPool2d(2)
    layers = [nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), LIF(), pool, nn.Conv2d(4, 4, 3, padding=1)]
    net = Network(nn.Sequential(*layers, nn.BatchNorm2d(4), LIF(), pool))
    out = net(frames())
    assert out.shape == (5, 3, 4, 2, 2) and fused_layers(out) == 2


def test_recordings_see_the_neuron_inside_and_change_nothing():
    results = []
    for watched in (False, True):
        torch.manual_seed(5)
        net = network()
        x = frames()
        if watched:
            with net.record("0.2", states="v") as recording:
                out = net(x)
        else:
            out = net(x)
        out.square().sum().backward()
        results.append([out, *net.buffers(), *(p.grad for p in net.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*results))
    assert recording["0.2"].spikes.shape == recording["0.2"].states["v"].shape == (5, 3, 4, 8, 8)


class OwnForward(nn.Module):
    def __init__(self, together):
        super().__init__()
        self.conv, self.norm, self.neuron = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), LIF()
        self.pool, self.together = nn.MaxPool2d(2), together

    def forward(self, x):
        y = self.conv(x)
        if self.together:
            return norm_neuron_pool(y, self.norm, self.neuron, self.pool)
        return self.pool(self.neuron(self.norm(y)))


def test_a_forward_of_ones_own():
    torch.manual_seed(0)
    together, x = Network(OwnForward(True)).eval(), frames()
    apart = Network(OwnForward(False)).eval()
    apart.load_state_dict(together.state_dict())
    assert torch.equal(together(x), apart(x))
    assert fused_layers(together(x)) == 1 and fused_layers(apart(x)) == 0
    with pytest.raises(ConfigError, match="takes a neuron"):
        norm_neuron_pool(torch.ones(1, 2, 3, 3), nn.BatchNorm2d(2), nn.ReLU())


def test_reaching_past_a_container_runs_one_layer():
    class Past(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = block()

        def forward(self, x):
            seen = []
            for layer in self.layers:
                x = layer(x)
                seen.append(x)
            return {"norm": seen[1], "out": x}

    out = Network(Past())(frames())
    assert out["norm"].shape == (5, 3, 4, 8, 8) and out["out"].shape == (5, 3, 4, 4, 4)
    assert fused_layers(out["out"]) == 0
