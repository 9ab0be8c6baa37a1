import pytest
import torch

from spikesim.errors import ConfigError
from spikesim.models import conv_snn, digits_cnn
from spikesim.neurons import LIF


def _numbers(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("width", "size", "classes"), [(32, 34, 10), (4, 8, 3), (5, 16, 2)])
def test_conv_snn_has_the_parameters_of_its_table(width, size, classes):
    side = size // 8
    table = [18 * width + 2 * width, 18 * width**2 + 4 * width, 36 * width**2 + 4 * width]
    table.append(2 * width * side**2 * classes + classes)
    network = conv_snn(width=width, size=size, classes=classes)
    assert _numbers(network) == sum(table)
    assert network(torch.zeros(2, 3, 2, size, size)).shape == (3, classes)
    assert sum(isinstance(m, LIF) for m in network.modules()) == 3


@pytest.mark.parametrize("width", [4, 32])
def test_digits_cnn_has_the_parameters_of_its_table(width):
    table = [11 * width, 2 * (9 * width**2 + 2 * width), 18 * width**2 + 4 * width, 8 * width * 10 + 10]
    assert _numbers(digits_cnn(width=width)) == sum(table)


def test_conv_snn_learns_through_time():
    torch.manual_seed(0)
    network = conv_snn(width=2, size=8, classes=2)
    network(torch.rand(3, 4, 2, 8, 8) * 5).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert network.module.features[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("options", [{"size": 7}, {"classes": 0}, {"width": 0}, {"channels": 0}])
def test_impossible_sizes_are_named(options):
    with pytest.raises(ConfigError, match=str(next(iter(options.values())))):
        conv_snn(**options)
    if "size" not in options and "channels" not in options:
        with pytest.raises(ConfigError, match="positive"):
            digits_cnn(**options)
