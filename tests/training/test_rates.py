import pytest
import torch
from torch import nn

from spikesim.models import conv_snn
from spikesim.neurons import IF, LI
from spikesim.nn import Mean, Network
from spikesim.training import FiringRates


def _network():
    torch.manual_seed(0)
    return Network(nn.Sequential(nn.Linear(3, 4), IF(threshold=0.3), nn.Linear(4, 2), LI()), readout=Mean())


def _spikes(network, x):
    """Spikes of the only spiking layer, [T, N, 4], from that layer alone."""
    return network.module[1](network.module[0](x))


def test_rates_are_spikes_per_neuron_and_step_over_all_calls():
    network, first, second = _network(), torch.rand(5, 2, 3), torch.rand(3, 7, 3)
    with FiringRates(network) as rates:
        network(first)
        network(second)
    spikes = torch.cat([_spikes(network, x).flatten() for x in (first, second)])
    assert 0 < spikes.mean() < 1
    assert rates.means() == {"module.1": pytest.approx(spikes.mean().item())}  # LI emits no spikes


def test_masked_steps_do_not_count():
    network, x = _network(), torch.rand(6, 3, 3)
    lengths = [6, 2, 4]
    mask = torch.arange(6)[:, None] < torch.tensor(lengths)
    with FiringRates(network) as rates:
        rates.mask = mask
        network(x, mask=mask)
    spikes = _spikes(network, x)
    kept = [spikes[t, n] for n, length in enumerate(lengths) for t in range(length)]
    assert rates.means()["module.1"] == pytest.approx(torch.stack(kept).mean().item())


def test_channels_last_layers_and_hooks_are_gone_afterwards():
    network = conv_snn(width=2, size=16)
    with FiringRates(network) as rates:
        network(torch.rand(3, 2, 2, 16, 16) * 5)
    counted = rates.means()
    assert set(counted) == {f"module.features.{index}" for index in (2, 6, 10)}
    network(torch.rand(3, 2, 2, 16, 16) * 50)
    assert rates.means() == counted
    assert FiringRates(network).means() == {}
