"""Modules that walk through time by themselves, and bare layers with neurons: counted like the Network of them."""

import pytest
import torch
from oracles.neurobench_metrics import measured
from torch import nn

from spikesim.converters import from_snntorch
from spikesim.dynamics import SpikeType
from spikesim.energy import Ledger, Meter, SynapticOperations, energy_report, relu_twin
from spikesim.errors import LedgerError
from spikesim.neurons import IF, LIF
from spikesim.nn import Network

snn = pytest.importorskip("snntorch")
T, N = 5, 3


class Tutorial(nn.Module):
    """As the tutorials of snnTorch write it: the loop and the states are its own."""

    def __init__(self, over_time=False, neuron=snn.Leaky, hidden=False, **options):
        super().__init__()
        torch.manual_seed(0)
        options = {"beta": 0.9, "threshold": 0.3} | options
        self.fc1, self.lif1 = nn.Linear(6, 8), neuron(init_hidden=hidden, **options)
        self.fc2, self.lif2 = nn.Linear(8, 4), neuron(init_hidden=hidden, **options)
        self.over_time, self.hidden = over_time, hidden

    def forward(self, x):
        first = second = ()
        spikes = []
        if not self.hidden:
            first, second = self.lif1.reset_mem(), self.lif2.reset_mem()
            first, second = (m if isinstance(m, tuple) else (m,) for m in (first, second))
        for step in range(T):
            out, *first = self._pair(self.lif1(self.fc1(x[step] if self.over_time else x), *first))
            out, *second = self._pair(self.lif2(self.fc2(out), *second))
            spikes.append(out)
        return torch.stack(spikes)

    def _pair(self, out):
        return (out,) if self.hidden else out


def moving(p=0.4):
    return (torch.rand(T, N, 6, generator=torch.Generator().manual_seed(1)) < p).float()


def by_hand(net, x):
    """Counts of every step, one scalar after the other."""
    w1, b1, w2, b2 = (p.tolist() for p in (net.fc1.weight, net.fc1.bias, net.fc2.weight, net.fc2.bias))
    beta, threshold = float(net.lif1.beta), float(net.lif1.threshold)
    counts = {name: [0] * T for name in ("in", "fc1", "hidden", "fc2", "out")}
    for sample in range(x.shape[1]):
        v1, v2 = [0.0] * 8, [0.0] * 4
        for t in range(T):
            given = x[t, sample].tolist()
            spikes = []
            for j in range(8):
                current = b1[j] + sum(w1[j][k] * given[k] for k in range(6))
                v1[j] = beta * v1[j] + current - threshold * (v1[j] > threshold)
                spikes.append(v1[j] > threshold)
            counts["in"][t] += int(sum(given))
            counts["fc1"][t] += sum(8 for value in given if value)
            counts["hidden"][t] += sum(spikes)
            counts["fc2"][t] += sum(4 for spike in spikes if spike)
            for j in range(4):
                current = b2[j] + sum(w2[j][k] * spikes[k] for k in range(8))
                v2[j] = beta * v2[j] + current - threshold * (v2[j] > threshold)
                counts["out"][t] += v2[j] > threshold
    return counts


def test_every_step_of_a_loop_is_counted_as_by_hand():
    net, x = Tutorial(over_time=True), moving()
    ledger, expected = Ledger.record(net, x, input="events"), by_hand(net, x)
    assert (ledger.timesteps, ledger.samples) == (T, N)
    found = {
        "in": ledger["fc1"].counts["events_in_graded"],
        "fc1": ledger["fc1"].counts["synops_graded"],
        "hidden": ledger["lif1"].counts["spikes_out"],
        "fc2": ledger["fc2"].counts["synops_binary"],
        "out": ledger["lif2"].counts["spikes_out"],
    }
    assert {name: steps.tolist() for name, steps in found.items()} == expected
    assert sum(expected["fc2"]) > 0 and not ledger.unpriced
    assert ledger["lif1"].counts["neuron_updates"].tolist() == [8 * N] * T
    one = Ledger.record(net, x[:, :1], input="events")
    assert one.total()["synops_binary"] == int(ledger.per_sample("synops_binary")[0])


