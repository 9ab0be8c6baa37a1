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

from spikesim.converters.flow import quantised_rate, tally_range
from spikesim.converters.linear import LINEAR, add_bias
from spikesim.converters.maxpool import ALL_MAX, ALL_MEAN
from spikesim.converters.policies import CONVERTED
from spikesim.converters.rectifier import Rectifier
from spikesim.converters.running import Difference, RunningSum
from spikesim.dynamics import Neuron


@torch.no_grad()
def calibrate_biases(
    ann: fx.GraphModule,
    snn: fx.GraphModule,
    theta: dict[str, Tensor],
    samples: Tensor,
    timesteps: int,
    settled_at: int | None = None,
    wait: int = 0,
) -> dict[str, float]:
    """Correct the biases of ``snn`` in place.

    Args:
        ann: Canonical graph.
        snn: The same graph with neurons, see :func:`spikesim.converters.scales.fold_scales`.
        theta: Thresholds by neuron name, ``[C]``.
        samples: A few inputs, ``[N, ...]``.
        timesteps: T.
        settled_at: Largest tally of neurons that will settle, so that their rates are those of even spikes; None for
            others, which are run.
        wait: Steps before the T that count.

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
    wanted = activations_of(ann, samples)
    if settled_at is None:
        corrector = Corrector(snn, wanted, theta, wait + timesteps, wait)
        corrector.run(samples.expand(wait + timesteps, *samples.shape).flatten(0, 1))
    else:
        corrector = _Settled(snn, wanted, theta, timesteps, settled_at)
        corrector.run(samples)
    return corrector.shifts


def channel_mean(x: Tensor) -> Tensor:
    """Mean of ``[N, C, ...]`` per channel, in double precision."""
    return x.transpose(0, 1).flatten(1).double().mean(1)


def activations_of(ann: fx.GraphModule, samples: Tensor) -> dict[str, Tensor]:
    """The activation of each Rectifier and the output of the ANN, by node name."""
    activations = _Activations(ann)
    activations.run(samples)
    return activations.found


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


class Corrector(fx.Interpreter):
    """Runs the spiking graph over folded time, correcting each neuron's bias before going on."""

    def __init__(
        self, module: fx.GraphModule, wanted: dict[str, Tensor], theta: dict[str, Tensor], steps: int, wait: int = 0
    ) -> None:
        super().__init__(module)
        self.wanted, self.theta, self.timesteps, self.wait = wanted, theta, steps, wait
        self.shifts: dict[str, float] = {}

    def run_node(self, n: fx.Node) -> Any:
        """One node."""
        if n.op == "call_module" and isinstance(self.fetch_attr(str(n.target)), CONVERTED):
            return self.correct_neuron(n)
        if n.op == "call_module" and isinstance(self.fetch_attr(str(n.target)), Neuron):
            return self.fire(self.fetch_attr(str(n.target)), self.fetch_args_kwargs_from_env(n)[0][0])
        result = super().run_node(n)
        if n.op == "output":
            self.correct_output(n, result)
        return result

    def correct_output(self, n: fx.Node, result: Tensor) -> None:
        """Correct the bias of the output."""
        host = bias_host(self.module, n)
        if host is not None:
            shift = channel_mean(self.wanted.pop(n.name)) - channel_mean(self.rate(result))
            add_bias(host, shift)
            self.shifts["output"] = shift.abs().mean().item()

    def correct_neuron(self, n: fx.Node) -> Tensor:
        """Correct the bias of a neuron's layer; gives its spikes."""
        neuron = self.fetch_attr(str(n.target))
        current: Tensor = self.fetch_args_kwargs_from_env(n)[0][0]
        spikes = self.fire(neuron, current)
        activation, host = self.wanted.pop(n.name), bias_host(self.module, n)
        if host is None:
            return spikes
        axes = [-1] + [1] * (current.dim() - 2)
        activation = activation / self.theta[n.name].to(activation).reshape(axes)
        error = self.rate(spikes) - activation
        shift = -channel_mean(error)
        shifted = self.fire(neuron, current + shift.to(current).reshape(axes))
        worse = channel_mean((self.rate(shifted) - activation) ** 2) >= channel_mean(error**2)
        shift = shift.masked_fill(worse, 0.0)
        add_bias(host, shift)
        self.shifts[n.name] = shift.abs().mean().item()
        return torch.where(worse.reshape(axes), spikes, shifted)

    def fire(self, neuron: nn.Module, current: Tensor) -> Tensor:
        """Spikes ``[T*N, ...]`` for a current ``[T*N, ...]``."""
        spikes: Tensor = neuron(current.reshape(self.timesteps, -1, *current.shape[1:]))
        return spikes.flatten(0, 1)

    def rate(self, spikes: Tensor) -> Tensor:
        """Spikes per step ``[N, ...]``, over the steps that count."""
        return spikes.reshape(self.timesteps, -1, *spikes.shape[1:])[self.wait :].mean(0)


class _Settled(Corrector):
    """Runs the graph on rates: what neurons that settle will have sent."""

    def __init__(
        self, module: fx.GraphModule, wanted: dict[str, Tensor], theta: dict[str, Tensor], timesteps: int, most: int
    ) -> None:
        super().__init__(module, wanted, theta, 1)
        self._steps, self._most = timesteps, most

    def fire(self, neuron: nn.Module, current: Tensor) -> Tensor:
        if not isinstance(neuron, CONVERTED):
            return current
        least, high = tally_range(neuron, self._most)
        return quantised_rate(current, self._steps, high, least)


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
    reshapes = isinstance(module, (nn.Flatten, nn.Unflatten))
    same_channels = reshapes and before[0] == after[0] and len(before) + len(after) == 3
    return (
        _host(graph, inner)
        if isinstance(module, (*ALL_MAX, *ALL_MEAN, RunningSum, Difference)) or same_channels
        else None
    )
