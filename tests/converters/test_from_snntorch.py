"""Networks of snnTorch against snnTorch itself, run step by step."""

import copy
import os
import warnings
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikesim.converters import from_snntorch
from spikesim.dynamics.surrogates import ATan, FastSigmoid, Sigmoid, StraightThrough, Triangle
from spikesim.errors import ConfigError, ConversionError

snn = pytest.importorskip("snntorch")
from snntorch import surrogate as theirs  # noqa: E402
from snntorch import utils  # noqa: E402

RESETS = ["subtract", "zero", "none"]
# Each setting is a kernel to compile. Elsewhere every family's kernels are compared with its equations, which run here.
equations = mock.patch.dict(os.environ, {"SPIKESIM_DISABLE_JIT": "1"})
KINDS = ["Leaky", "Synaptic", "Alpha", "Lapicque", "RLeaky", "RSynaptic"]


class Double(nn.Module):
    """Spikes of snnTorch are float32 whatever its potentials are; a linear layer in float64 refuses them."""

    def forward(self, x):
        return x.double()


def _stepwise(net, x):
    """What snnTorch gives at each step, stacked: a list of spikes and, with output=True, states."""
    utils.reset(net)
    given = [net(row) for row in x.unbind(0)]
    rows = [row if isinstance(row, tuple) else (row,) for row in given]
    return [torch.stack(column) for column in zip(*rows)]


def _ours(network, x):
    given = network(x)
    return list(given) if isinstance(given, tuple) else [given]


def _neuron(kind, **arguments):
    arguments = {"beta": 0.8, "init_hidden": True, **arguments}
    if kind in ("Synaptic", "Alpha", "RSynaptic"):
        arguments = {"alpha": 0.9, **arguments}
    if kind in ("RLeaky", "RSynaptic"):
        arguments = {"V": -0.4, "all_to_all": False, **arguments}
    return getattr(snn, kind)(**arguments)


def _factor(low, high):
    number = st.floats(low, high)
    return st.one_of(number, st.lists(number, min_size=5, max_size=5).map(torch.tensor))


@st.composite
def neurons(draw):
    kind = draw(st.sampled_from(KINDS))
    arguments = {"reset_mechanism": draw(st.sampled_from(RESETS)), "threshold": draw(_factor(-0.25, 2.0))}
    if kind != "Lapicque":
        arguments["beta"] = draw(_factor(0.05, 0.6) if kind == "Alpha" else _factor(-0.25, 1.25))
        arguments["learn_beta"] = draw(st.booleans())
    else:
        arguments |= draw(
            st.one_of(
                st.fixed_dictionaries({"beta": st.floats(0.05, 0.95)}),
                st.fixed_dictionaries({"beta": st.floats(0.05, 0.95), "R": st.floats(0.5, 4.0)}),
                st.fixed_dictionaries(
                    {
                        "beta": st.just(False),
                        "R": st.floats(0.5, 4),
                        "C": st.floats(0.5, 4),
                        "time_step": st.floats(0.1, 2),
                    }
                ),
            )
        )
    if kind in ("Synaptic", "RSynaptic"):
        arguments |= {"alpha": draw(_factor(-0.25, 1.25)), "learn_alpha": draw(st.booleans())}
    if kind == "Alpha":
        arguments["alpha"] = draw(_factor(0.65, 0.99))
    if kind in ("RLeaky", "RSynaptic"):
        arguments |= {"V": draw(_factor(-2.0, 2.0)), "learn_recurrent": draw(st.booleans())}
    if kind in ("Leaky", "Synaptic", "RLeaky"):
        arguments["reset_delay"] = draw(st.booleans())
    if kind == "Leaky":
        arguments["graded_spikes_factor"] = draw(st.sampled_from([1.0, 2.0, 0.3]))
    return kind, _neuron(kind, output=draw(st.booleans()), learn_threshold=draw(st.booleans()), **arguments)


