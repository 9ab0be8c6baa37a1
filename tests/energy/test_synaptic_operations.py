"""Synaptic operations as a loss term: the ledger's counts in the forward, the gradient of events times connections."""

import pytest
import torch
from torch import nn

from spikesim.dynamics import Sigmoid
from spikesim.energy import Ledger, SynapticOperations
from spikesim.energy.means import SYNOPS
from spikesim.errors import LedgerError
from spikesim.neurons import IF, LIF, MultiThresholdIF
from spikesim.nn import Constant, Mean, Network


class Residual(nn.Module):
    """Convolutions of every sort between spikes: strided, grouped, padded by copies, behind pools and sums."""

    def __init__(self, neuron):
        super().__init__()
        self.first, self.n1 = nn.Conv2d(2, 4, 3, padding=1), neuron()
        self.second, self.n2 = nn.Conv2d(4, 4, 3, padding="same", groups=2), neuron()
        self.third, self.n3 = nn.Conv2d(4, 6, 3, stride=2, padding=1, padding_mode="circular"), neuron()
        self.up, self.n4 = nn.ConvTranspose2d(6, 3, 2, stride=2), neuron()
        self.pool, self.fc = nn.AvgPool2d(3), nn.Linear(12, 5)

    def forward(self, x):
        s = self.n1(self.first(x))
        s = s + self.n2(self.second(s))
        s = self.n4(self.up(self.n3(self.third(s))))
        return self.fc(self.pool(s).flatten(1))


def counted(ledger):
    found = {name: sum(layer[column] for column in SYNOPS) for name, layer in ledger.layers.items()}
    return {name: count for name, count in found.items() if count}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("neuron", [lambda: IF(0.2), lambda: LIF(threshold=0.1)])
@pytest.mark.parametrize("masked", [False, True])
def test_the_forward_is_the_count_of_the_ledger(neuron, masked, training):
    net = Network(Residual(neuron), readout=Mean()).train(training)
    x = torch.randint(0, 3, (4, 3, 2, 7, 7))
    mask = torch.rand(4, 3) < 0.6 if masked else None
    synops = SynapticOperations(net, x[:, :1], input="events")
    with synops:
        net(x.float(), mask)
    known = counted(Ledger.record(net, x, input="events", mask=mask))
    assert net.training == training
    found = synops.layers(mask)
    assert {name: count.item() * 3 for name, count in found.items()} == pytest.approx(known, rel=1e-12)
    assert set(found) == {"first", "second", "third", "up", "fc"} and min(known.values()) > 0
    assert synops.total(mask).item() * 3 == pytest.approx(sum(known.values()), rel=1e-12)
    connections = {"first": 19 * 19 * 8, "second": 19 * 19 * 2 * 4, "fc": 60}
    assert {name: synops.connections[name] for name in connections} == connections
    assert synops.per_connection(mask).item() == pytest.approx(
        synops.total(mask).item() / sum(synops.connections.values())
    )


@pytest.mark.parametrize("neuron", [lambda: MultiThresholdIF(0.4), lambda: IF(0.2)])
def test_behind_an_encoder_and_with_messages(neuron):
    net = Network(nn.Sequential(nn.Linear(6, 8), neuron(), nn.Linear(8, 3)), encoder=Constant(5), readout=Mean())
    x = torch.rand(4, 6)
    synops = SynapticOperations(net, x[:2], input="analog")
    with synops:
        net(x)
    assert {n: c.item() * 4 for n, c in synops.layers().items()} == counted(Ledger.record(net, x, input="analog"))
    assert list(synops.layers()) == ["2"]


def test_the_gradient_is_events_times_connections():
    net = Network(nn.Sequential(nn.Conv1d(2, 3, 3, padding=1)), readout=Mean())
    x = torch.ones(2, 3, 2, 5, requires_grad=True)
    synops = SynapticOperations(net, torch.ones(2, 1, 2, 5), input="events")
    with synops:
        net(x)
    synops.total().backward()
    assert x.grad[0, 0, 0].tolist() == pytest.approx([2, 3, 3, 3, 2])  # 2, 3 windows times 3 channels over 3 samples


