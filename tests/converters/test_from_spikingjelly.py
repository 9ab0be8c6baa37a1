"""Networks of SpikingJelly against SpikingJelly itself."""

import copy

import pytest
import torch
from torch import nn

from spikesim.converters import from_spikingjelly
from spikesim.dynamics.surrogates import ATan
from spikesim.errors import ConfigError, ConversionError
from spikesim.neurons import LIF
from spikesim.nn import HeldDropout

pytest.importorskip("spikingjelly")
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from spikingjelly.activation_based.model import parametric_lif_net

T, N = 7, 3


def _theirs(net, x, mode):
    functional.reset_net(net)
    y = net(x) if mode == "m" else torch.stack([net(row) for row in x])
    functional.reset_net(net)
    return y


def _exact(*shape):
    """Multiples of 1/16, so that sums, halves and quarters do not round."""
    return torch.randint(-16, 40, shape, generator=torch.Generator().manual_seed(1)) / 16.0


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("reset", [None, 0.0, -0.25, 0.5])
@pytest.mark.parametrize(
    "kind,options",
    [
        ("IFNode", {}),
        ("LIFNode", {"tau": 2.0}),
        ("LIFNode", {"tau": 4.0, "decay_input": False}),
        ("ParametricLIFNode", {"init_tau": 2.0}),
        ("ParametricLIFNode", {"init_tau": 2.0, "decay_input": False}),
    ],
)
def test_a_neuron_fires_when_theirs_does(kind, options, reset, mode):
    # Over few steps the numbers stay exact, so that ties at the threshold are ties in both.
    theirs = getattr(neuron, kind)(v_reset=reset, v_threshold=1.25, step_mode=mode, **options)
    x = _exact(T, N, 40)
    expected = _theirs(theirs, x, mode)
    ours = from_spikingjelly(theirs)
    assert 0.05 < expected.mean() < 0.8
    assert torch.equal(ours(x), expected)


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("reset", [None, 0.0])
@pytest.mark.parametrize(
    "kind,function",
    [
        ("IFNode", surrogate.ATan()),
        ("ParametricLIFNode", surrogate.ATan()),
        ("LIFNode", surrogate.Sigmoid(3.0)),
        ("LIFNode", surrogate.SoftSign(1.5)),
        ("LIFNode", surrogate.PiecewiseQuadratic(0.8)),
    ],
    ids=lambda f: f if isinstance(f, str) else type(f).__name__,
)
def test_gradients_are_theirs(kind, reset, detach, function):
    options = {"v_reset": reset, "detach_reset": detach, "surrogate_function": function, "step_mode": "m"}
    torch.manual_seed(0)
    theirs = nn.Sequential(layer.Linear(12, 9, step_mode="m"), getattr(neuron, kind)(**options)).double()
    ours = from_spikingjelly(theirs)
    x = torch.randn(T, N, 12, dtype=torch.float64) * 2
    weight = torch.randn(T, N, 9, dtype=torch.float64)
    expected = _theirs(theirs, x, "m")
    (expected * weight).sum().backward()
    found = ours(x)
    (found * weight).sum().backward()
    assert expected.sum() > 0 and torch.equal(found, expected)
    assert theirs[0].weight.grad.abs().max() > 0
    torch.testing.assert_close(ours.module[0].weight.grad, theirs[0].weight.grad)
    if kind == "ParametricLIFNode":
        torch.testing.assert_close(ours.module[1].w.grad.flatten(), theirs[1].w.grad.flatten())


def _net(mode):
    torch.manual_seed(3)
    made = nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1, bias=False), layer.BatchNorm2d(6),
        neuron.LIFNode(tau=2.0, v_reset=None), layer.MaxPool2d(2),
        nn.Sequential(layer.Conv2d(6, 8, 3), neuron.IFNode(v_reset=0.0), layer.AvgPool2d(2)),
        layer.Flatten(), layer.Dropout(0.5), layer.Linear(32, 20), neuron.ParametricLIFNode(v_reset=0.0),
        layer.VotingLayer(2),
    )  # fmt: skip
    for module in made.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.uniform_(module.weight, -0.3, 0.8)
    functional.set_step_mode(made, mode)
    return made.eval()


@pytest.mark.parametrize("mode", ["s", "m"])
def test_a_network_of_their_layers_says_the_same(mode):
    net = _net(mode)
    before = copy.deepcopy(net.state_dict())
    ours = from_spikingjelly(net)
    x = torch.rand(T, N, 2, 12, 12)
    with torch.no_grad():
        expected = _theirs(net, x, mode)
        assert expected.abs().sum() > 0
        torch.testing.assert_close(ours(x), expected)
    assert type(ours.module[0]) is nn.Conv2d and type(ours.module[1]) is nn.BatchNorm2d
    assert isinstance(ours.module[6], HeldDropout) and not ours.training
    assert ours.train().module[6].training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert ours.module[0].weight is not net[0].weight


def test_batch_norm_in_training_takes_the_same_statistics_as_multi_step():
    net = nn.Sequential(layer.Conv2d(2, 4, 3, step_mode="m"), layer.BatchNorm2d(4, step_mode="m")).train()
    net.append(neuron.IFNode(step_mode="m"))
    ours = from_spikingjelly(net)
    x = torch.rand(T, N, 2, 6, 6)
    torch.testing.assert_close(ours(x), _theirs(net, x, "m"))
    torch.testing.assert_close(ours.module[1].running_mean, net[1].running_mean)


