r"""Bias: bring each channel's mean rate to the ANN's mean activation (Li et al., ICML 2021, the light calibration).

.. math:: b_c \leftarrow b_c + \overline{a_c - r_c}

with the mean over samples and places. A channel keeps its shift only if that lowers its squared error: at one or two
steps a shift can otherwise do harm.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from spikesim.converters.lazy import Lazy
from spikesim.converters.linear import add_bias
from spikesim.converters.packed import Packed, take
from spikesim.converters.prefix import Prefix, Task, channel_mean, hosts_at


@torch.no_grad()
def calibrate_biases(task: Task) -> dict[str, float]:
    """Correct the biases of the spiking graph in place.

    Args:
        task: What to work on.

    Returns:
        Mean absolute shift per corrected layer, as a fraction of its threshold; those of the outputs
        (``"output"``, or ``"output.0"`` and so on for several) in their own unit. A neuron is left out where no layer
        feeds it alone (it reads a concatenation, for instance).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> x = torch.rand(8, 3, generator=torch.Generator().manual_seed(0))
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> convert(model, x, timesteps=4, calibrate="bias").report.output_bias_shift is None
        False
    """
    return _Biases(task).walk()


class _Biases(Prefix):
    def correct(self, n: fx.Node, neuron: nn.Module, current: Lazy, wanted: Tensor) -> Tensor | Packed:
        spikes, host = self.fire(neuron, current), bias_host(self.module, n.all_input_nodes[0])
        if host is None:
            return spikes
        error = self.rate(spikes).sub_(wanted)
        shift, before = -channel_mean(error), channel_mean(error.square_())
        del error
        shifted = self.fire(neuron, current, shift)
        worse = channel_mean(self.rate(shifted).sub_(wanted).square_()) >= before
        shift = shift.masked_fill(worse, 0.0)
        add_bias(host, shift)
        self.moved[n.name] = shift.abs().mean().item()
        take(shifted, spikes, worse)
        return shifted

    def correct_output(self, name: str, source: fx.Node, result: Tensor, wanted: Tensor) -> None:
        host = bias_host(self.module, source)
        if host is not None:
            shift = channel_mean(wanted) - channel_mean(self.rate(result))
            add_bias(host, shift)
            self.moved[name] = shift.abs().mean().item()


def bias_host(graph: nn.Module, source: fx.Node) -> nn.Module | None:
    """The layer whose bias is a constant part of a current and of nothing else, or None; one that has a bias first.

    Args:
        graph: Holds the modules.
        source: The node that gives the current of a neuron, or an output.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.bias import bias_host
        >>> from spikesim.converters.canonical import canonicalise
        >>> graph = canonicalise(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.zeros(1, 2)).graph
        >>> neuron = [n for n in graph.graph.nodes if n.name == "relu_1"][0]
        >>> bias_host(graph, neuron.args[0]) is graph.get_submodule("linear_0")
        True
    """
    hosts = [graph.get_submodule(str(host.target)) for host in hosts_at(graph, source)]
    return next((host for host in hosts if host.bias is not None), next(iter(hosts), None))