@equations
@settings(deadline=None, max_examples=150)
@given(drawn=neurons(), seed=st.integers(0, 999), mean=st.floats(-0.5, 1.5))
def test_spikes_and_states_are_the_same_bits(drawn, seed, mean):
    kind, neuron = drawn
    x = mean + torch.randn(30, 3, 5, generator=torch.Generator().manual_seed(seed))
    if (
        kind == "Alpha"
    ):  # its logarithms are another library's: equal up to rounding, which float64 keeps from mattering
        neuron, x = neuron.double(), x.double()
    with torch.no_grad():
        wanted, found = _stepwise(neuron, x), _ours(from_snntorch(neuron), x)
    assert len(found) == len(wanted)
    for ours, their in zip(found, wanted):
        if kind == "Alpha":
            assert torch.allclose(ours, their.double(), rtol=1e-9, atol=1e-9)
        else:
            assert torch.equal(ours, their)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_kernels_give_the_same_bits(kind, reset):
    delay = {"reset_delay": False} if kind in ("Leaky", "Synaptic", "RLeaky") and reset != "none" else {}
    neuron = _neuron(kind, reset_mechanism=reset, threshold=0.75, **delay)
    x = 0.4 + torch.randn(60, 4, 25, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        (wanted,), found = _stepwise(neuron, x), from_snntorch(neuron).run(x)
    if kind == "Alpha":  # but for the last bit of its logarithms, and spikes that hang on it
        assert (found.output != wanted).double().mean() < 1e-3
    else:
        assert torch.equal(found.output, wanted)
        assert torch.equal(found.state[""]["v"], neuron.mem)
    assert 0.01 < wanted.mean() < 0.99


@equations
@settings(deadline=None, max_examples=60)
@given(
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    reset=st.sampled_from(RESETS),
    delay=st.booleans(),
    seed=st.integers(0, 999),
)
def test_gradients_are_those_of_autograd(kinds, reset, delay, seed):
    torch.manual_seed(seed)

    def build(kind, size, output):
        learnt = {"reset_mechanism": reset, "learn_threshold": True, "threshold": 0.5 + torch.rand(size)}
        learnt |= {} if kind == "Lapicque" else {"learn_beta": True, "beta": torch.rand(size) * 0.5 + 0.3}
        learnt |= {"learn_alpha": True, "alpha": torch.tensor(0.6)} if kind in ("Synaptic", "RSynaptic") else {}
        learnt |= {"reset_delay": delay} if kind in ("Leaky", "Synaptic", "RLeaky") else {}
        learnt |= {"learn_graded_spikes_factor": True, "graded_spikes_factor": 1.5} if kind == "Leaky" else {}
        return _neuron(kind, output=output, **learnt)

    layers = [nn.Linear(4, 6), build(kinds[0], 6, False), Double(), nn.Linear(6, 3), build(kinds[1], 3, True)]
    net = nn.Sequential(*layers).double()
    network = from_snntorch(net)
    x = (2 * torch.randn(15, 2, 4, dtype=torch.float64)).requires_grad_()
    wanted, found = _stepwise(net, x), _ours(network, x)
    for ours, their in zip(found, wanted):
        assert torch.allclose(ours, their.double(), rtol=1e-6, atol=1e-6)
    weights = [torch.randn_like(y) for y in found]
    own = {name: p for name, p in net.named_parameters() if p.requires_grad}
    # recurrent.V is V, graded_spikes_factor and V have other names here
    names = {"V": "feedback", "recurrent": "feedback", "graded_spikes_factor": "factor"}
    learnt = dict(network.module.named_parameters())
    theirs_ = torch.autograd.grad(sum((w * y).sum() for w, y in zip(weights, wanted)), [x, *own.values()])
    ours_ = torch.autograd.grad(sum((w * y).sum() for w, y in zip(weights, found)), [x, *learnt.values()])
    scale = max(g.abs().max() for g in theirs_) + 1
    assert torch.allclose(ours_[0], theirs_[0], rtol=1e-4, atol=1e-6 * scale)
    assert len(learnt) == len(own)
    for (name, p), gradient in zip(own.items(), theirs_[1:]):
        index, key = name.split(".")[:2]
        wanted_key = names.get(key, key)
        matches = [n for n in learnt if n.split(".")[0] == index and n.split(".")[-1] == wanted_key]
        assert len(matches) == 1, (name, list(learnt))
        mine = ours_[1 + list(learnt).index(matches[0])]
        # Their spikes, and so the gradients through them, are float32.
        assert torch.allclose(mine.reshape(p.shape), gradient, rtol=1e-4, atol=1e-5 * scale), name


@pytest.mark.parametrize("function,ours", [
    (None, ATan(2.0)),
    (theirs.atan(alpha=3.0), ATan(3.0)),
    (theirs.fast_sigmoid(slope=10), FastSigmoid(10.0)),
    (theirs.sigmoid(slope=5), Sigmoid(5.0)),
    (theirs.straight_through_estimator(), StraightThrough()),
])  # fmt: skip
def test_surrogates_are_found_by_name_and_have_the_same_derivative(function, ours):
    neuron = snn.Leaky(0.5, spike_grad=function, init_hidden=True)
    network = from_snntorch(neuron)
    assert network.module.surrogate == ours
    x = (1 + torch.randn(12, 2, 3)).requires_grad_()
    (wanted,) = torch.autograd.grad(_stepwise(neuron, x)[0].sum(), x)
    (found,) = torch.autograd.grad(network(x).sum(), x)
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-6)


