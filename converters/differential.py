r"""Differential coding: edges carry changes of rates in place of rates (Huang et al., ICML 2025).

With spikes :math:`s(t)` the rate that a reader holds is

.. math:: m(t) = m(t-1) + \frac{s(t)}{t}, \qquad\text{so that}\qquad s(t) = t\,\bigl(m(t) - m(t-1)\bigr).

Linear layers pass changes on as they pass rates; only a bias is told once, at the first step. What is constant changes
at the first step and never again. A max-pool of changes is not the change of a max-pool, and a function that stays
analog is not linear either, so rates are put together before them and taken apart behind them.
"""

from __future__ import annotations

from typing import Any

from torch import fx

from spikesim.converters.inputs import Inputs
from spikesim.converters.linear import LINEAR
from spikesim.converters.running import Difference, RunningSum
from spikesim.converters.settling import TimedBias
from spikesim.converters.telescoping import Increment, RunningMean
from spikesim.converters.workbench import Workbench
from spikesim.dynamics import Neuron, SpikeType, State


class ChangeOf(Neuron):
    """From currents to changes: ``y(t) = x(t) - mean of x(1), ..., x(t-1)``; emits an analog value.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.differential import ChangeOf
        >>> ChangeOf()(torch.tensor([[2.0], [2.0], [5.0]])).flatten().tolist()
        [2.0, 0.0, 3.0]
    """

    states = {"mean": State(), "t": State()}
    params = {}
    emits = SpikeType("analog")

    def step(self, x: Any, *, mean: Any, t: Any) -> tuple[Any, dict[str, Any]]:
        """Compare with what is held."""
        now, change = t + 1.0, x - mean
        return change, {"mean": mean + change / now, "t": now}


class RateOf(Neuron):
    """From changes to currents: ``y(t) = x(t) + sum of x(k)/k, k < t``; emits an analog value.

    It undoes :class:`ChangeOf`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.differential import RateOf
        >>> RateOf()(torch.tensor([[2.0], [0.0], [3.0]])).flatten().tolist()
        [2.0, 2.0, 5.0]
    """

    states = {"mean": State(), "t": State()}
    params = {}
    emits = SpikeType("analog")

    def step(self, x: Any, *, mean: Any, t: Any) -> tuple[Any, dict[str, Any]]:
        """Add to what is held."""
        now = t + 1.0
        return mean + x, {"mean": mean + x / now, "t": now}


def differential_graph(graph: fx.GraphModule, example: Inputs) -> fx.GraphModule:
    """Let all edges behind the first neurons carry changes, on a copy.

    Args:
        graph: A spiking graph whose neurons take and send changes, see :class:`~spikesim.neurons.DifferentialIF`.
        example: An input ``[N, ...]``, or several.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> done = convert(model, torch.rand(8, 2), timesteps=4, neuron="differential")
        >>> [node.name for node in done.network.module.graph.nodes][1:]
        ['linear_0', 'linear_0_change', 'relu_1', 'linear_2', 'linear_2_bias', 'linear_2_bias_rate', 'output']
    """
    bench = Workbench(graph, example)
    nodes = list(bench.graph.nodes)
    constant: set[fx.Node] = set()
    for node in nodes:
        module = bench.module(node)
        if not isinstance(module, Neuron) and all(source in constant for source in node.all_input_nodes):
            constant.add(node)
        elif isinstance(module, LINEAR) and module.bias is not None:
            bias, module.bias = module.bias.detach().clone(), None
            bench.after(node, TimedBias(bias, 1), f"{node.name}_bias")
    for node in [n for n in nodes if n in constant and n.op != "output"]:
        readers = [user for user in node.users if user not in constant]
        if readers:
            change = bench.between(node, ChangeOf(), f"{node.name}_change", node.next)
            for reader in readers:
                reader.replace_input_with(node, change)
    for node in nodes:
        module = bench.module(node)
        if isinstance(module, (RunningSum, RunningMean)):
            rate = bench.between(node.all_input_nodes[0], RateOf(), f"{node.name}_rate", node)
            node.replace_input_with(node.all_input_nodes[0], rate)
        elif isinstance(module, (Difference, Increment)):
            bench.after(node, ChangeOf(), f"{node.name}_change")
    end = nodes[-1]
    for last in end.all_input_nodes:
        if last not in constant:
            end.replace_input_with(last, bench.between(last, RateOf(), f"{last.name}_rate", end))
    return bench.finish("SpikingGraph")
