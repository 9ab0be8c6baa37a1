"""Pitfalls of counting that no other file here names: precision, mean rates, the mode, other packages' neurons."""

import pytest
import snntorch as snn
import torch
from oracles.near import near
from torch import nn

from spikesim.converters import convert, from_snntorch
from spikesim.dynamics import SpikeType
from spikesim.energy import Ledger, energy_report, load_profile, profile_names
from spikesim.errors import LedgerError
from spikesim.neurons import IF
from spikesim.nn import Constant, Mean, Network


@pytest.mark.parametrize("name", [n for n in profile_names() if load_profile(n).has_baseline])
def test_both_sides_are_priced_in_one_precision(name):
    """An ANN in one number format beside a network in another would move the ratio; a common factor may not."""
    net = Network(nn.Sequential(nn.Linear(6, 9), IF(0.2), nn.Linear(9, 3)), encoder=Constant(4), readout=Mean())
    profile, x = load_profile(name), torch.rand(3, 6)
    tripled = {
        constant: figure.model_copy(update={part: 3 * getattr(figure, part) for part in ("value", "low", "high")})
        for constant, figure in profile.constants.items()
    }
    one = energy_report(net, x, input="analog", profile=profile)
    other = energy_report(net, x, input="analog", profile=profile.model_copy(update={"constants": tripled}))
    for side, joules in one.energies.items():
        assert other.energies[side] == near(3 * joules, rel=1e-9)
    for constant in ("mac", "synop", "add"):
        if constant in profile.constants:
            assert profile.constants[constant].precision == profile.constants["mac"].precision


def test_a_mean_rate_times_all_connections_is_another_number():
    """Spikes at the border have fewer connections than the mean says, and spikes of a pruned channel none."""
    net = Network(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, bias=False)))
    with torch.no_grad():
        net.module[0].weight[:, 1] = 0
    corner = torch.zeros(1, 1, 2, 5, 5)
    corner[..., 0, 0] = 1
    counted = {c: Ledger.record(net, corner, input=SpikeType("binary"), connections=c) for c in ("all", "nonzero")}
    assert counted["all"].total()["synops_binary"] == 2 * 4 * 3
    assert counted["nonzero"].total()["synops_binary"] == 4 * 3
    total = counted["all"].total()
    assert total["synapses"] * 2 / corner.numel() > total["synops_binary"]


def test_the_mode_of_the_network_changes_no_count():
    layers = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), IF(0.2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 3)
    )
    net, x = Network(layers, encoder=Constant(3), readout=Mean()), torch.rand(4, 2, 6, 6)
    ledgers = [Ledger.record(net.train(mode), x, input="analog").to_dict() for mode in (True, False)]
    assert ledgers[0] == ledgers[1]


@pytest.mark.parametrize(
    "options,steps,times",
    [({}, 4, 1), ({"neuron": "srp(3)"}, 7, 1), ({"neuron": "cos(2)"}, 4, 2), ({"exact": True}, None, 1)],
)
def test_every_step_that_is_run_is_counted(options, steps, times):
    """Steps before the T of a method, steps gone through twice, and steps until the network has settled."""
    torch.manual_seed(0)
    ann = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    x = torch.rand(5, 6)
    ledger = Ledger.record(convert(ann, x, timesteps=4, **options).network, x, input="analog")
    assert ledger.timesteps == steps or (steps is None and ledger.timesteps > 4)
    neurons = [layer for name, layer in ledger.layers.items() if name.startswith("relu")]  # biases that end are others
    assert sum(layer["neuron_updates"] for layer in neurons) == times * (12 + 8) * int(ledger.active.sum())
    assert int(ledger.active.sum()) == 5 * steps if steps else int(ledger.active.sum()) > 5 * 4
    assert ledger.total()["synops_binary"] + ledger.total()["synops_signed"] > 0


def test_neurons_of_another_package_are_no_activation_functions():
    layers = nn.Sequential(nn.Linear(6, 10), snn.Leaky(0.9, init_hidden=True, threshold=0.1), nn.Linear(10, 3))
    for net in (layers, Network(layers)):
        with pytest.raises(LedgerError, match=r"'1' is a neuron of snntorch.*from_snntorch"):
            Ledger.record(net, torch.rand(4, 2, 6), input="analog")
    net, x = from_snntorch(layers), torch.rand(4, 2, 6)
    ledger = Ledger.record(net, x, input="analog")
    assert ledger.total()["synops_binary"] == 3 * ledger.total()["spikes_out"] > 0
