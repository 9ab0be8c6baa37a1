"""Time in chunks that are computed again: the gradients of the whole, in the memory of a chunk."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikesim.errors import ConfigError
from spikesim.neurons import LI, LIF, EscapeLIF
from spikesim.nn import Constant, Mean, Network
from spikesim.training import Activity


def _layers(norm=False):
    torch.manual_seed(1)
    middle = [nn.GroupNorm(2, 8)] if norm else []
    return nn.Sequential(nn.Linear(5, 8), *middle, LIF(3.0, learnable=("tau",)), nn.Linear(8, 4), LIF(), LI())


def _gradients(net, x, mask=None, seed=3):
    x = x.clone().requires_grad_()
    net.zero_grad()
    torch.manual_seed(seed)
    y = net(x, mask)
    (y * torch.arange(y.numel()).reshape(y.shape).cos()).sum().backward()
    return y.detach(), x.grad, *[p.grad.clone() for p in net.parameters()]


@settings(max_examples=15)
@given(steps=st.integers(1, 9), every=st.integers(1, 10), masked=st.booleans())
def test_gradients_equal_those_of_the_whole(steps, every, masked):
    torch.manual_seed(0)
    module, x = _layers().double(), torch.rand(steps, 3, 5, dtype=torch.float64) * 4
    mask = torch.rand(steps, 3) > 0.3 if masked else None
    whole = _gradients(Network(module), x, mask)
    split = _gradients(Network(module, checkpoint_time=every), x, mask)
    for a, b in zip(whole, split):
        assert torch.allclose(a, b, atol=1e-12)
    assert whole[1].abs().sum() > 0


def test_a_convolutional_network_and_its_state():
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), LIF(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    )
    x = torch.rand(7, 2, 2, 8, 8) * 3
    whole, split = Network(module), Network(module, checkpoint_time=3)
    for a, b in zip(_gradients(whole, x), _gradients(split, x)):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)
    one, two = whole.run(x).state, split.run(x).state
    assert torch.allclose(one["2"]["v"], two["2"]["v"], atol=1e-5)
    session = split.stream(detach=False)
    parts = torch.cat([session(x[:5]), session(x[5:])])
    assert torch.allclose(parts, whole(x), atol=1e-5)


def test_a_hoisted_input_and_a_readout():
    module = _layers()
    x = torch.rand(3, 5) * 4
    whole = _gradients(Network(module, Constant(7), Mean()), x)
    split = _gradients(Network(module, Constant(7), Mean(), checkpoint_time=3), x)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(whole, split))


def test_random_neurons_draw_the_same_numbers_again():
    module = nn.Sequential(nn.Linear(5, 6), EscapeLIF(), nn.Linear(6, 2))
    x = torch.rand(6, 2, 5) * 3
    whole, split = _gradients(Network(module), x), _gradients(Network(module, checkpoint_time=4), x)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(whole, split))


class Kept:
    """Bytes that autograd keeps, as far as nobody took them over."""

    def __init__(self):
        self.bytes = 0

    def pack(self, tensor):
        self.bytes += tensor.untyped_storage().nbytes()
        return tensor

    def of(self, net, x):
        self.bytes = 0
        with torch.autograd.graph.saved_tensors_hooks(self.pack, lambda t: t):
            net(x).sum()
        return self.bytes


def test_activations_are_not_kept():
    module, x = _layers(), torch.rand(20, 4, 5)
    kept = Kept()
    assert kept.of(Network(module, checkpoint_time=5), x) < kept.of(Network(module), x) / 10


def test_rates_count_every_chunk_once():
    module, x = _layers(), torch.rand(7, 3, 5) * 4
    found = []
    for net in (Network(module), Network(module, checkpoint_time=3)):
        with Activity(net) as activity:
            y = net(x)
            rates = activity.rates()
            (y.sum() + sum(r.sum() for r in rates.values())).backward()
        again = activity.rates()
        assert all(torch.equal(rates[k], again[k]) for k in rates)
        found.append((rates, module[0].weight.grad.clone()))
        net.zero_grad()
    for name in found[0][0]:
        assert torch.allclose(found[0][0][name], found[1][0][name])
    assert torch.allclose(found[0][1], found[1][1], atol=1e-5)


def test_recordings_see_every_step_once():
    module, x = _layers(), torch.rand(7, 3, 5) * 4
    net = Network(module, checkpoint_time=3)
    with net.record("1", states="v") as chunks:
        net(x).sum().backward()
    reference = Network(module)
    with reference.record("1", states="v") as whole:
        reference(x)
    assert torch.equal(chunks["1"].spikes, whole["1"].spikes)
    assert torch.allclose(chunks["1"].states["v"], whole["1"].states["v"], atol=1e-5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match=r"checkpoint_time is 0"):
        Network(_layers(), checkpoint_time=0)
    with pytest.raises(ConfigError, match="leave out pack_spikes"):
        Network(_layers(), checkpoint_time=2, pack_spikes=True)
    net = Network(nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), LIF()), checkpoint_time=2)
    with pytest.raises(ConfigError, match=r"'1' \(BatchNorm1d\).*BNTT or GroupNorm"):
        net(torch.rand(5, 2, 5))
    assert net(torch.rand(2, 2, 5)).shape == (2, 2, 8)
    assert net.eval()(torch.rand(5, 2, 5)).shape == (5, 2, 8)
    with torch.no_grad():
        assert net.train()(torch.rand(5, 2, 5)).shape == (5, 2, 8)


def test_compiled_it_runs_whole():
    net = Network(nn.Sequential(nn.Linear(5, 8), LIF()), checkpoint_time=2)
    x = torch.rand(5, 2, 5)
    exported = torch.export.export(net, (x,), strict=False).module()
    assert torch.allclose(exported(x), net(x))
