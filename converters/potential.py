r"""Potential: what a neuron sent too little in T steps is put into it before the first (Li et al., ICML 2021).

.. math:: v_i(0) \leftarrow v_i(0) + T\, \overline{a_i - r_i}

with the mean over samples. Each neuron has a potential of its own, found on few samples; so a channel keeps its
potentials only if that lowers its squared error.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from spikesim.converters.lazy import Lazy
from spikesim.converters.packed import Packed, take
from spikesim.converters.prefix import Prefix, Task, along_channels, channel_mean


@torch.no_grad()
def calibrate_potentials(task: Task) -> dict[str, float]:
    """Give the neurons of the spiking graph initial potentials of their own, in place.

    Args:
        task: What to work on.

    Returns:
        Mean absolute change per layer, in thresholds.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> x = torch.rand(32, 4, generator=torch.Generator().manual_seed(0))
        >>> ann = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> network, _ = convert(ann, x, timesteps=4, calibrate=("bias", "potential"))
        >>> network.neurons()["relu_1"].initial_v.shape
        torch.Size([8])
    """
    return _Potentials(task).walk()


class _Potentials(Prefix):
    def correct(self, n: fx.Node, neuron: Any, current: Lazy, wanted: Tensor) -> Tensor | Packed:
        spikes, before = self.fire(neuron, current), neuron.initial_v
        error = self.rate(spikes).sub_(wanted)
        change = -self.task.timesteps * error.mean(0)
        neuron.initial_v = before + change
        moved = self.fire(neuron, current)
        worse = channel_mean(self.rate(moved).sub_(wanted).square_()) >= channel_mean(error.square_())
        change = change.masked_fill(along_channels(worse, wanted), 0.0)
        neuron.initial_v = before + change
        self.moved[n.name] = change.abs().mean().item()
        take(moved, spikes, worse)
        return moved
