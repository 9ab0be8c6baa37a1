"""Every neuron that spikesim.neurons exports, with its defaults where it has them."""

import copy
import inspect

import torch

import spikesim.neurons
from spikesim.dynamics import Neuron
from spikesim.errors import ConfigError

_ARGUMENTS = {"Lapicque": {"beta": 0.9}}  # has no defaults by design


def _classes():
    found = {name: getattr(spikesim.neurons, name) for name in spikesim.neurons.__all__}
    return {n: c for n, c in found.items() if inspect.isclass(c) and issubclass(c, Neuron) and _concrete(c)}


def _concrete(neuron):
    return callable(getattr(neuron, "step", None)) and not inspect.isabstract(neuron) and neuron.states


def _built(name, neuron):
    try:
        return neuron(**_ARGUMENTS.get(name, {}))
    except (TypeError, ConfigError):  # it has no defaults
        return None


EVERY_NEURON = {
    name: built for name, neuron in sorted(_classes().items()) if (built := _built(name, neuron)) is not None
}


def drive(neuron, *shape):
    """An input under which most neurons fire now and then, with negative stretches."""
    generator = torch.Generator().manual_seed(7)
    return torch.randn(shape, generator=generator) * 1.5 + 0.8


def single_steps(neuron, x, state=None, mask=None):
    """Emitted values and states of a neuron that is run one step at a time over [T, N, ...]."""
    emitted, states = [], []
    for t, row in enumerate(x):
        out, state = neuron.run_rows(row, 1, state=state, mask=None if mask is None else mask[t : t + 1])
        emitted.append(out)
        states.append(state)
    return torch.stack(emitted), {k: torch.stack([s[k] for s in states]) for k in states[0]}


# One of each kind: plain, learnt, analog, two states, random numbers, graded, sub-steps.
KINDS = {name: EVERY_NEURON[name] for name in ("LIF", "PLIF", "LI", "AdLIF", "EscapeLIF", "ILIF", "Izhikevich")}


class SideBySide(torch.nn.Module):
    """Neurons on the same learnt features, [T*N, 4] -> [T*N, neurons, 6]."""

    def __init__(self, neurons=KINDS):
        super().__init__()
        self.features = torch.nn.Linear(4, 6)
        self.each = torch.nn.ModuleDict({name: copy.deepcopy(neuron) for name, neuron in neurons.items()})

    def forward(self, x):
        features = 2.0 * self.features(x)
        return torch.stack([neuron(features).float() for neuron in self.each.values()], 1)
