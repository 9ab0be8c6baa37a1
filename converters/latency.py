"""How long the answer of a converted network takes: all the steps, not only T."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict
from torch import fx

from spikesim.converters.policies import CONVERTED


class Latency(BaseModel):
    """Time steps from the input to the answer, by what they are spent on.

    Args:
        timesteps: T, the steps that count.
        wait: Steps before them: a delayed readout, or the first phase of ``"srp"``.
        drain: Steps after them until nothing moves, for an exact network, on the samples it was checked on.
        depth: Neuron layers on the longest way from the input to the output.
        hold: Steps of its input that every layer has to know before it sends its first spike: T of them
            (``"parallel"``), k (``"cos(k)"``), or none.

    Example:
        >>> from spikesim.converters.latency import Latency
        >>> late = Latency(timesteps=4, wait=2, drain=0, depth=3, hold=0)
        >>> late.steps, late.pipelined, late.describe()
        (6, 8, '6 steps: T = 4, 2 before; 8 where each layer takes a step of its own (depth 3)')
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timesteps: int
    wait: int
    drain: int
    depth: int
    hold: int

    @property
    def steps(self) -> int:
        """Steps where a spike passes all layers within one, less those that hold it back.

        The first layer holds nothing back: its input is constant.
        """
        return self.wait + self.timesteps + self._held + self.drain

    @property
    def pipelined(self) -> int:
        """Steps where every layer hands on in the next step what it got in this one, as most chips do."""
        return self.steps + (0 if self.hold else max(self.depth - 1, 0))

    @property
    def _held(self) -> int:
        return self.hold * max(self.depth - 1, 0)

    def brief(self) -> str:
        """The steps, and what they are spent on where that is not T alone."""
        parts = [f"{self._held} held back"] * bool(self._held) + [f"{self.wait} before T"] * bool(self.wait)
        parts += [f"{self.drain} to settle"] * bool(self.drain)
        return f"{self.steps} ({', '.join(parts)})" if parts else str(self.steps)

    def describe(self) -> str:
        """One line that leaves nothing out."""
        parts = [f"T = {self.timesteps}"] + [f"{self._held} held back between layers"] * bool(self._held)
        parts += [f"{self.wait} before"] * bool(self.wait) + [f"{self.drain} to settle"] * bool(self.drain)
        unit = "step" if self.steps == 1 else "steps"
        text = f"{self.steps} {unit}: {', '.join(parts)}"
        if self.pipelined == self.steps:
            return text
        return f"{text}; {self.pipelined} where each layer takes a step of its own (depth {self.depth})"


def longest(graph: fx.GraphModule, length: Callable[[fx.Node], float]) -> float:
    """The longest way from the input to the output.

    Args:
        graph: Any graph.
        length: Of each node.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.latency import longest
        >>> from spikesim.converters.trace import trace
        >>> longest(trace(nn.Sequential(nn.ReLU(), nn.ReLU())), lambda node: node.op == "call_module")
        2
    """
    reached: dict[fx.Node, float] = {}
    for node in graph.graph.nodes:
        reached[node] = max((reached[source] for source in node.all_input_nodes), default=0) + length(node)
    return max((reached[node] for node in graph.graph.nodes if node.op == "output"), default=0)


def depth_of(graph: fx.GraphModule) -> int:
    """Neuron layers on the longest way through a spiking graph.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> from spikesim.converters.latency import depth_of
        >>> depth_of(convert(nn.Sequential(nn.ReLU()), torch.rand(4, 2), timesteps=1).network.module)
        1
    """

    def spiking(node: fx.Node) -> bool:
        return node.op == "call_module" and isinstance(graph.get_submodule(str(node.target)), CONVERTED)

    return int(longest(graph, spiking))
