"""What all calibration shares: a walk over the spiking graph in which every layer sees the input that it will get.

Layer by layer, first to last, a stage compares what the neurons send with what the ANN's activations were, changes what
leads to the neurons, and hands their new spikes on (Li et al., ICML 2021). No labels are used.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn

from spikesim.converters.activations import Activations
from spikesim.converters.differential import ChangeOf, RateOf
from spikesim.converters.flow import even_rate
from spikesim.converters.inputs import Inputs, every_step
from spikesim.converters.lazy import Lazy, values_of
from spikesim.converters.linear import LINEAR
from spikesim.converters.maxpool import ALL_MAX, ALL_MEAN
from spikesim.converters.outputs import outputs_of
from spikesim.converters.packed import Coding, Packed
from spikesim.converters.policies import CONVERTED
from spikesim.converters.rows import Rows, unfolded
from spikesim.converters.running import Difference, RunningSum
from spikesim.dynamics import Neuron
from spikesim.neurons import DifferentialIF


@dataclass(frozen=True)
class Task:
    """What a calibration stage works on.

    Args:
        ann: Canonical graph.
        snn: The same graph with neurons, see :func:`spikesim.converters.scales.fold_scales`; stages change it in place.
        worth: What a spike is worth in the ANN's scale, by neuron name, ``[C]``.
        samples: A few inputs, ``[N, ...]``, or several of them.
        timesteps: T.
        most: Largest tally of a neuron.
        wait: Steps before the T that count.
        even: Whether tallies do not depend on when spikes come, so that neurons need not be run: rates say it all.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> from spikesim.converters.prefix import Task
        >>> from spikesim.converters.scales import fold_scales
        >>> x = torch.rand(8, 3)
        >>> ann = canonicalise(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), x).graph
        >>> worth = {"relu_1": torch.ones(4)}
        >>> Task(ann, fold_scales(ann, x, worth), worth, x, timesteps=4, most=4).wait
        0
    """

    ann: fx.GraphModule
    snn: fx.GraphModule
    worth: dict[str, Tensor]
    samples: Inputs
    timesteps: int
    most: float
    wait: int = 0
    even: bool = False


class Prefix(fx.Interpreter):
    """Runs the spiking graph over folded time; a subclass corrects each layer before its spikes go on.

    Spikes are kept, of several steps in a byte where they fit; currents are computed when they are read.

    Args:
        task: Its ``snn`` is changed.

    Attributes:
        moved: By node name, how far a layer was changed; filled by subclasses.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task.snn)
        self.task = task
        self.steps = 1 if task.even else task.wait + task.timesteps
        self.wait = 0 if task.even else task.wait
        self.wanted = Activations(task.ann, task.samples)
        self.moved: dict[str, float] = {}
        self._changes, self._rates = ChangeOf(), RateOf()

    def walk(self) -> dict[str, float]:
        """Correct all layers; gives :attr:`moved`."""
        self.run(every_step(self.task.samples, self.steps))
        return self.moved

    def correct(self, n: fx.Node, neuron: nn.Module, current: Lazy, wanted: Tensor) -> Tensor | Packed:
        """Correct what leads to a neuron.

        Args:
            n: The neuron's node.
            neuron: The neuron.
            current: What it gets, in thresholds, ``[T*N, ...]``; follows the weights before it.
            wanted: The ANN's activation, in what a spike is worth, ``[N, ...]``.

        Returns:
            Its spikes, ``[T*N, ...]``.
        """
        return self.fire(neuron, current)

    def correct_output(self, name: str, source: fx.Node, result: Tensor, wanted: Tensor) -> None:
        """Correct what leads to an output ``[T*N, ...]``, given by the node ``source``; ``wanted`` is the ANN's."""

    def run_node(self, n: fx.Node) -> Any:
        """One node."""
        module = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        if n.op == "output":
            for name, source in outputs_of(n.graph).items():
                self.correct_output(name, source, self.rows_of(self.env[source]), self.wanted[name])
        if n.op not in ("call_module", "call_function"):
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        if isinstance(module, CONVERTED):
            current = args[0] if isinstance(args[0], Lazy) else self._lazy(lambda x: x, args[0], n)
            return self.correct(n, module, current, self._wanted(n.name))
        if isinstance(module, Neuron):  # a sum over time, or the like
            return args[0] if self.task.even else self._lazy(lambda x: self._over_time(module, x), args[0], n)
        call = getattr(self, n.op)
        return self._lazy(lambda given: call(n.target, *given), (args, kwargs), n)

    def fire(self, neuron: nn.Module, current: Lazy, shift: Tensor | None = None) -> Tensor | Packed:
        """What a neuron makes of its current, ``[T*N, ...]``.

        Args:
            neuron: Any that keeps its shape.
            current: What it gets.
            shift: Is added to the current, ``[C]``.
        """

        def part(some: slice) -> Tensor:
            rows = current.of(some)
            if shift is not None:
                rows = rows + along_channels(shift.to(rows), rows[0])
            if self.task.even:
                return even_rate(neuron, rows, self.task.timesteps, self.task.most)
            if isinstance(neuron, DifferentialIF):
                # The graph still tells rates: take them apart before the neuron, put them together behind it.
                told: Tensor = self._rates(neuron(self._changes(rows)))
                return told
            sent: Tensor = neuron(rows)
            return sent

        coding = None if self.task.even or isinstance(neuron, DifferentialIF) else Coding.of(neuron)
        if coding is None:
            return current.collected(part, dim=1).flatten(0, 1)
        return Packed.collect(coding, current, part)

    def rows_of(self, value: Tensor | Rows) -> Tensor:
        """All rows of a current or of spikes."""
        return value.whole() if isinstance(value, Rows) else value

    def rate(self, rows: Tensor | Rows) -> Tensor:
        """Mean ``[N, ...]`` of ``[T*N, ...]`` over the steps that count."""
        return rows.mean(self.wait) if isinstance(rows, Rows) else unfolded(rows, self.steps)[self.wait :].mean(0)

    def _wanted(self, name: str) -> Tensor:
        """The ANN's activation, in what a spike is worth."""
        activation = self.wanted[name]
        return activation / along_channels(self.task.worth[name].to(activation), activation)

    def _over_time(self, module: nn.Module, rows: Tensor) -> Tensor:
        given: Tensor = module(unfolded(rows, self.steps))
        return given.flatten(0, 1)

    def _lazy(self, call: Callable[[Any], Tensor], given: Any, n: fx.Node) -> Lazy:
        return Lazy(call, given, self.steps, values_of(n))


