"""Closed forms of known networks."""

import pytest
import torch
from oracles.made_ledgers import spikes_only
from oracles.near import near
from torch import nn

from spikesim.energy import Included, Ledger, load_profile, price
from spikesim.errors import PricingError

VGG16 = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512]


def vgg16_convolutions():
    layers, channels = [], 3
    for width in VGG16:
        if width == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers)


def closed_form():
    """Sum over layers of pairs of (input, output) positions within reach, with and without padding."""
    exact = padded = 0
    size, channels = 32, 3
    for width in VGG16:
        if width == "M":
            size //= 2
            continue
        exact += (3 * size - 2) ** 2 * channels * width
        padded += (3 * size) ** 2 * channels * width
        channels = width
    return exact, padded


def test_vgg16_on_cifar():
    total = Ledger.record(vgg16_convolutions(), torch.zeros(1, 3, 32, 32), input="analog").total()
    assert (total["mac_dense"], total["synapses_padded"]) == closed_form()
    assert round(total["mac_dense"] / 1e6, 2) == 247.31
    assert round(total["synapses_padded"] / 1e6, 2) == 313.20


def test_horowitz_sums():
    profile = load_profile("horowitz45-fp32")
    joules = {name: constant.joules for name, constant in profile.constants.items()}
    assert abs(joules["mac"] - joules["mul"] - joules["add"]) < 1e-18
    ledger = Ledger.record(nn.Linear(1000, 100, bias=False), torch.ones(3, 1000), input="analog")
    assert abs(price(ledger, profile).total - 100_000 * 4.6e-12) < 1e-15


@pytest.mark.parametrize("name,mac", [("fp32", 4.6), ("fp16", 1.5), ("int32", 3.2), ("int8", 0.23)])
def test_multiply_accumulates_in_other_formats(name, mac):
    assert load_profile(f"horowitz45-{name}").constants["mac"].value == mac


@pytest.mark.parametrize("clock,rate,microwatts", [(75e6, 37_500_000, 477), (1.3e6, 650_000, 35)])
def test_the_two_points_of_odin(clock, rate, microwatts):
    include = Included(latency=1.0, clock_hz=clock)  # one second: joules are watts
    watts = price(spikes_only(rate), load_profile("odin"), include=include).total
    assert round(1e6 * watts) == microwatts


@pytest.mark.parametrize("hertz,milliwatts", [(11.58, 68), (20.07, 71), (95.93, 94)])
def test_the_sweep_of_truenorth(hertz, milliwatts):
    events = round(1_048_576 * 128 * hertz)
    include = Included(latency=1.0)
    watts = price(spikes_only(events), load_profile("truenorth-affine"), include=include).total
    assert 1e3 * watts == near(milliwatts, abs=0.5)  # bars in whole milliwatts


def test_what_one_figure_for_all_rates_would_say_of_truenorth():
    """The all-in figure as a point model, at both ends of the sweep."""
    events = [1_048_576 * 128 * hertz for hertz in (11.58, 95.93)]
    wrong = [26e-12 * n / watts - 1 for n, watts in zip(events, (68e-3, 94e-3))]
    assert [round(100 * w, 1) for w in wrong] == [-40.6, 256.1]
    for n, latency in zip(events, (1.0, 1.0)):
        with pytest.raises(PricingError, match="affine"):
            price(spikes_only(round(n)), load_profile("truenorth-26"), include=Included(latency=latency))


@pytest.mark.parametrize("synops,millijoules", [(51_200_000, 1.448), (57_600_000, 1.599)])
def test_the_query_of_pohoiki(synops, millijoules):
    priced = price(spikes_only(synops, neuron_updates=4_608_000), load_profile("loihi1"))
    assert round(1e3 * priced.total, 3) == millijoules
    measured = 1.33e-3
    assert 0.08 < priced.total / measured - 1 < 0.21


def test_the_resnet18_of_syops():
    """1.82 G multiply-accumulates, as its table rounds them, at 4.6 pJ."""
    counts = spikes_only(0, mac_dense=1_820_000_000)
    assert 1e3 * price(counts, load_profile("horowitz45-fp32")).total == near(8.372)


class Block(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.a = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.b = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.short = nn.Conv2d(channels, width, 1, stride, bias=False) if stride > 1 or channels != width else None

    def forward(self, x):
        return torch.relu(self.b(torch.relu(self.a(x))) + (x if self.short is None else self.short(x)))


def resnet18(imagenet):
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1)] if imagenet else []
    layers = stem or [nn.Conv2d(3, 64, 3, 1, 1, bias=False)]
    channels = 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(channels, width, stride), Block(width, width, 1)]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000 if imagenet else 10))


def reach(size, kernel, stride, padding):
    """Pairs of an input and an output within reach of each other, along one axis, and outputs."""
    outputs = (size + 2 * padding - kernel) // stride + 1
    pairs = sum(0 <= o * stride - padding + k < size for o in range(outputs) for k in range(kernel))
    return pairs, outputs


def resnet18_closed_form(imagenet):
    exact = padded = 0
    size, channels = (224, 3) if imagenet else (32, 3)

    def convolution(width, kernel, stride, padding):
        nonlocal exact, padded
        pairs, outputs = reach(size, kernel, stride, padding)
        exact += pairs**2 * channels * width
        padded += (outputs * kernel) ** 2 * channels * width
        return outputs

    size = convolution(64, 7, 2, 3) if imagenet else convolution(64, 3, 1, 1)
    size, channels = (size // 2 if imagenet else size), 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for block in range(2):
            first = stride if block == 0 else 1
            if first > 1:
                convolution(width, 1, first, 0)
            size = convolution(width, 3, first, 1)
            channels = width
            convolution(width, 3, 1, 1)
    classes = 1000 if imagenet else 10
    return exact + 512 * classes, padded + 512 * classes


@pytest.mark.parametrize("imagenet,share", [(False, 0.866), (True, 0.9255)])
def test_resnet18(imagenet, share):
    size = 224 if imagenet else 32
    ledger = Ledger.record(resnet18(imagenet), torch.zeros(1, 3, size, size), input="analog")
    total = ledger.total()
    assert (total["mac_dense"], total["synapses_padded"]) == resnet18_closed_form(imagenet)
    # The published share is that of the convolutions with borders: no shortcuts of one pixel, no classifier.
    bordered = [layer for layer in ledger.layers.values() if layer["mac_dense"] < layer["synapses_padded"]]
    exact, padded = (sum(layer[column] for layer in bordered) for column in ("mac_dense", "synapses_padded"))
    assert exact / padded == near(share, abs=5e-5 if imagenet else 5e-4)
    if imagenet:
        assert total["synapses_padded"] == 1_814_073_344