@pytest.mark.parametrize(
    "neuron,options",
    [
        (snn.Leaky, {}),
        (snn.Leaky, {"reset_mechanism": "zero", "reset_delay": False}),
        (snn.Synaptic, {"alpha": 0.8}),
        (snn.Alpha, {"alpha": 0.95}),
    ],
)
@pytest.mark.parametrize("over_time", [False, True])
def test_a_loop_counts_what_its_network_counts(neuron, options, over_time):
    net = Tutorial(over_time, neuron, **options).eval()
    same = Tutorial(over_time, neuron, hidden=True, **options)
    network = from_snntorch(nn.Sequential(same.fc1, same.lif1, same.fc2, same.lif2))
    x = moving() if over_time else torch.rand(N, 6, generator=torch.Generator().manual_seed(1))
    steps = x if over_time else x.expand(T, N, 6)
    ours, theirs = Ledger.record(net, x, input="analog"), Ledger.record(network, steps, input="analog")
    assert torch.equal(net(x), network(steps))
    names = {"fc1": "0", "lif1": "1", "fc2": "2", "lif2": "3"}
    assert list(ours.layers) == list(names)
    for name, place in names.items():
        a, b = ours[name], theirs[place]
        assert a.counts.keys() == b.counts.keys() and a.state_bytes == b.state_bytes
        assert all(torch.equal(a.tables[column], b.tables[column]) for column in b.tables), name
    # and the ANN beside it: one pass through the same layers
    for column in ("mac_dense", "bias_adds"):
        twin = energy_report(net, x, input="analog").ann_ledger
        assert twin.total()[column] == energy_report(network, steps, input="analog").ann_ledger.total()[column] > 0


def test_a_constant_input_may_be_charged_once():
    net, x = Tutorial(), torch.rand(N, 6)
    ledger = Ledger.record(net, x, input="analog_once")
    assert ledger["fc1"].counts["mac_dense"].tolist() == [48 * N, 0, 0, 0, 0] and ledger["fc1"].once
    assert ledger["fc2"].counts["bias_adds"].tolist() == [4 * N] * T
    x = moving()
    with pytest.raises(LedgerError, match=r"analog_once.*does not change over time"):
        Ledger.record(Tutorial(over_time=True), x, input="analog_once")


def test_neurobench_counts_the_same():
    net, x = Tutorial(over_time=True).eval(), moving()

    class SamplesFirst(nn.Module):  # NeuroBench divides by the first size
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x.transpose(0, 1))

    theirs = measured(SamplesFirst(), x.transpose(0, 1), (snn.Leaky,))
    ledger = Ledger.record(net, x, input=SpikeType("binary"))
    ours = ledger.as_neurobench()
    assert theirs["Effective_ACs"] == pytest.approx(ours["Effective_ACs"]) and ours["Effective_ACs"] > 0
    assert theirs["Effective_MACs"] == ours["Effective_MACs"] == 0
    assert theirs["Dense"] == pytest.approx(ours["Dense"])
    fired = sum(ledger[name]["spikes_out"] for name in ("lif1", "lif2"))
    assert ours["ActivationSparsity"] == pytest.approx(1 - fired / (12 * T * N))


def test_what_surrounds_the_loop_is_counted_once():
    class Framed(Tutorial):
        def __init__(self):
            super().__init__(threshold=0.1)
            self.stem, self.head = nn.Linear(6, 6), nn.Linear(4, 2, bias=False)

        def forward(self, x):
            return self.head(super().forward(self.stem(x)).sum(0))

    net, x = Framed(), torch.rand(N, 6)
    ledger = Ledger.record(net, x, input="analog")
    assert ledger["stem"].counts["mac_dense"].tolist() == [36 * N, 0, 0, 0, 0]
    assert ledger["stem"].input_type == "analog_once"
    # the head reads how often each neuron fired: every spike is one event, in the last step
    [kind] = ledger["head"].inputs
    assert ledger["head"].counts[f"synops_{kind}"].tolist() == [0, 0, 0, 0, 2 * ledger["lif2"]["spikes_out"]]
    report = energy_report(net, x, input="analog")
    assert report.ann_ledger.total()["mac_dense"] == N * (36 + 48 + 32 + 8)
    assert {row.layer: row.ann_layers for row in report.rows}["head"] == ("head",)


