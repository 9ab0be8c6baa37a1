"""Views under the conventions of other tools equal those tools, inside their conventions."""

import math

import pytest
import torch
from oracles.neurobench_metrics import measured
from torch import nn

from spikesim.dynamics import SpikeType
from spikesim.energy import Included, Ledger, load_profile
from spikesim.energy.charges import Side, formula_charges
from spikesim.energy.means import mean_counts
from spikesim.errors import LedgerError
from spikesim.neurons import IF, LIF, SignedIF
from spikesim.nn import Network


class Spiking(nn.Module):
    """Neurons as NeuroBench's hooks see them: modules on ``[T*N, ...]`` in a network that runs once."""

    def __init__(self, dims, neuron, groups=1, pruned=False):
        super().__init__()
        conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
        torch.manual_seed(dims)
        self.conv1, self.n1 = conv(2, 4, 3, padding=1), neuron()
        self.conv2, self.n2 = conv(4, 4, 3, stride=2, padding=1, groups=groups, dilation=1), neuron()
        self.flat, self.fc = nn.Flatten(), nn.Linear(4 * math.prod((s + 1) // 2 for s in SIZES[dims]), 5)
        if pruned:
            with torch.no_grad():
                for layer in (self.conv1, self.conv2, self.fc):
                    layer.weight[torch.rand_like(layer.weight) < 0.3] = 0

    def forward(self, x):
        return self.fc(self.flat(self.n2(self.conv2(self.n1(self.conv1(x))))))


SIZES = {1: (9,), 2: (6, 5), 3: (4, 3, 4)}


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize(
    "dims,neuron,groups", [(1, lambda: IF(0.2), 1), (2, lambda: LIF(threshold=0.2), 4), (3, lambda: SignedIF(0.1), 2)]
)
def test_spiking_networks_agree_with_neurobench(dims, neuron, groups, pruned):
    network = Network(Spiking(dims, neuron, groups, pruned)).eval()
    x = (torch.rand(4, 3, 2, *SIZES[dims]) < 0.4).float()
    theirs = measured(network, x, (IF, LIF, SignedIF))
    ledger = Ledger.record(network, x, input=SpikeType("binary"), connections="nonzero" if pruned else "all")
    ours = ledger.as_neurobench()
    assert ours["Effective_ACs"] > 0 and ours["Effective_MACs"] == 0
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize("pruned", [False, True])
def test_an_ann_agrees_with_neurobench(pruned):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(6, 4, 3, groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 3),
    ).eval()
    if pruned:
        with torch.no_grad():
            network[2].weight[torch.rand_like(network[2].weight) < 0.5] = 0
    x = torch.rand(4, 3, 6, 6)
    theirs = measured(network, x, ())
    ours = Ledger.record(network, x, input="analog", connections="nonzero").as_neurobench()
    assert ours["Effective_MACs"] > 0 == ours["Effective_ACs"]
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, rel=1e-6), name


def test_what_neurobench_would_see_otherwise_is_refused():
    layer = nn.Linear(3, 2)
    with pytest.raises(LedgerError, match=r"'\(root\)' receives graded events"):
        Ledger.record(layer, torch.ones(1, 3), input="events").as_neurobench()
    with torch.no_grad():
        layer.weight[0] = 0
    with pytest.raises(LedgerError, match="3 zero weights"):
        Ledger.record(layer, torch.ones(1, 3), input="analog").as_neurobench()


def test_syops_by_its_formulas():
    """``k^2 Cin Cout/groups`` per position and the bias, times the mean firing rate of the input."""
    network = Network(Spiking(2, lambda: IF(0.2), 2))
    x = torch.rand(4, 3, 2, *SIZES[2])
    with torch.no_grad():
        first = network.module.n1.run_rows(network.module.conv1(x.flatten(0, 1)), 4)[0]
        second = network.module.n2.run_rows(network.module.conv2(first), 4)[0]
    view = Ledger.record(network, x, input="analog").as_syops()
    macs = 12 * 30 * (9 * 2 * 4 + 4)
    acs = 12 * 9 * (9 * 4 * 2 + 4) * float(first.mean()) + 12 * (36 * 5 + 5) * float(second.mean())
    assert view["MACs"] == macs / 3
    assert view["ACs"] == pytest.approx(acs / 3, rel=1e-6)
    assert view["energy"] == pytest.approx(view["ACs"] * 0.9e-12 + view["MACs"] * 4.6e-12)
    with pytest.raises(LedgerError, match="connections='all'"):
        Ledger.record(nn.Linear(2, 2), torch.ones(1, 2), input="analog", connections="nonzero").as_syops()


