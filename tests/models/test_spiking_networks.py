"""Every spiking network: its parameters counted from its table, a step of learning, pieces, and its energy."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from spikesim.converters import audit
from spikesim.energy import Ledger, energy_report
from spikesim.errors import ConfigError, LedgerError
from spikesim.models import (
    build,
    conv_ann,
    conv_snn,
    mlp,
    ms_resnet,
    plif_cifar10dvs,
    plif_gesture,
    plif_net,
    plif_nmnist,
    resnet,
    sew_resnet,
    shd_delays,
    shd_recurrent,
    spikformer,
    spiking_mlp,
    spiking_vgg,
    vgg,
    vggsnn,
)
from spikesim.models.lookup import fitting
from spikesim.nn import DelayedLinear, Network

# Small ones, with the shape of one time step of one sample.
NETWORKS = {
    "plif": (lambda: plif_net(2, 16, classes=3, size=8, width=8), (2, 8, 8)),
    "spiking_vgg": (lambda: spiking_vgg(11, classes=3, width=0.125, hidden=16), (2, 32, 32)),
    "vggsnn": (lambda: vggsnn(classes=3, size=16, width=0.125), (2, 16, 16)),
    "sew add": (lambda: sew_resnet(18, classes=3, width=4), (2, 16, 16)),
    "sew and": (lambda: sew_resnet(18, classes=3, width=4, connect="and"), (2, 16, 16)),
    "sew iand": (lambda: sew_resnet(18, classes=3, width=4, connect="iand"), (2, 16, 16)),
    "ms": (lambda: ms_resnet(18, classes=3, width=4), (2, 16, 16)),
    "spikformer": (lambda: spikformer(classes=3, features=16, depth=1, heads=2), (2, 32, 32)),
    "shd_recurrent": (lambda: shd_recurrent(20, classes=3, hidden=16), (20,)),
    "shd_delays": (lambda: shd_delays(20, classes=3, hidden=16, max_delay=4), (20,)),
    "spiking_mlp": (lambda: spiking_mlp(20, classes=3, hidden=16), (20,)),
}


def _numbers(module):
    return sum(p.numel() for p in module.parameters())


def _batch(shape, steps=6, samples=8):
    labels = torch.arange(samples) % 3
    x = (torch.rand(steps, samples, *shape) < 0.3).float() * 2
    return x + 3 * (labels == 0).float().reshape(1, -1, *[1] * len(shape)) * (torch.rand(shape) < 0.3), labels


def _conv(inside, outside, kernel=3):
    return inside * outside * kernel**2


def test_plif_networks_have_the_parameters_of_their_table():
    def table(stages, side, hidden, outputs, w=128):
        convs = _conv(2, w) + (stages - 1) * _conv(w, w) + stages * 2 * w
        return convs + w * side**2 * hidden + hidden * outputs + stages + 2  # one w of each PLIF

    assert _numbers(plif_nmnist()) == table(2, 8, 2048, 100)
    assert _numbers(plif_cifar10dvs()) == table(4, 8, 512, 100)
    assert _numbers(plif_gesture()) == table(5, 4, 512, 110)


@pytest.mark.parametrize(("ours", "theirs", "biases"), [
    (plif_nmnist, "NMNISTNet", 2048 + 100),
    (plif_cifar10dvs, "CIFAR10DVSNet", 512 + 100),
    (plif_gesture, "DVSGestureNet", 512 + 110),
])  # fmt: skip
def test_plif_networks_are_those_of_spikingjelly_but_for_biases(ours, theirs, biases):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    networks = pytest.importorskip("spikingjelly.activation_based.model.parametric_lif_net")
    assert _numbers(getattr(networks, theirs)(spiking_neuron=neuron.ParametricLIFNode)) == _numbers(ours()) + biases


@pytest.mark.parametrize(("layers", "published"), [(18, 11_689_512), (34, 21_797_672)])
def test_residual_networks_have_the_parameters_of_torchvisions(layers, published):
    plain = {"classes": 1000, "channels": 3, "small": False}
    assert _numbers(sew_resnet(layers, **plain)) == _numbers(resnet(layers, **plain)) == published
    # Its first stage halves the size, and so has a shortcut of its own.
    assert _numbers(ms_resnet(layers, **plain)) == published + _conv(64, 64, 1) + 2 * 64


def test_vggs_have_the_parameters_of_their_table():
    assert _numbers(spiking_vgg(11, channels=3)) == _numbers(vgg(11)) == 9_753_674
    sizes = [2, 64, 128, 256, 256, 512, 512, 512, 512]
    convs = sum(_conv(a, b) + 3 * b for a, b in pairwise(sizes))
    assert _numbers(vggsnn()) == convs + 512 * 3 * 3 * 10 + 10


def test_the_transformer_has_the_parameters_of_its_table():
    d = 256
    stem = sum(_conv(a, b) + 2 * b for a, b in zip([2, 32, 64, 128], [32, 64, 128, 256]))
    attention = 4 * (d * d + 2 * d) + d
    block = attention + (4 * d * d + 4 * d + 8 * d) + (4 * d * d + d + 2 * d)
    assert _numbers(spikformer()) == stem + _conv(d, d) + 2 * d + 2 * block + 10 * d + 10
    assert round(_numbers(spikformer()) / 1e6, 2) == 2.57  # as published


def test_networks_for_sounds_have_the_parameters_of_their_table():
    assert _numbers(shd_recurrent()) == 700 * 128 + 128 * 128 + 128 * 20
    assert _numbers(shd_delays()) == 2 * (140 * 256 + 256 * 256 + 256 * 20) + 2 * 2 * 256


@pytest.mark.parametrize("name", NETWORKS)
def test_a_few_steps_lower_the_loss_and_everything_gets_a_gradient(name):
    network, shape = NETWORKS[name][0](), NETWORKS[name][1]
    for m in network.modules():
        if isinstance(m, nn.Dropout) or type(m).__name__ == "HeldDropout":
            m.p = 0.0
        elif name == "ms" and isinstance(m, nn.BatchNorm2d):
            nn.init.constant_(m.weight, 0.5)  # its blocks begin as the identity, behind which nothing learns
        elif name == "plif" and isinstance(m, nn.Linear):
            m.weight.data.mul_(4)  # so small a network is silent
    x, labels = _batch(shape)
    assert network(x).shape == (8, 3)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    losses = []
    for k in range(12):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(x) * (5 if "plif" in name else 1), labels)
        loss.backward()
        if k == 0:
            silent = [n for n, p in network.named_parameters() if p.grad is None]
        optimizer.step()
        losses.append(loss.item())
        if losses[-1] < losses[0]:
            break
    assert silent == []
    assert min(losses[1:]) < losses[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_pieces_equal_the_whole(name):
    network, shape = NETWORKS[name][0]().double().eval(), NETWORKS[name][1]
    x = _batch(shape, samples=2)[0].double()
    session = network.stream()
    pieces = torch.cat([session(x[:1]), session(x[1:4]), session(x[4:])])
    assert torch.allclose(pieces, network.unread(x), atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_energy_is_counted_or_refused_by_name(name):
    network, shape = NETWORKS[name][0](), NETWORKS[name][1]
    x = _batch(shape, samples=2)[0]
    if name == "shd_delays":
        with pytest.raises(LedgerError, match=r"DelayedLinear '1' has delays between whole steps"):
            Ledger.record(network, x, input="events")
        for m in network.modules():
            if isinstance(m, DelayedLinear):
                m.rounded()
    ledger = Ledger.record(network, x, input="events", strict=False)
    assert (
        sum(
            layer.counts["neuron_updates"].sum() for layer in ledger.layers.values() if "neuron_updates" in layer.counts
        )
        > 0
    )
    assert not ledger.unpriced


def test_a_recurrent_network_has_no_static_twin():
    network = NETWORKS["shd_recurrent"][0]()
    with pytest.raises(LedgerError, match=r"'2' \(Recurrent\) has no counterpart.*Ledger\.record"):
        energy_report(network, _batch((20,), samples=2)[0], input="events")


def test_lateral_synapses_are_counted_by_their_spikes():
    network, x = NETWORKS["shd_recurrent"][0]().eval(), _batch((20,), samples=2)[0]
    network.module[1].weight.data.abs_()
    recurrent = network.module[2]
    spikes = []
    recurrent.register_forward_hook(lambda m, i, o: spikes.append(o.unflatten(0, (6, 2))))
    network(x)
    ledger = Ledger.record(network, x, input="events")
    assert ledger.layers["2.lateral"].counts["synops_binary"].sum() == 16 * spikes[0][:-1].sum() > 0
    assert ledger.layers["2.neuron"].counts["spikes_out"].sum() == spikes[0].sum()


def test_spiking_networks_are_not_converted_but_their_twins_are():
    verdict = audit(spiking_mlp(20), torch.rand(2, 20))
    assert not verdict.convertible and "is a spiking neuron" in str(verdict)
    assert audit(mlp(20).eval(), torch.rand(2, 20)).convertible
    assert audit(conv_ann(size=8, width=4).eval(), torch.rand(2, 2, 8, 8)).convertible


def test_twins_share_weights():
    conv_ann(size=8, width=4).load_state_dict(conv_snn(size=8, width=4).module.state_dict(), strict=False)
    twin, spiking = conv_ann(size=8, width=4), conv_snn(size=8, width=4).module
    assert [p.shape for p in twin.parameters()] == [p.shape for p in spiking.parameters()]
    assert list(twin.state_dict()) == [k for k in spiking.state_dict() if k in twin.state_dict()]
    twin, spiking = vgg(11, channels=2, width=0.125), spiking_vgg(11, width=0.125).module
    assert [p.shape for p in twin.parameters()] == [p.shape for p in spiking.parameters()]


def test_delays_are_rounded_for_use():
    network = NETWORKS["shd_delays"][0]().eval()
    for m in network.modules():
        if isinstance(m, DelayedLinear):
            m.rounded()
            assert torch.equal(m.delay, m.delay.round())
    assert network(_batch((20,))[0]).shape == (8, 3)


def test_all_can_be_found_by_name():
    for name in ("plif_nmnist", "sew_resnet", "ms_resnet", "spikformer", "shd_recurrent", "shd_delays", "vggsnn"):
        options = fitting(name, channels=2, classes=3, size=32, inputs=2048)
        assert isinstance(build(name, **options), Network)
    assert fitting("package.module:factory", classes=3) == {}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plif_net(5, 16, size=16), "32 pixels for 5 max-pools"),
        (lambda: spiking_vgg(12), r"layers is 12; expected one of 11, 16, 19"),
        (lambda: vggsnn(size=8), "16 pixels"),
        (lambda: sew_resnet(50), "layers is 50"),
        (lambda: sew_resnet(connect="xor"), "connect is 'xor'"),
        (lambda: ms_resnet(width=0), "width=0"),
        (lambda: spikformer(features=100), "divisible by 8"),
        (lambda: spikformer(features=24, heads=5), "24 features.*5 heads"),
        (lambda: shd_recurrent(dt=0.0), "dt=0.0"),
        (lambda: shd_delays(hidden=0), "hidden=0"),
        (lambda: mlp(classes=0), "classes=0"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(ConfigError, match=words):
        call()
