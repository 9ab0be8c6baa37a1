"""Put running means before the analog functions of a spiking graph, and differences behind them.

Each value of the graph is one of three kinds: the same at every step, as long as nothing before it spikes; a current of
a step; or a mean over the steps so far. Analog functions take means and give means, layers and neurons take currents,
linear moves keep what they get. Where kinds meet, a node of :mod:`telescoping` stands between them. In the mean over
time all of these are nothing, so that scales, biases and certificates do not see them.
"""

from __future__ import annotations

from typing import Literal

from torch import fx, nn

from spikesim.converters.analog import ANALOG
from spikesim.converters.inputs import Inputs
from spikesim.converters.linear import LINEAR
from spikesim.converters.maxpool import ALL_MAX
from spikesim.converters.movements import SHIFTS, TokenEmbedding
from spikesim.converters.telescoping import UNENDING, Held, Increment, RunningMean
from spikesim.converters.workbench import Workbench
from spikesim.dynamics import Neuron

Kind = Literal["same", "step", "mean"]


def telescope(graph: fx.GraphModule, example: Inputs, settle_after: int | None = None) -> fx.GraphModule:
    """Make the analog functions of a spiking graph exact in the mean, on a copy.

    Args:
        graph: A spiking graph; without analog functions and constants it comes back as it is.
        example: An input ``[N, ...]``.
        settle_after: T, if the input ends after T steps and the network then settles.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.telescope import telescope
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.workbench import Workbench
        >>> from spikesim.neurons import IF
        >>> bench = Workbench(trace(nn.Sequential(nn.ReLU(), nn.Linear(2, 3), nn.GELU())), torch.zeros(1, 2))
        >>> bench.root.relu_0 = IF()
        >>> graph = telescope(bench.finish(), torch.zeros(1, 2))
        >>> [node.name for node in graph.graph.nodes]
        ['x', 'relu_0', 'linear_1', 'linear_1_mean', 'gelu_2', 'gelu_2_increment', 'output']
    """
    if not any(isinstance(module, (*ANALOG, *SHIFTS, TokenEmbedding)) for module in graph.children()):
        return graph
    bench = Workbench(graph, example)
    kinds: dict[fx.Node, Kind] = {}
    made: dict[tuple[fx.Node, Kind], fx.Node] = {}
    steps = UNENDING if settle_after is None else float(settle_after)
    for node in list(bench.graph.nodes):
        sources, module = node.all_input_nodes, bench.module(node)
        wanted = _wanted(module, node, [kinds[source] for source in sources], settle_after is not None)
        for source in sources:
            if wanted is not None and kinds[source] != wanted:
                node.replace_input_with(source, _as(bench, source, wanted, node, kinds, made, steps))
        kinds[node] = "step" if isinstance(module, Neuron) else wanted or "same"
    return bench.finish("SpikingGraph")


def _wanted(module: nn.Module | None, node: fx.Node, given: list[Kind], settles: bool) -> Kind | None:
    """The kind that a node needs of all it reads; None where it may stay the same at every step."""
    if set(given) <= {"same"}:
        # A neuron repeats a constant input by itself; but what is computed from an input does not end with it.
        return "step" if settles and (isinstance(module, Neuron) or node.op == "output") else None
    if isinstance(module, (*ANALOG, *SHIFTS)):
        return "mean"
    if isinstance(module, (*LINEAR, *ALL_MAX, Neuron)) or node.op == "output" or len(set(given)) > 1:
        return "step"
    return given[0]


def _as(
    bench: Workbench,
    source: fx.Node,
    wanted: Kind,
    before: fx.Node,
    kinds: dict[fx.Node, Kind],
    made: dict[tuple[fx.Node, Kind], fx.Node],
    steps: float,
) -> fx.Node:
    """A node with the values of ``source`` in another kind."""
    if (source, wanted) not in made:
        if kinds[source] == "same" and wanted == "mean":
            held = _as(bench, source, "step", before, {source: "same"}, made, steps)
            new = bench.between(held, RunningMean(steps), f"{source.name}_mean", before)
        elif kinds[source] == "same":
            new = bench.between(source, Held(steps), f"{source.name}_held", before)
        elif wanted == "mean":
            new = bench.between(source, RunningMean(steps), f"{source.name}_mean", before)
        else:
            new = bench.between(source, Increment(steps), f"{source.name}_increment", before)
        made[source, wanted] = new
    return made[source, wanted]