def test_the_published_energy_of_syops():
    # Its README: ResNet-18 does 1.82 GMAC and costs 8.372 mJ.
    ledger = Ledger.record(nn.Linear(1820, 1000, bias=False), torch.ones(1, 1820), input="analog")
    assert ledger.as_syops()["energy"] * 1000 == pytest.approx(8.372e-3)


def test_syops_itself_agrees():
    # syops 0.0.5 and its imports: progress, and SpikingJelly 0.0.0.0.14 (later ones lack a neuron that it names).
    ops = pytest.importorskip("syops.ops", exc_type=ImportError)
    import numpy as np

    network = Network(Spiking(2, lambda: IF(0.2), 4))
    module, x = network.module, (torch.rand(4, 3, 2, *SIZES[2]) < 0.4).float()
    handles = []
    for layer in (module.conv1, module.conv2):
        layer.__syops__ = np.zeros(4)
        handles.append(layer.register_forward_hook(ops.conv_syops_counter_hook))
    with torch.no_grad():
        network(x)
    for handle in handles:
        handle.remove()
    module.fc = nn.Identity()
    view = Ledger.record(network, x, input=SpikeType("binary")).as_syops()
    theirs = (module.conv1.__syops__ + module.conv2.__syops__)[1] / 3
    assert view["ACs"] == pytest.approx(theirs, rel=1e-5)


def test_lemaire_by_its_formulas():
    """The quantities of Lemaire et al. (2022), written out for one network."""
    network = Network(Spiking(2, lambda: IF(0.2)))
    x = torch.rand(4, 3, 2, *SIZES[2])
    ledger = Ledger.record(network, x, input="analog")
    views = ledger.as_lemaire()
    assert list(views) == ["conv1", "conv2", "fc"]
    s1, s2 = ledger["n1"]["spikes_out"] / 3, ledger["n2"]["spikes_out"] / 3
    first = views["conv1"]
    assert first["mac"] == first["reads_in"] == first["reads_weights"] == 4 * 2 * 4 * 30 * 9
    assert first["acc_addressing"] == 4 * (2 * 30 + 4 * 30 + 4 * 9) and first["writes_out"] == 4 * 120
    second = views["conv2"]
    assert second["reads_weights"] == pytest.approx(s1 * 4 * 9)
    assert second["reads_potentials"] == second["writes_potentials"] == pytest.approx(s1 * 36 + 4 * 36)
    assert second["acc"] == pytest.approx(s1 * 4 * 4 + 4 * 36 + s2)  # ceil(3 / 2) squared outputs per spike
    assert (second["acc_addressing"], second["mac_addressing"]) == (pytest.approx(9 * s1), pytest.approx(2 * s1))
    assert second["mac"] == 0 and views["fc"]["acc"] == pytest.approx(s2 * 5 + 4 * 5)
    leaky = Ledger.record(Network(Spiking(2, lambda: LIF(threshold=0.2))), x, input="analog").as_lemaire()
    assert leaky["conv2"]["mac"] == 4 * 36


@pytest.mark.parametrize("events", [False, True])
def test_lemaires_profile_prices_what_the_view_counts(events):
    network = Network(Spiking(2, lambda: IF(0.2)))
    x = torch.randint(0, 2, (4, 3, 2, *SIZES[2])).float() if events else torch.rand(4, 3, 2, *SIZES[2])
    ledger = Ledger.record(network, x, input="events" if events else "analog")
    means, profile = mean_counts(ledger), load_profile("lemaire45")
    charged = formula_charges(means, profile, Included(), Side(), None)
    assert ledger.total()["spikes_out"] > 0
    # Beside the view stand an analog layer's result, added to the potentials at every step, and the resets behind it.
    current = 0 if events else 4 * 4 * 30 + ledger["n1"]["spikes_out"] / 3
    views = ledger.as_lemaire().values()
    for constant, names, more in (("mac", ("mac", "mac_addressing"), 0.0), ("add", ("acc", "acc_addressing"), current)):
        known = sum(float(charge.quantity) for charge in charged if charge.constant == constant)
        assert sum(view[name] for view in views for name in names) + more == pytest.approx(known)
