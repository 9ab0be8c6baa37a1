"""Closed forms of known networks."""

import torch
from torch import nn

from spikesim.energy import Ledger, load_profile, price

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
