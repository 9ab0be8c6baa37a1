"""Label-free bias calibration: bring each channel's mean rate to the ANN's mean activation.

Layer by layer on a few samples, the mean difference between the ANN's activation and the spiking layer's rate is
added to the current of that layer (Li et al., ICML 2021, the light calibration). Earlier layers are corrected first,
so that each layer sees the input it will get. A channel keeps its correction only if that lowers its mean squared
error: at one or two steps a shift can otherwise do harm.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikesim.converters.linear import LINEAR, add_bias
from spikesim.converters.maxpool import ALL_MAX, ALL_MEAN
from spikesim.converters.rectifier import Rectifier
from spikesim.converters.running import Difference, RunningSum
from spikesim.dynamics import Neuron
from spikesim.neurons import IF


@torch.no_grad()
def calibrate_biases(
    ann: fx.GraphModule, snn: fx.GraphModule, theta: dict[str, Tensor], samples: Tensor, timesteps: int
) -> dict[str, float]:
    """Correct the biases of ``snn`` in place.

    Args:
        ann: Canonical graph.
        snn: The same graph with neurons, see :func:`spikesim.converters.scales.fold_scales`.
        theta: Thresholds by neuron name, ``[C]``.
        samples: A few inputs, ``[N, ...]``.
        timesteps: T.

    Returns:
        Mean absolute shift per corrected layer, as a fraction of its threshold; ``"output"`` in the output's
        own unit. A neuron is left out where no layer feeds it alone (it reads a concatenation, for instance).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.bias import calibrate_biases
        >>> from spikesim.converters.canonical import canonicalise
        >>> from spikesim.converters.scales import fold_scales
        >>> x = torch.rand(8, 3, generator=torch.Generator().manual_seed(0))
        >>> ann = canonicalise(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), x).graph
        >>> theta = {"relu_1": torch.ones(4)}
        >>> snn = fold_scales(ann, x, theta)
        >>> sorted(calibrate_biases(ann, snn, theta, x, 4))
        ['output', 'relu_1']
    """
    activations = _Activations(ann)
    activations.run(samples)
    corrector = _Corrector(snn, activations.found, theta, timesteps)
    corrector.run(samples.expand(timesteps, *samples.shape).flatten(0, 1))
    return corrector.shifts


def _channel_mean(x: Tensor) -> Tensor:
    return x.transpose(0, 1).flatten(1).double().mean(1)


class _Activations(fx.Interpreter):
    """Keeps the activation of each Rectifier, and the output."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        rectifier = n.op == "call_module" and isinstance(self.module.get_submodule(str(n.target)), Rectifier)
        if rectifier or n.op == "output":
            self.found[n.name] = result
        return result


class _Corrector(fx.Interpreter):
    """Runs the spiking graph over folded time, correcting each neuron's bias before going on."""

    def __init__(
        self, module: fx.GraphModule, wanted: dict[str, Tensor], theta: dict[str, Tensor], timesteps: int
    ) -> None:
        super().__init__(module)
        self.wanted, self.theta, self.timesteps = wanted, theta, timesteps
        self.shifts: dict[str, float] = {}

    def run_node(self, n: fx.Node) -> Any:
        if n.op == "call_module" and isinstance(self.fetch_attr(str(n.target)), IF):
            return self._neuron(n)
        if n.op == "call_module" and isinstance(self.fetch_attr(str(n.target)), Neuron):
            return self._fire(self.fetch_attr(str(n.target)), self.fetch_args_kwargs_from_env(n)[0][0])
        result = super().run_node(n)
        host = bias_host(self.module, n) if n.op == "output" else None
        if host is not None:
            shift = _channel_mean(self.wanted.pop(n.name)) - _channel_mean(result)
            add_bias(host, shift)
            self.shifts["output"] = shift.abs().mean().item()
        return result

    def _neuron(self, n: fx.Node) -> Tensor:
        neuron = self.fetch_attr(str(n.target))
        current: Tensor = self.fetch_args_kwargs_from_env(n)[0][0]
        spikes = self._fire(neuron, current)
        activation, host = self.wanted.pop(n.name), bias_host(self.module, n)
        if host is None:
            return spikes
        axes = [-1] + [1] * (current.dim() - 2)
        activation = activation / self.theta[n.name].to(activation).reshape(axes)
        error = self._rate(spikes) - activation
        shift = -_channel_mean(error)
        shifted = self._fire(neuron, current + shift.to(current).reshape(axes))
        worse = _channel_mean((self._rate(shifted) - activation) ** 2) >= _channel_mean(error**2)
        shift = shift.masked_fill(worse, 0.0)
        add_bias(host, shift)
        self.shifts[n.name] = shift.abs().mean().item()
        return torch.where(worse.reshape(axes), spikes, shifted)

    def _fire(self, neuron: nn.Module, current: Tensor) -> Tensor:
        spikes: Tensor = neuron(current.reshape(self.timesteps, -1, *current.shape[1:]))
        return spikes.flatten(0, 1)

    def _rate(self, spikes: Tensor) -> Tensor:
        return spikes.reshape(self.timesteps, -1, *spikes.shape[1:]).mean(0)


def bias_host(graph: nn.Module, node: fx.Node) -> nn.Module | None:
    """The layer whose bias is a constant current of ``node`` and of nothing else, or None.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.bias import bias_host
        >>> from spikesim.converters.canonical import canonicalise
        >>> graph = canonicalise(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.zeros(1, 2)).graph
        >>> neuron = [n for n in graph.graph.nodes if n.name == "relu_1"][0]
        >>> bias_host(graph, neuron) is graph.get_submodule("linear_0")
        True
    """
    source = node.args[0]
    return _host(graph, source) if isinstance(source, fx.Node) else None


def _host(graph: nn.Module, source: fx.Node) -> nn.Module | None:
    if len(source.users) != 1:
        return None
    if source.op == "call_function" and source.target is operator.add and source.args[0] is not source.args[1]:
        hosts = [host for host in (_host(graph, operand) for operand in source.all_input_nodes) if host]
        biased = [host for host in hosts if host.bias is not None]
        return next(iter(biased or hosts), None)
    if source.op != "call_module":
        return None
    module = graph.get_submodule(str(source.target))
    if isinstance(module, LINEAR):
        return module
    inner = source.all_input_nodes[0]
    before, after = inner.meta["shape"], source.meta["shape"]
    same_channels = before[0] == after[0] and len(before) + len(after) == 3
    return (
        _host(graph, inner)
        if isinstance(module, (*ALL_MAX, *ALL_MEAN, RunningSum, Difference)) or same_channels
        else None
    )
