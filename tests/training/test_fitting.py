"""A network that does not go with the recordings is named before anything is trained or written."""

import pytest
import torch
from torch import nn

from spikesim.errors import ConfigError, DatasetError
from spikesim.models import conv_snn
from spikesim.neurons import LIF
from spikesim.nn import Mean, Network
from spikesim.training import train
from spikesim.training.fitting import check_fit

_NETS = """
from torch import nn
from spikesim.neurons import LIF
from spikesim.nn import Mean, Network

def eleven():
    return Network(nn.Sequential(nn.Flatten(), nn.Linear(2312, 11), LIF()), readout=Mean())
"""


def test_a_wrong_number_of_classes_stops_before_training(tiny, tmp_path, monkeypatch):
    (tmp_path / "fitting_nets.py").write_text(_NETS)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"model: fitting_nets:eleven gives 11 scores .* have 10 classes \(0, 1, 2"):
        train(tiny.but(model="fitting_nets:eleven"))
    assert not tiny.out.exists()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(99, 2), LIF()), r"model: m:f cannot take .* \[P, H, W\]=\[2, 5, 5\]"),
        (nn.Conv2d(2, 2, 3), r"model: m:f gives \[1, 2, 3, 3\] for one recording, but training needs \[1, 2\]"),
    ],
)
def test_other_misfits_are_named(module, message):
    with pytest.raises(ConfigError, match=message):
        check_fit(Network(module, readout=Mean()), "m:f", (2, 5, 5), ["a", "b"], 3)


def test_the_check_leaves_no_trace():
    network = conv_snn(width=2, classes=2)
    before, random = {k: v.clone() for k, v in network.state_dict().items()}, torch.get_rng_state()
    check_fit(network, "conv_snn", (2, 34, 34), ["a", "b"], 2)
    assert network.training and torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_missing_recordings_are_named(tiny, tmp_path):
    with pytest.raises(DatasetError, match=r"there is no folder .*none"):
        train(tiny.but(data=tmp_path / "none"))
    with pytest.raises(ConfigError, match="nothing"):
        train(tiny.but(dataset="nothing"))
