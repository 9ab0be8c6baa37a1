"""The part of a spiking graph between the layers that feed a neuron alone and the neuron."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, fx, nn

from spikesim.converters.prefix import hosts_at
from spikesim.dynamics import Neuron


class Segment:
    """From what the hosts of a neuron read to the neuron's current.

    Args:
        graph: Holds the modules.
        end: The node that gives the current of a neuron, or an output.

    Attributes:
        hosts: The layers within, see :func:`~spikesim.converters.prefix.hosts_at`.
        sources: Nodes that it reads.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> from spikesim.converters.segment import Segment
        >>> graph = canonicalise(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.zeros(1, 2)).graph
        >>> segment = Segment(graph, [n for n in graph.graph.nodes if n.name == "linear_0"][0])
        >>> segment.sources, segment({segment.sources[0]: torch.zeros(5, 2)}).shape
        ([x], torch.Size([5, 3]))
    """

    def __init__(self, graph: fx.GraphModule, end: fx.Node) -> None:
        self._graph = graph
        nodes = hosts_at(graph, end)
        self.hosts: list[Any] = [graph.get_submodule(str(node.target)) for node in nodes]
        self._end = end
        self.sources = list(dict.fromkeys(self._read(self._end, set(nodes)))) if nodes else []

    def _read(self, node: fx.Node, hosts: set[fx.Node]) -> Iterator[fx.Node]:
        if node in hosts:
            yield node.all_input_nodes[0]
        elif hosts_at(self._graph, node):
            for inner in node.all_input_nodes:
                yield from self._read(inner, hosts)
        else:
            yield node

    def __call__(
        self, given: Mapping[fx.Node, Tensor], over_time: Callable[[nn.Module, Tensor], Tensor] | None = None
    ) -> Tensor:
        """The current.

        Args:
            given: What each source gives: rates ``[N, ...]``, or rows ``[T*N, ...]`` together with ``over_time``.
            over_time: Runs sums over time; they change no rate and are left out without it.
        """

        def value(node: fx.Node) -> Tensor:
            if node in given:
                return given[node]
            if node.op == "call_function":
                return operator.add(*(value(operand) for operand in node.all_input_nodes))
            module, x = self._graph.get_submodule(str(node.target)), value(node.all_input_nodes[0])
            if isinstance(module, Neuron):
                return x if over_time is None else over_time(module, x)
            return module(x)

        return value(self._end)