def _image_net(**arguments):
    torch.manual_seed(1)
    stem = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), snn.Leaky(0.75, init_hidden=True, **arguments)
    )
    head = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(16, 3), snn.Synaptic(0.5, 0.75, init_hidden=True))
    net = nn.Sequential(stem, nn.MaxPool2d(2), head).eval()
    with torch.no_grad():  # sums of sixteenths are exact in any order, so that no rounding decides a spike
        for p in net.parameters():
            p.copy_((p * 32).round() / 16)
        net[0][1].running_var.fill_(1 - 1e-5)
        net[0][1].weight.fill_(1.0)
    return net


@pytest.mark.parametrize(
    "beta", [0.5, torch.tensor([0.5, 0.25, 0.75, 0.0]), torch.rand(4, 1, 1), torch.rand(1, 4, 4, 4)]
)
def test_nested_networks_of_images(beta):
    # A bare list of four counts along the width in snnTorch, although there are four channels, too.
    net = _image_net()
    net[0][2] = snn.Leaky(beta, init_hidden=True)
    x = torch.randint(0, 5, (9, 3, 2, 4, 4)) / 4
    network = from_snntorch(net)
    with torch.no_grad():
        wanted, found = _stepwise(net, x)[0], network(x)
    assert torch.equal(found, wanted)
    assert 0 < found.mean() < 1
    assert [n for n, _ in network.module.named_modules()][1:] == [n for n, _ in net.named_modules()][1:]


def test_the_original_is_left_alone_and_nothing_is_shared():
    net = _image_net(learn_beta=True)
    _stepwise(net, torch.rand(3, 2, 2, 4, 4))[0].sum().backward()  # its states now hold a graph, which refuses copies
    before = {k: v.clone() for k, v in net.state_dict().items()}
    modules = list(net.modules())
    network = from_snntorch(net)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(1.0)
    network(torch.rand(3, 2, 2, 4, 4)).sum().backward()
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert list(net.modules()) == modules
    assert not network.training and from_snntorch(net.train()).training


def test_values_of_a_state_dict_are_taken_over_also_beyond_their_bounds():
    net = nn.Sequential(nn.Linear(4, 3), _neuron("Synaptic", learn_beta=True, learn_alpha=True, learn_threshold=True))
    values = {
        **net.state_dict(),
        "1.beta": torch.tensor(1.5),
        "1.alpha": torch.tensor(-0.5),
        "1.threshold": torch.tensor(0.25),
    }
    net.load_state_dict(values)
    network = from_snntorch(net)
    for key in ("0.weight", "0.bias", "1.alpha", "1.beta", "1.threshold"):
        assert torch.equal(network.module.state_dict()[key], values[key])
    x = torch.rand(20, 2, 4)
    assert torch.equal(network(x), _stepwise(net, x)[0])


def test_what_layers_share_stays_shared():
    first, second = _neuron("Leaky", learn_beta=True), _neuron("Leaky", learn_beta=True)
    second.beta = first.beta
    linear = nn.Linear(3, 3)
    network = from_snntorch(nn.Sequential(linear, first, linear, second)).module
    assert network[0] is network[2] and network[1].beta is network[3].beta


def test_frozen_parameters_stay_frozen():
    neuron = _neuron("Leaky", learn_beta=True)
    neuron.beta.requires_grad_(False)
    assert not from_snntorch(neuron).module.beta.requires_grad
    assert "beta" in dict(from_snntorch(neuron).module.named_parameters())


def test_a_copy_of_the_network_keeps_states_and_spikes_together():
    network = from_snntorch(_neuron("Leaky", output=True, learn_beta=True))
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.module.spikes.beta.fill_(0.1)
    x = torch.rand(6, 2, 3)
    assert torch.equal(other(x)[1][1], (x[0] * other.module.spikes.beta + x[1] - (x[0] > 1).float()))
    assert torch.equal(network(x)[1][0], x[0]) and len(list(network.parameters())) == 1
    session = network.stream()
    assert torch.equal(torch.cat([session(x[:2])[1], session(x[2:])[1]]), network(x)[1])


def test_a_surrogate_may_be_chosen():
    net = nn.Sequential(
        _neuron("Leaky", spike_grad=theirs.SSO()),
        _neuron("Leaky", surrogate_disable=True),
        _neuron("Leaky", spike_grad=lambda u: (u > 0).float()),
    )
    network = from_snntorch(net, surrogate=Triangle())
    assert all(n.surrogate == Triangle() for n in network.neurons().values())
    x = 2 * torch.rand(9, 2, 3)
    assert torch.equal(network(x), _stepwise(net, x)[0])


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(3, 3), _neuron("Leaky")

    def forward(self, x):
        return self.lif1(self.fc1(x))


