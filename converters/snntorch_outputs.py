"""What a snnTorch neuron gives beside plain spikes: spikes of another worth, and its states."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from spikesim.dynamics import Neuron, SpikeType
from spikesim.neurons import SpikingNeuron


class Graded(nn.Module):
    """Spikes times a factor, as ``graded_spikes_factor`` in snnTorch.

    Args:
        neuron: what fires.
        factor: a number or a tensor that broadcasts to the spikes of a step; an ``nn.Parameter`` if it is learnt.

    >>> import torch
    >>> from spikesim.nn import Network
    >>> from spikesim.neurons import IF
    >>> Network(Graded(IF(), torch.tensor(3.0)))(torch.ones(2, 1, 1)).flatten()
    tensor([3., 3.])
    """

    factor: Tensor

    def __init__(self, neuron: nn.Module, factor: Tensor) -> None:
        super().__init__()
        self.neuron = neuron
        if isinstance(factor, nn.Parameter):
            self.factor = factor
        else:
            self.register_buffer("factor", factor)

    def forward(self, x: Tensor) -> Tensor:
        """Fire and scale."""
        spikes: Tensor = self.neuron(x)
        return spikes * self.factor


class StateOf(Neuron):
    """A second run of a neuron that emits one of its states after every step, with a gradient.

    Args:
        neuron: whose equations and parameters, the very same tensors, it has.
        state: name of the state.

    >>> import torch
    >>> from spikesim.neurons import IF
    >>> StateOf(IF(), "v")(torch.full((4, 1), 0.4)).flatten()
    tensor([0.4000, 0.8000, 0.2000, 0.6000])
    """

    emits = SpikeType("analog")
    source: tuple[SpikingNeuron, str]

    def __init__(self, neuron: SpikingNeuron, state: str) -> None:
        self.states, self.params = neuron.states, neuron.params
        # In a tuple, so that the neuron is no part of this module: a Network would expect its state.
        self.__dict__["source"] = (neuron, state)
        values = {k: getattr(neuron, k) for k in neuron.params}
        super().__init__(learnable=[k for k, v in values.items() if isinstance(v, nn.Parameter)])
        # Registered as they are, past the check and the copy of numbers: what is learnt is learnt for both.
        for key, value in values.items():
            (self._parameters if isinstance(value, nn.Parameter) else self._buffers)[key] = value

    def step(self, x: Any, **values: Any) -> tuple[Any, dict[str, Any]]:
        """The neuron's step, with a state in place of the spikes."""
        neuron, state = self.source
        _, new = neuron.equations()(x, **values)
        return new[state], new


class SpikesAndStates(nn.Module):
    """The last neuron of a network with ``output=True``: a tuple of its spikes and its states.

    Args:
        neuron: what fires.
        spikes: the neuron, or what scales its spikes.
        states: names of the states that follow the spikes.

    >>> import torch
    >>> from spikesim.nn import Network
    >>> from spikesim.neurons import IF
    >>> neuron = IF()
    >>> spikes, potential = Network(SpikesAndStates(neuron, neuron, ["v"]))(torch.full((3, 1, 1), 0.4))
    >>> spikes.flatten(), potential.flatten()
    (tensor([0., 0., 1.]), tensor([0.4000, 0.8000, 0.2000]))
    """

    def __init__(self, neuron: SpikingNeuron, spikes: nn.Module, states: Iterable[str]) -> None:
        super().__init__()
        self.spikes = spikes
        self.states = nn.ModuleDict({state: StateOf(neuron, state) for state in states})

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Spikes ``[T*N, ...]``, then each state in the same shape."""
        return (self.spikes(x), *(trace(x) for trace in self.states.values()))
