"""Exact conversion: bipolar neurons that go on until nothing moves.

Input and biases are constant currents for T steps; then they stop, and neurons that have sent too much or too little
put it right. When all of them are silent, every tally is the quantised activation of the ANN (You et al., SpikeZIP-TF,
ICML 2024; there is no proof of how long it takes, so it is waited for).
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikesim.converters.inputs import Inputs, each, joined, tensors_of
from spikesim.converters.linear import LINEAR
from spikesim.converters.policies import CONVERTED
from spikesim.converters.sources import sources_of
from spikesim.converters.workbench import Workbench
from spikesim.dynamics import Neuron, Param, SpikeType, State, where
from spikesim.errors import TimestepsError
from spikesim.nn import Constant, Count, DelayedMean, Mean, Network
from spikesim.nn.checks import check_finite


class TimedBias(Neuron):
    """``y(t) = x(t) + bias`` for the first ``steps`` steps, ``x(t)`` after them; emits an analog value.

    Args:
        bias: one value, or one per channel.
        steps: how many.

    Shape:
        ``[T, N, C, ...] -> [T, N, C, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.settling import TimedBias
        >>> TimedBias(2.0, steps=1)(torch.ones(3, 1)).flatten().tolist()
        [3.0, 1.0, 1.0]
    """

    states = {"t": State()}
    params = {"bias": Param(0.0), "steps": Param(1.0)}
    emits = SpikeType("analog")

    def __init__(self, bias: float | Tensor = 0.0, steps: float = 1.0, **options: Any) -> None:
        super().__init__(bias=bias, steps=float(steps), **options)

    @property
    def channels(self) -> int:
        """How many biases there are."""
        return torch.as_tensor(self.bias).numel()

    def step(self, x: Any, *, t: Any, bias: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        """Add while it lasts."""
        return x + where(t < steps, bias, 0.0), {"t": t + 1.0}


def time_biases(graph: fx.GraphModule, example: Inputs, timesteps: int) -> fx.GraphModule:
    """Let the biases of all layers end after T steps, on a copy.

    Args:
        graph: A spiking graph.
        example: An input ``[N, ...]``.
        timesteps: T.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.settling import time_biases
        >>> from spikesim.converters.trace import trace
        >>> graph = time_biases(trace(nn.Sequential(nn.Linear(2, 3))), torch.zeros(1, 2), 4)
        >>> [node.name for node in graph.graph.nodes]
        ['x', 'linear_0', 'linear_0_bias', 'output']
    """
    bench = Workbench(graph, example)
    for node in list(bench.graph.nodes):
        layer = bench.module(node)
        if isinstance(layer, LINEAR) and layer.bias is not None:
            bias, layer.bias = layer.bias.detach().clone(), None
            bench.after(node, TimedBias(bias, timesteps), f"{node.name}_bias")
    return bench.finish("SpikingGraph")


def steady_network(
    module: nn.Module, timesteps: int, wait: int = 0, hoist: bool = True, counts: bool = False
) -> Network:
    """A network that is shown its input for ``wait`` steps and T more, whose outputs are averaged over the T.

    Args:
        module: A spiking graph.
        timesteps: T.
        wait: Steps before.
        hoist: Whether the layers before the first neuron run once.
        counts: Whether outputs are spikes, which are summed.

    Example:
        >>> import torch
        >>> from spikesim.converters.settling import steady_network
        >>> from spikesim.neurons import IF
        >>> steady_network(IF(), 2, wait=1)(torch.tensor([[0.5]])).item()
        0.5
    """
    readout = Count(wait) if counts else DelayedMean(wait) if wait else Mean()
    network = Network(module, encoder=Constant(wait + timesteps, hoist=hoist, finite=True), readout=readout)
    network.sources = sources_of(module)
    return network.eval()


def waits(network: Network) -> int:
    """Steps before the first that a network's readout counts.

    Example:
        >>> from spikesim.converters.settling import steady_network, waits
        >>> from spikesim.neurons import IF
        >>> waits(steady_network(IF(), 2, wait=3))
        3
    """
    return network.counted_steps(0).start


class SettlingNetwork(Network):
    """A network of bipolar neurons that is run for T steps and then until it is silent.

    Args:
        module: A spiking graph with timed biases.
        timesteps: T.
        limit: Most steps after the T-th.
        counts: Whether outputs are spikes, which are summed and not divided by T.

    Attributes:
        drained: Steps after the T-th that the last call took.
        settled: Whether it was silent at its end.

    Shape:
        ``[N, ...] -> [N, ...]``.

    Raises:
        TimestepsError: ``timesteps`` or ``limit`` is below 1.

    Example:
        >>> import torch
        >>> from spikesim.converters.settling import SettlingNetwork
        >>> from spikesim.neurons import STBIF
        >>> network = SettlingNetwork(STBIF(high=2.0), timesteps=2)
        >>> network(torch.tensor([[0.8], [0.1]])).flatten().tolist(), network.drained
        ([1.0, 0.0], 0)
    """

    def __init__(self, module: nn.Module, timesteps: int, limit: int = 256, counts: bool = False) -> None:
        super().__init__(module, readout=Count() if counts else Mean())
        if timesteps < 1 or limit < 1:
            raise TimestepsError(f"timesteps is {timesteps} and limit {limit}; expected at least 1")
        self.timesteps, self.limit = timesteps, limit
        self.sources = sources_of(module)
        self.drained, self.settled = 0, True

    def forward(self, x: Inputs, mask: Tensor | None = None) -> Any:
        """Run until nothing moves; the sum of the outputs, over T unless spikes are counted."""
        over = 1 if isinstance(self.readout, Count) else self.timesteps
        return each(lambda y: y.sum(0) / over, self.unread(x, mask))

    def unread(self, x: Inputs, mask: Tensor | None = None) -> Any:
        """The outputs of all steps, ``[T + drained, N, ...]``."""
        if mask is not None:
            raise TimestepsError("an exact network takes static samples [N, ...]; a mask of steps means nothing to it")
        check_finite(tensors_of(x))
        out, state = self._unfolded(each(lambda t: t.expand(self.timesteps, *t.shape), x), keep=True)
        parts, chunk, self.drained = [out], 1, 0
        while not (settled := self._silent(state)) and self.drained < self.limit:
            steps = min(chunk, self.limit - self.drained)
            out, state = self._unfolded(_nothing(x, steps), state=state, keep=True)
            parts.append(out)
            self.drained += steps
            chunk *= 2
        self.settled = settled
        if not settled:
            warnings.warn(
                f"the network still sends spikes {self.limit} steps after its input ended; its outputs are not those "
                "of the quantised ANN: raise SettlingNetwork.limit",
                stacklevel=2,
            )
        return joined(parts)

    def over_time(self, x: Inputs) -> tuple[Network, Any, Tensor | None]:
        """A plain network and what it is shown: the input for T steps, then nothing until each sample has settled."""
        spoke: dict[nn.Module, list[Tensor]] = {}

        def listen(neuron: Any, _: Any, sent: Tensor) -> None:
            rows = sent.reshape(neuron.timesteps, len(sent) // neuron.timesteps, -1)
            spoke.setdefault(neuron, []).append((rows != 0).any(2))

        handles = [m.register_forward_hook(listen) for m in self.modules() if isinstance(m, CONVERTED)]
        try:
            self.unread(x)
        finally:
            for handle in handles:
                handle.remove()
        shown = each(lambda t: t.expand(self.timesteps, *t.shape), x)
        mask = None
        if self.drained and spoke:
            # A sample is done after its last spike, whatever others of its batch still have to put right.
            busy = torch.stack([torch.cat(parts) for parts in spoke.values()]).any(0)
            mask = busy.flip(0).cummax(0).values.flip(0)
            mask[: self.timesteps] = True
        return Network(self.module, readout=Count()), joined([shown, _nothing(x, self.drained)]), mask

    def held_layers(self) -> list[str]:
        """Layers that no spike reaches: what they make of the constant input is the same in all T steps."""
        graph: Any = self.module
        moving: set[fx.Node] = set()
        found = []
        for node in graph.graph.nodes:
            module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
            if isinstance(module, CONVERTED) or any(source in moving for source in node.all_input_nodes):
                moving.add(node)
            elif module is not None:
                found.append(str(node.target))
        return found

    def counted_steps(self, timesteps: int) -> range:
        """The T steps with an input: the later ones put right what was sent, and tell no more values apart."""
        return range(min(self.timesteps, timesteps))

    def _silent(self, state: Any) -> bool:
        """Whether no neuron would fire without input; then none ever will."""
        for name, neuron in self.neurons().items():
            if isinstance(neuron, CONVERTED):
                held = state[name]
                with torch.no_grad():
                    sent, _ = neuron.run_rows(torch.zeros_like(held["v"]), 1, state=held)
                if bool(sent.any()):
                    return False
        return True


def _nothing(x: Inputs, steps: int) -> Any:
    return each(lambda t: torch.zeros_like(t).expand(steps, *t.shape), x)
