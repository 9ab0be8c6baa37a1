"""Label-free calibration of the initial potentials (Li et al., ICML 2021).

Layer by layer, what a neuron has sent too little in T steps is put into its potential before the first. Each neuron has
a potential of its own, found on few samples; so a channel keeps its potentials only if that lowers its squared error.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

from spikesim.converters.bias import Corrector, activations_of, channel_mean
from spikesim.converters.inputs import Inputs, every_step


@torch.no_grad()
def calibrate_potentials(
    ann: fx.GraphModule, snn: fx.GraphModule, theta: dict[str, Tensor], samples: Inputs, timesteps: int
) -> dict[str, float]:
    """Give the neurons of ``snn`` initial potentials of their own, in place.

    Args:
        ann: Canonical graph.
        snn: The same graph with neurons.
        theta: What a spike is worth by neuron name, ``[C]``.
        samples: A few inputs, ``[N, ...]``.
        timesteps: T.

    Returns:
        Mean absolute change per layer, in thresholds.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> x = torch.rand(32, 4, generator=torch.Generator().manual_seed(0))
        >>> ann = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> network, _ = convert(ann, x, timesteps=4, calibrate_potential=True)
        >>> network.neurons()["relu_1"].initial_v.shape
        torch.Size([8])
    """
    starter = _Starter(snn, activations_of(ann, samples), theta, timesteps)
    starter.run(every_step(samples, timesteps))
    return starter.shifts


class _Starter(Corrector):
    """Runs the spiking graph over folded time, setting each layer's initial potentials before going on."""

    def correct_neuron(self, n: fx.Node) -> Tensor:
        """Put what is missing into the potentials."""
        neuron = self.fetch_attr(str(n.target))
        current: Tensor = self.fetch_args_kwargs_from_env(n)[0][0]
        spikes = self.fire(neuron, current)
        axes = [-1] + [1] * (current.dim() - 2)
        activation = self.wanted.pop(n.name)
        activation = activation / self.theta[n.name].to(activation).reshape(axes)
        before = neuron.initial_v
        change = self.timesteps * (activation - self.rate(spikes)).mean(0)
        neuron.initial_v = before + change
        moved = self.fire(neuron, current)
        error, less = self.rate(spikes) - activation, self.rate(moved) - activation
        worse = (channel_mean(less**2) >= channel_mean(error**2)).reshape(axes)
        change = change.masked_fill(worse, 0.0)
        neuron.initial_v = before + change
        self.shifts[n.name] = change.abs().mean().item()
        return torch.where(worse, spikes, moved)

    def correct_output(self, name: str, source: fx.Node) -> None:
        """There is no potential behind the output."""