def test_containers_give_what_they_hold():
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)),
        neuron.LIFNode(step_mode="m"),
        layer.SeqToANNContainer(nn.Flatten(), nn.Linear(64, 8)),
        layer.MultiStepContainer(neuron.IFNode()),
        nn.Linear(8, 3),
    ).eval()
    x = torch.rand(T, N, 2, 6, 6) * 4
    expected = _theirs(net, x, "m")
    torch.testing.assert_close(from_spikingjelly(net)(x), expected)
    assert list(from_spikingjelly(net).module.state_dict())[:1] == ["0.0.weight"]


class Own(nn.Module):
    """A class of the user's own, run step by step, with a residual."""

    def __init__(self):
        super().__init__()
        self.first, self.fire = layer.Linear(6, 6), neuron.LIFNode(v_reset=None)
        self.unused = None
        self.last = layer.Linear(6, 2)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.last(self.fire(self.first(x)) * self.scale + x)


def test_a_class_of_the_users_own_runs_step_by_step():
    net = Own()
    ours = from_spikingjelly(net)
    x = torch.rand(T, N, 6) * 4
    torch.testing.assert_close(ours(x), _theirs(net, x, "s"))
    assert type(ours.module) is Own and isinstance(ours.module.fire, LIF)
    assert isinstance(net.fire, neuron.LIFNode) and ours.module.scale is not net.scale
    functional.set_step_mode(net, "m")
    with pytest.raises(ConversionError, match=r"Own has a forward .*set_step_mode\(net, 's'\)"):
        from_spikingjelly(net)


def test_their_own_models_come_over():
    torch.manual_seed(0)
    net = parametric_lif_net.MNISTNet(channels=4, spiking_neuron=neuron.IFNode).eval()
    for parameter in net.parameters():
        parameter.data.mul_(5)
    ours = from_spikingjelly(net)
    x = torch.rand(3, 2, 1, 28, 28) * 40
    with torch.no_grad():
        assert _theirs(net, x, "s").abs().sum() > 0
        torch.testing.assert_close(ours(x), _theirs(net, x, "s"))


def test_their_checkpoints_load(tmp_path):
    trained = _net("m")
    torch.save({"net": trained.state_dict(), "epoch": 3}, tmp_path / "checkpoint_max.pth")
    fresh = _net("m")
    for parameter in fresh.parameters():
        nn.init.zeros_(parameter)
    fresh.load_state_dict(torch.load(tmp_path / "checkpoint_max.pth", weights_only=True)["net"])
    x = torch.rand(T, N, 2, 12, 12)
    with torch.no_grad():
        assert torch.equal(from_spikingjelly(fresh)(x), from_spikingjelly(trained)(x))
    # Without their classes: every name of theirs has a place here.
    ours = from_spikingjelly(_net("m")).module
    assert not ours.load_state_dict(trained.state_dict(), strict=False).unexpected_keys


class OwnNeuron(neuron.LIFNode):
    pass


def _hooked():
    net = nn.Sequential(neuron.IFNode())
    net[0].register_forward_hook(lambda *_: None)
    return net


@pytest.mark.parametrize(
    "build,message",
    [
        (lambda: nn.Linear(2, 2), "has no SpikingJelly neuron"),
        (lambda: neuron.QIFNode(), "QIFNode has no equal here; those that have one are IFNode, LIFNode"),
        (lambda: nn.Sequential(OwnNeuron()), "'0': OwnNeuron is a class of your own"),
        (lambda: neuron.IFNode(surrogate_function=surrogate.LogTailedReLU()), "no surrogate here has the derivative"),
        (lambda: neuron.IFNode(surrogate_function=surrogate.ATan(spiking=False)), "spiking=False"),
        (lambda: neuron.IFNode(surrogate_function=surrogate.LeakyKReLU(k=2.0)), "not k=2"),
        (lambda: nn.Sequential(layer.Linear(2, 2), neuron.IFNode(step_mode="m")), "'0' has step mode 's', but '1'"),
        (lambda: nn.Sequential(layer.NeuNorm(2, 2, 2), neuron.IFNode()), "'0': NeuNorm of SpikingJelly has no equal"),
        (lambda: nn.Sequential(layer.WSLinear(2, 2), neuron.IFNode()), "'0': WSLinear of SpikingJelly has no equal"),
        (lambda: nn.Sequential(layer.SynapseFilter(), neuron.IFNode()), "'0': SynapseFilter of SpikingJelly has no"),
        (
            lambda: nn.Sequential(nn.Flatten(), neuron.IFNode(step_mode="m")),
            r"'0' is a plain Flatten in a multi-step network, where it sees \[T, N, ...\]",
        ),
        (
            lambda: nn.Sequential(layer.SeqToANNContainer(neuron.IFNode()), neuron.IFNode(step_mode="m")),
            "'0': a neuron inside this SeqToANNContainer is given all steps as one",
        ),
        (_hooked, "'0' has forward hooks"),
    ],
)
def test_what_has_no_equal_is_named(build, message):
    with pytest.raises(ConversionError, match=message):
        from_spikingjelly(build())


def test_a_surrogate_of_choice_stands_for_any():
    ours = from_spikingjelly(neuron.IFNode(surrogate_function=surrogate.LogTailedReLU()), surrogate=ATan(3.0))
    assert ours.module.surrogate == ATan(3.0)
    with pytest.raises(ConversionError, match="'Shifted', which does not give 1"):
        from_spikingjelly(neuron.IFNode(surrogate_function=Shifted()), surrogate=ATan())
    with pytest.raises(ConfigError, match="surrogate is a str"):
        from_spikingjelly(neuron.IFNode(), surrogate="atan")
    with pytest.raises(ConfigError, match="not a str"):
        from_spikingjelly("net")


class Shifted(nn.Module):
    def forward(self, u):
        return (u > 0.5).to(u)