class Mine(snn.Leaky):
    pass


def _changed(neuron, **attributes):
    for name, value in attributes.items():
        setattr(neuron, name, value)
    return neuron


def _hooked(module):
    module.register_forward_hook(lambda *_: None)
    return module


def _quiet(**arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _neuron("Leaky", **arguments)


@pytest.mark.parametrize("net,message", [
    (lambda: _neuron("Leaky", init_hidden=False), "build it with init_hidden=True"),
    (lambda: _quiet(inhibition=True), "inhibition=True"),
    (lambda: _neuron("Leaky", state_quant=lambda v: v), "state_quant"),
    (lambda: _neuron("Leaky", surrogate_disable=True), "surrogate_disable"),
    (lambda: _changed(_neuron("Leaky"), reset_mechanism="zero"), "was changed after it was built"),
    (lambda: snn.RLeaky(0.5, linear_features=3, init_hidden=True), "all_to_all=True"),
    (lambda: snn.RLeaky(0.5, conv2d_channels=3, kernel_size=3, init_hidden=True), "all_to_all=True"),
    (lambda: snn.RSynaptic(0.5, 0.5, linear_features=3, init_hidden=True), "all_to_all=True"),
    (lambda: _changed(_neuron("RLeaky"), graded_spikes_factor=torch.tensor(2.0)), "fold it into V"),
    (lambda: _neuron("RSynaptic", reset_delay=False), "fails in snnTorch 1.0 itself"),
    (lambda: _neuron("Lapicque", learn_beta=True), "learn_beta=True trains nothing"),
    (lambda: _neuron("Lapicque", beta=1.25), "capacitance"),
    (lambda: _hooked(_neuron("Leaky")), "forward hooks"),
    (lambda: _hooked(nn.Sequential(_neuron("Leaky"))), "forward hooks"),
    (lambda: Mine(0.5, init_hidden=True), "Mine is a class of your own"),
    (lambda: snn.SLSTM(3, 3, init_hidden=True), "SLSTM has no equal here; those that have one are Leaky"),
    (lambda: nn.Sequential(_neuron("Leaky", output=True), nn.Linear(3, 3)), "'0' has output=True"),
    (lambda: nn.Sequential(*[_neuron("Leaky")] * 2), "'1' is the neuron of '0' again"),
    (Looped, r"from_snntorch\(nn.Sequential\(net.fc1, net.lif1\)\)"),
    (lambda: nn.Sequential(nn.Flatten(), Looped()), "'1' is a Looped"),
    (lambda: nn.Sequential(nn.Linear(3, 3)), "no snnTorch neuron"),
    (lambda: nn.Sequential(nn.Linear(5, 5), _neuron("Leaky", beta=torch.rand(5).double())), "two precisions"),
])  # fmt: skip
def test_what_has_no_equal_is_refused_by_name(net, message):
    with pytest.raises(ConversionError, match=message):
        from_snntorch(net())


@pytest.mark.parametrize("function,name", [
    (theirs.triangular(), "triangular"),
    (theirs.heaviside(), "heaviside"),
    (theirs.spike_rate_escape(), "spike_rate_escape"),
    (theirs.SSO(), "SSO"),
    (theirs.LSO(), "LSO"),
    (theirs.SFS(), "SFS"),
    (theirs.custom_surrogate(lambda u, gradient, s: gradient), "custom_surrogate"),
    (lambda u: (u > 0).float(), "lambda"),
    (nn.ReLU(), "a ReLU"),
])  # fmt: skip
def test_surrogates_without_an_equal_are_refused_by_name(function, name):
    with pytest.raises(ConversionError, match=f"{name}.*surrogate=ATan"):
        from_snntorch(_neuron("Leaky", spike_grad=function))


@pytest.mark.parametrize("function", [nn.ReLU(), lambda u: (u >= 0).float(), lambda: 1])
def test_functions_that_do_not_spike_are_refused_whatever_the_surrogate(function):
    with pytest.raises(ConversionError, match="does not give 1 where"):
        from_snntorch(_neuron("Leaky", spike_grad=function), surrogate=ATan())


def test_constants_of_surrogates_that_are_no_numbers_are_refused():
    with pytest.raises(ConversionError, match="slope is a Tensor"):
        from_snntorch(_neuron("Leaky", spike_grad=theirs.fast_sigmoid(torch.tensor(3.0))))


def test_other_things_than_modules_are_refused():
    with pytest.raises(ConfigError, match="not a list"):
        from_snntorch([])
    with pytest.raises(ConfigError, match="surrogate is a str"):
        from_snntorch(_neuron("Leaky"), surrogate="atan")
