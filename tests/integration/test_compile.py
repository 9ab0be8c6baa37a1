"""torch.compile sees a network of any neurons as one graph, trains it, and leaves recording to plain Python."""

import copy

import pytest
import torch
from oracles.every_neuron import SideBySide
from torch import nn

from spikesim.errors import ConfigError
from spikesim.neurons import IF, LI, LIF, EscapeLIF
from spikesim.nn import Constant, Count, Last, Mean, Network


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def _gradients(net, out):
    net.zero_grad()
    out.square().mean().backward()
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def test_neurons_of_every_kind_in_one_graph_with_gradients():
    net = Network(SideBySide())
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager", dynamic=True)
    for shape in [(5, 3, 4), (7, 2, 4)]:
        x = torch.rand(shape)
        torch.manual_seed(1)
        out = net(x)
        expected = _gradients(net, out)
        torch.manual_seed(1)
        compiled_out = compiled(x)
        found = _gradients(net, compiled_out)
        assert torch.equal(out, compiled_out)
        assert expected.keys() == found.keys() and len(found) >= 2
        for name in expected:
            assert torch.allclose(found[name], expected[name], rtol=1e-4, atol=1e-6), name


def test_a_compiled_training_step_learns_as_the_plain_one():
    torch.manual_seed(0)
    plain = Network(nn.Sequential(nn.Linear(4, 16), LIF(learnable="tau"), nn.Linear(16, 3), LI()), readout=Mean())
    twin = copy.deepcopy(plain)
    compiled = torch.compile(twin, fullgraph=True, backend="aot_eager")
    x, y = torch.rand(8, 5, 4), torch.randint(3, (5,))
    losses = []
    for net, run in ((plain, plain), (twin, compiled)):
        optimiser = torch.optim.SGD(net.parameters(), lr=0.5)
        for _ in range(3):
            loss = nn.functional.cross_entropy(run(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert plain.module[1].tau.item() == pytest.approx(twin.module[1].tau.item(), rel=1e-4)
    assert plain.module[1].tau.item() != 2.0


def test_masks_readouts_and_encoders_compile():
    net = Network(nn.Sequential(nn.Linear(4, 6), LIF()), readout=Last())
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    x, mask = torch.rand(5, 3, 4), torch.rand(5, 3) > 0.3
    assert torch.equal(compiled(x, mask=mask), net(x, mask=mask))
    static = Network(nn.Sequential(nn.Linear(4, 6), IF()), Constant(5), Count())
    assert torch.equal(torch.compile(static, fullgraph=True, backend="aot_eager")(x[0]), static(x[0]))


def test_explicit_state_compiles():
    net = Network(nn.Sequential(nn.Linear(4, 6), LIF(), EscapeLIF()))
    x = torch.rand(6, 3, 4)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def both(first, second):
        run = net.run(first)
        return run.output, net.run(second, run.state).output

    torch.manual_seed(1)
    first, second = both(x[:2], x[2:])
    torch.manual_seed(1)
    assert torch.equal(torch.cat([first, second]), net(x))


def test_a_compiled_stochastic_neuron_draws_anew_at_every_call():
    net = Network(nn.Sequential(EscapeLIF()))
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    x = torch.full((20, 1, 30), 1.0)
    a, b = compiled(x), compiled(x)
    assert not torch.equal(a, b)


def test_a_compiled_network_is_recorded_uncompiled():
    net = Network(nn.Sequential(nn.Linear(4, 6), LIF()))
    compiled = torch.compile(net, backend="aot_eager")
    x = torch.rand(5, 3, 4)
    before = compiled(x)
    with net.record(states="v") as recording:
        assert torch.equal(compiled(x), before)
    assert torch.equal(recording["1"].spikes, before)
    assert torch.equal(compiled(x), before)
    assert len(recording["1"].calls) == 1


def test_a_full_graph_is_not_recorded_and_says_why():
    net, x = Network(nn.Sequential(nn.Linear(4, 6), LIF())), torch.rand(5, 3, 4)
    strict = torch.compile(net, fullgraph=True, backend="aot_eager")
    before = strict(x)
    with net.record(), pytest.raises(torch._dynamo.exc.Unsupported, match="recorded_networks_run_uncompiled"):
        strict(x)
    assert torch.equal(strict(x), before)


def test_a_recorded_network_is_not_exported():
    net = Network(nn.Sequential(nn.Linear(4, 6), LIF()))
    with net.record(), pytest.raises(ConfigError, match="export outside the block"):
        torch.export.export(net, (torch.rand(5, 3, 4),))
