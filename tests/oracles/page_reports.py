"""Reports of every kind that a page may be made of."""

import torch
from torch import nn

from spikesim.energy import Included, energy_report
from spikesim.neurons import IF, LIF, MultiThresholdIF
from spikesim.nn import Constant, Mean, Network


def _net(neuron, steps=None, groups=1):
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), neuron(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3, groups=groups), neuron(),
        nn.Flatten(), nn.Linear(6 * 4, 5),
    )  # fmt: skip
    return Network(layers, encoder=Constant(steps) if steps else None, readout=Mean())


def _converted():
    return energy_report(_net(lambda: IF(0.2), 6), torch.rand(4, 2, 8, 8), input="analog", source="noise")


def _events():
    x = torch.randint(0, 3, (5, 3, 2, 8, 8))
    mask = torch.ones(5, 3, dtype=torch.bool)
    mask[3:, 1] = False
    return energy_report(_net(lambda: LIF(threshold=0.2), groups=2), x, input="events", mask=mask, profile="lemaire45")


def _memory():
    include = Included(weights="dram", potentials="sram-8k")
    x = torch.rand(4, 2, 8, 8)
    return energy_report(_net(lambda: IF(0.2), 6), x, input="analog", profile="horowitz45-int8", include=include)


def _static():
    include = Included(latency=1e-3, baseline_latency=5e-4, clock_hz=1e8)
    return energy_report(
        _net(lambda: IF(0.2), 6), torch.rand(4, 2, 8, 8), input="analog", profile="odin", include=include
    )


def _messages():
    return energy_report(_net(lambda: MultiThresholdIF(0.5), 2), torch.rand(3, 2, 8, 8), input="analog")


def _plain():
    layers = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5), nn.Softmax(-1))
    return energy_report(layers, torch.rand(4, 2, 8, 8), input="analog")


def page_reports():
    """Name -> what makes the report."""
    return {
        "converted": _converted,
        "events": _events,
        "memory": _memory,
        "static": _static,
        "messages": _messages,
        "plain": _plain,
    }