def channel_mean(x: Tensor) -> Tensor:
    """Mean of ``[N, C, ...]`` per channel, in double precision.

    Example:
        >>> import torch
        >>> from spikesim.converters.prefix import channel_mean
        >>> channel_mean(torch.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [2.0, 3.0]
    """
    rest = x[0, 0].numel()
    return x.reshape(*x.shape[:2], rest).sum(2).double().mean(0) / rest


def along_channels(values: Tensor, like: Tensor) -> Tensor:
    """Values ``[C]``, shaped so that they meet the channels of ``like``, ``[N, C, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.prefix import along_channels
        >>> along_channels(torch.ones(3), torch.zeros(2, 3, 4, 4)).shape
        torch.Size([3, 1, 1])
    """
    return values.reshape([-1] + [1] * (like.dim() - 2))


def hosts_of(graph: nn.Module, node: fx.Node) -> list[fx.Node]:
    """The layers whose output ends in the current of a neuron and nowhere else, the nearest of each branch.

    Args:
        graph: Holds the modules.
        node: The neuron.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> from spikesim.converters.prefix import hosts_of
        >>> graph = canonicalise(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.zeros(1, 2)).graph
        >>> hosts_of(graph, [n for n in graph.graph.nodes if n.name == "relu_1"][0])
        [linear_0]
    """
    source = node.args[0]
    return hosts_at(graph, source) if isinstance(source, fx.Node) else []


def hosts_at(graph: nn.Module, source: fx.Node) -> list[fx.Node]:
    """The same, seen from the current itself, which may be an output."""
    if len(source.users) != 1:
        return []
    if source.op == "call_function" and source.target is operator.add and source.args[0] is not source.args[1]:
        return [host for operand in source.all_input_nodes for host in hosts_at(graph, operand)]
    if source.op != "call_module":
        return []
    module = graph.get_submodule(str(source.target))
    if isinstance(module, LINEAR):
        return [source]
    inner = source.all_input_nodes[0]
    before, after = inner.meta["shape"], source.meta["shape"]
    reshapes = isinstance(module, (nn.Flatten, nn.Unflatten))
    same_channels = reshapes and before[0] == after[0] and len(before) + len(after) == 3
    through = isinstance(module, (*ALL_MAX, *ALL_MEAN, RunningSum, Difference)) or same_channels
    return hosts_at(graph, inner) if through else []