def test_the_gradient_goes_through_surrogates():
    """Finite differences of a network whose step is the surrogate's integral give the gradient of the surrogate."""
    torch.manual_seed(1)
    first, second = nn.Linear(4, 6).double(), nn.Linear(6, 3).double()
    net = Network(nn.Sequential(first, IF(0.5, surrogate=Sigmoid(4.0), reset="none"), second), readout=Mean())
    x = torch.rand(1, 3, 4, dtype=torch.float64)
    synops = SynapticOperations(net, x, input="analog")
    with synops:
        net(x)
    synops.total().backward()
    analytic = first.weight.grad.clone()

    def smooth(weight):  # one step: the potential is the current; 3 connections and 3 samples
        return torch.sigmoid(4.0 * (x[0] @ weight.T + first.bias - 0.5)).sum()

    numeric, step = torch.zeros_like(analytic), 1e-6
    for i in range(analytic.numel()):
        offset = torch.zeros(analytic.numel(), dtype=torch.float64)
        offset[i] = step
        offset = offset.view_as(analytic)
        with torch.no_grad():
            numeric.view(-1)[i] = (smooth(first.weight + offset) - smooth(first.weight - offset)) / (2 * step)
    torch.testing.assert_close(analytic, numeric, rtol=1e-6, atol=1e-9)
    assert analytic.abs().max() > 0


def test_silent_neurons_can_be_reached():
    net = Network(nn.Sequential(nn.Linear(4, 6), IF(100.0), nn.Linear(6, 3)), readout=Mean())
    x = torch.rand(2, 3, 4)
    synops = SynapticOperations(net, x, input="analog")
    with synops:
        net(x)
    assert synops.total().item() == 0 and synops.total().requires_grad
    synops.total().backward()
    assert net.module[0].weight.grad.isfinite().all()


def test_it_makes_networks_quieter():
    torch.manual_seed(0)
    net = Network(nn.Sequential(nn.Linear(6, 30), IF(0.3), nn.Linear(30, 3)), readout=Mean())
    x = torch.rand(4, 8, 6)
    synops = SynapticOperations(net, x[:, :1], input="analog")
    optimizer, seen = torch.optim.Adam(net.parameters(), 0.02), []
    for _ in range(20):
        with synops:
            net(x)
        loss = synops.per_connection()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(synops.total().item())
    assert seen[-1] < 0.5 * seen[0]


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.neuron, self.weight = IF(0.2), nn.Parameter(torch.ones(3, 4))

    def forward(self, x):
        return nn.functional.linear(self.neuron(x), self.weight)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = IF(0.2), IF(0.1)

    def forward(self, x):
        return self.a(x) @ self.b(x).transpose(-1, -2)


class Scales(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.fc = IF(0.2), IF(0.1), nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.a(x) + 0.3 * self.b(x))


@pytest.mark.parametrize(
    "module,shape,message",
    [
        (Functional(), (3, 2, 4), "cannot count.*Functional"),
        (Attention(), (3, 2, 4, 4), "cannot count.*Attention"),
        (Scales(), (3, 2, 4), "events of different sizes"),
        (IF(), (3, 2, 4), "no layer receives spikes"),
    ],
)
def test_what_cannot_be_counted_is_named(module, shape, message):
    with pytest.raises(LedgerError, match=message):
        SynapticOperations(Network(module), torch.ones(shape), input="analog")


def test_a_count_needs_a_run():
    net = Network(nn.Sequential(IF(), nn.Linear(4, 2)), readout=Mean())
    synops = SynapticOperations(net, torch.ones(2, 1, 4), input="analog")
    with pytest.raises(LedgerError, match="run the network"):
        synops.total()
    with synops, pytest.raises(LedgerError, match="run the network"):
        synops.layers()