def test_membrane_potentials_that_go_on_are_analog():
    class Leaking(Tutorial):
        def forward(self, x):
            v = self.lif1.reset_mem()
            for _ in range(T):
                _, v = self.lif1(self.fc1(x), v)
                y = self.fc2(v)
            return y

    net = Leaking()
    del net.lif2
    ledger = Ledger.record(net, torch.rand(N, 6), input="analog")
    assert ledger["fc2"]["mac_dense"] == 32 * T * N and ledger["fc2"]["synops_binary"] == 0


def test_hidden_states_are_left_as_they_were():
    net, x = Tutorial(hidden=True).eval(), torch.rand(N, 6)
    net(x)
    before = {name: state.clone() for name, state in net.named_buffers()}
    meter = Meter(net, input="analog")
    first = meter(x)
    assert all(torch.equal(state, before[name]) for name, state in net.named_buffers())
    assert torch.equal(first, meter(x)) and torch.equal(first, net(x))


class Looped(nn.Module):
    def __init__(self, function, **options):
        super().__init__()
        self.a = snn.Leaky(0.9, **options)
        self.b, self.c, self.function = snn.RLeaky(0.9, all_to_all=False, V=0.5), LIF(), function

    def forward(self, x):
        return self.function(self, x)


def uneven(m, x):
    for _ in range(2):
        y, _ = m.a(x)
    return m.b(y)[0]


@pytest.mark.parametrize(
    "net,x,message",
    [
        (nn.Sequential(snn.Leaky(0.9, init_hidden=True)), torch.rand(T, N, 6), "called once.*from_snntorch"),
        (Looped(uneven), torch.rand(N, 6), "one of spikesim; use one package"),
        (Tutorial(over_time=True), torch.rand(T, T, 6), "T = N = 5.*another number of samples"),
        (Looped(lambda m, x: x), torch.rand(N, 6), "one of spikesim; use one package"),
        (Tutorial(), torch.rand(N, 7), "Tutorial fails on its input of shape .3, 7."),
        (Tutorial(inhibition=True), torch.rand(N, 6), "Leaky of snnTorch with inhibition.*not known"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), LIF()), torch.rand(T, N, 1, 5, 5), r"wrap it: Network\(module\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(6 * N, 2), LIF()), torch.rand(T, N, 6), r"wrap it: Network\(module\)"),
    ],
)
def test_what_cannot_be_told_is_refused(net, x, message):
    with pytest.raises(LedgerError, match=message):
        Ledger.record(net, x, input="analog")


def test_neurons_that_are_called_differently_often_are_named():
    net = Looped(uneven)
    del net.c
    with pytest.raises(LedgerError, match="'a' 2 times, 'b' 1 times"):
        Ledger.record(net, torch.rand(N, 6), input="analog")


def test_neurons_that_never_run_are_no_matter():
    net = Tutorial()
    net.spare = snn.Leaky(0.9)
    assert Ledger.record(net, torch.rand(N, 6), input="analog").timesteps == T
    for refused in (lambda: relu_twin(net), lambda: SynapticOperations(net, torch.rand(N, 6), input="analog")):
        with pytest.raises(LedgerError, match=r"takes a spikesim\.nn\.Network, not a Tutorial"):
            refused()


def test_bare_layers_are_the_network_of_them():
    torch.manual_seed(0)
    layers, x = nn.Sequential(nn.Linear(6, 8), IF(), nn.Linear(8, 4), LIF(), nn.Linear(4, 2)), 2 * torch.rand(T, N, 6)
    bare, wrapped = (energy_report(net, x, input="analog") for net in (layers, Network(layers)))
    assert bare.ledger.to_dict() == wrapped.ledger.to_dict() and bare.ledger.total()["synops_binary"] > 0
    assert bare.ann_ledger.to_dict() == wrapped.ann_ledger.to_dict()
    meter = Meter(layers, input="analog")
    assert torch.equal(meter(x), Network(layers)(x))
