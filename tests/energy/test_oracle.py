"""The ledger equals scalar loops on random small networks, exactly."""

import random

import pytest
import torch
from oracles import ledger as oracle
from torch import nn

from spikesim.energy import Ledger
from spikesim.neurons import IF, LI, LIF
from spikesim.nn import Mean, Network

CONVS = {
    (1, False): nn.Conv1d,
    (2, False): nn.Conv2d,
    (3, False): nn.Conv3d,
    (1, True): nn.ConvTranspose1d,
    (2, True): nn.ConvTranspose2d,
    (3, True): nn.ConvTranspose3d,
}


def random_conv(rng, dims, channels):
    groups = rng.choice([1, 1, 2])
    transposed = rng.random() < 0.25
    options = {
        "stride": rng.randint(1, 2),
        "padding": rng.randint(0, 1),
        "dilation": rng.randint(1, 2),
        "groups": groups,
        "bias": rng.random() < 0.5,
    }
    out = rng.choice([2, 4])
    return CONVS[dims, transposed](channels, out, rng.randint(2, 3), **options), out


def random_network(rng, dims):
    """Convolutions, neurons, average pools and a linear layer; the scale of what each layer receives."""
    channels = rng.choice([2, 4])
    size = {1: [11], 2: [9, 7], 3: [6, 5, 5]}[dims]
    layers: list[nn.Module] = []
    first = channels
    for _ in range(2):
        conv, channels = random_conv(rng, dims, channels)
        layers += [conv, rng.choice([IF, LIF])(threshold=0.3)]
    if dims == 2 and rng.random() < 0.7:
        layers += [nn.AvgPool2d(2, stride=rng.randint(1, 2), padding=rng.randint(0, 1))]
    probe = nn.Sequential(*[m for m in layers if not hasattr(m, "emits")])
    try:
        with torch.no_grad():
            features = probe(torch.zeros(1, first, *size)).numel()
    except RuntimeError:  # the drawn strides and dilations leave nothing: draw again
        return random_network(rng, dims)
    layers += [nn.Flatten(), nn.Linear(features, 3, bias=rng.random() < 0.5), rng.choice([IF(), LI()])]
    return nn.Sequential(*layers), (first, *size)


def captured(network, x):
    """Input and output of every layer, as tensors."""
    seen, handles = {}, []
    for name, module in network.module.named_children():
        handles.append(
            module.register_forward_hook(lambda m, i, o, name=name: seen.update({name: (m, i[0].detach(), o.detach())}))
        )
    with torch.no_grad():
        network(x)
    for handle in handles:
        handle.remove()
    return seen


def expected(module, values, out, scale):
    """Work of one row of one layer by scalar loops; ``scale`` is the value of one event."""
    counts = (values / scale).round().to(torch.int64).tolist() if scale else values.tolist()
    if isinstance(module, nn.Linear):
        return oracle.linear(counts, module.out_features)
    return oracle.convolution(
        counts,
        module.out_channels,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.groups,
        out.shape[1:],
        module.transposed,
    )


@pytest.mark.parametrize("seed", range(30))
def test_random_networks(seed):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    module, shape = random_network(rng, rng.choice([1, 2, 2, 3]))
    steps, samples = rng.randint(1, 3), rng.randint(1, 2)
    events = rng.random() < 0.5
    x = torch.rand(steps, samples, *shape)
    x = (x * 3).floor() if events else x * (torch.rand_like(x) < 0.6)
    network = Network(module, readout=Mean())
    ledger = Ledger.record(network, x, input="events" if events else "analog")

    kind, scale = ("graded", 1.0) if events else (None, None)
    for name, (layer, inputs, out) in captured(network, x).items():
        if isinstance(layer, nn.AvgPool2d):
            scale /= layer.kernel_size**2
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.modules.conv._ConvTransposeNd, nn.Linear)):
            row = ledger[name].counts
            for t in range(steps):
                works = [expected(layer, inputs[r], out[r], scale) for r in range(t * samples, (t + 1) * samples)]
                assert row["synapses"][t] == sum(w.connections for w in works)
                assert row["synapses_padded"][t] == sum(w.padded for w in works)
                if kind:
                    assert row[f"synops_{kind}"][t] == sum(w.events for w in works)
                    assert "mac_dense" not in row
                else:
                    assert row["mac_dense"][t] == sum(w.connections for w in works)
                    assert row["mac_effective"][t] == sum(w.nonzero for w in works)
            biased = layer.bias is not None
            assert ledger[name]["bias_adds"] == (sum(1 for _ in oracle.leaves(out.tolist())) if biased else 0)
        if hasattr(layer, "emits"):
            assert ledger[name]["neuron_updates"] == sum(1 for _ in oracle.leaves(out.tolist()))
            if layer.emits.is_spike:
                assert ledger[name]["spikes_out"] == oracle.total(out.tolist())
                kind, scale = "binary", 1.0
            else:
                kind, scale = None, None
    assert not ledger.unpriced


@pytest.mark.parametrize("kernel,stride,padding", [(2, 2, 0), (3, 1, 1), (3, 2, 1), (2, 1, 0)])
def test_pooled_events_by_loops(kernel, stride, padding):
    torch.manual_seed(kernel)
    module = nn.Sequential(nn.AvgPool2d(kernel, stride, padding), nn.Conv2d(2, 3, 3, padding=1))
    x = torch.randint(0, 3, (2, 1, 2, 6, 5)).float()
    ledger = Ledger.record(Network(nn.Sequential(module, IF())), x, input="events")
    for t in range(2):
        cells = oracle.pooled(x[t, 0].int().tolist(), kernel, stride, padding)
        size = oracle.shape(cells)[1:]
        work = oracle.convolution(cells, 3, (3, 3), (1, 1), (1, 1), (1, 1), 1, size)
        assert ledger["0.1"].counts["synops_graded"][t] == work.events
        assert ledger["0.1"].counts["events_in_graded"][t] == oracle.total(cells)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.if1 = nn.Conv2d(2, 4, 3, padding=1, bias=False), IF(0.3)
        self.conv2, self.if2 = nn.Conv2d(4, 4, 3, padding=1), IF(0.3)
        self.conv3, self.if3 = nn.Conv2d(4, 2, 3), IF(0.3)

    def forward(self, x):
        a = self.if1(self.conv1(x))
        b = self.if2(self.conv2(a))
        return self.if3(self.conv3(a + b))


def test_spikes_that_meet_are_two_events():
    torch.manual_seed(0)
    network = Network(Residual())
    x = torch.randint(0, 2, (3, 2, 2, 5, 5)).float()
    ledger = Ledger.record(network, x, input="events")
    seen = captured(network, x)
    both = (seen["if1"][2] + seen["if2"][2]).to(torch.int64)
    assert both.max() == 2
    works = [oracle.convolution(row, 2, (3, 3), (1, 1), (0, 0), (1, 1), 1, (3, 3)) for row in both.tolist()]
    assert ledger["conv3"]["synops_graded"] == sum(w.events for w in works)
    assert ledger["conv3"]["events_in_graded"] == int(both.sum())
    assert ledger["(root)"]["residual_adds"] == 0
