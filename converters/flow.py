"""A spiking graph as the map of rates that it stands for: what flows on average over T steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, fx, nn

from spikesim.converters.differential import ChangeOf, RateOf
from spikesim.converters.inputs import Inputs, count
from spikesim.converters.policies import CONVERTED
from spikesim.converters.running import Difference, RunningSum
from spikesim.converters.settling import TimedBias
from spikesim.converters.telescoping import TIMED
from spikesim.neurons import DifferentialIF
from spikesim.nn import Network


class RateFlow(fx.Interpreter):
    """Runs a spiking graph once on rates ``[N, ...]`` in place of T times on spikes.

    Linear layers, sums and pools of currents commute with the mean over time; sums over time and their differences
    cancel; a bias counts in full. What a neuron gives is up to the caller.

    Args:
        graph: A spiking graph.
        neuron: From the name of a neuron's node and its mean current to its rate.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> from spikesim.converters.flow import RateFlow
        >>> x = torch.tensor([[0.0, 1.0], [2.0, 0.5]])
        >>> network, _ = convert(nn.Sequential(nn.ReLU()), x, timesteps=4, threshold="max", calibrate=())
        >>> RateFlow(network.module, lambda name, current: current.clamp(0, 1)).run(torch.tensor([[9.0, -1]])).tolist()
        [[2.0, 0.0]]
    """

    def __init__(self, graph: fx.GraphModule, neuron: Callable[[str, Tensor], Tensor]) -> None:
        super().__init__(graph)
        self._neuron = neuron

    def run_node(self, n: fx.Node) -> Any:
        """One node."""
        module = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        if isinstance(module, (*CONVERTED, *TIMED, RunningSum, Difference, TimedBias, ChangeOf, RateOf)):
            (x,), _ = self.fetch_args_kwargs_from_env(n)
            if isinstance(module, CONVERTED):
                return self._neuron(n.name, x)
            if isinstance(module, TimedBias):
                return x + torch.as_tensor(module.bias).to(x).reshape(-1, *[1] * (x.dim() - 2))
            return x
        return super().run_node(n)


def quantised_rate(current: Tensor, timesteps: int, most: float, least: float = 0.0) -> Tensor:
    """The rate of a neuron with an even current: ``clip(floor(T c + 1/2), least, most) / T``.

    Args:
        current: Mean current in thresholds.
        timesteps: T.
        most: Largest tally.
        least: Smallest tally.

    Example:
        >>> import torch
        >>> from spikesim.converters.flow import quantised_rate
        >>> quantised_rate(torch.tensor([-1.0, 0.3, 2.0]), 4, 4).tolist()
        [0.0, 0.25, 1.0]
    """
    return torch.floor(timesteps * current + 0.5).clamp(least, most) / timesteps


def tally_range(neuron: nn.Module, most: float) -> tuple[float, float]:
    """The smallest and the largest tally of a neuron.

    Args:
        neuron: Of a converted network.
        most: Largest tally of those that stand for a ReLU.

    Example:
        >>> from spikesim.converters.flow import tally_range
        >>> from spikesim.neurons import IF, TallyIF
        >>> tally_range(IF(), 4.0), tally_range(TallyIF(high=6.0, low=-6.0), 4.0)
        ((0.0, 4.0), (-6.0, 6.0))
    """
    if isinstance(neuron, DifferentialIF) and neuron.signed:
        return -most, most
    low = float(torch.as_tensor(getattr(neuron, "low", 0.0)))
    return (low, float(torch.as_tensor(neuron.high))) if low < 0 else (0.0, most)


def even_rate(neuron: nn.Module, current: Tensor, timesteps: int, most: float) -> Tensor:
    """The :func:`quantised_rate` of one neuron of a converted network, within its own range.

    Args:
        neuron: Of a converted network.
        current: Its mean current in thresholds.
        timesteps: T.
        most: Largest tally of those that stand for a ReLU.

    Example:
        >>> import torch
        >>> from spikesim.converters.flow import even_rate
        >>> from spikesim.neurons import IF, TallyIF
        >>> x = torch.tensor([-1.0, 0.3])
        >>> even_rate(IF(), x, 4, 4.0).tolist(), even_rate(TallyIF(high=6.0, low=-6.0), x, 4, 4.0).tolist()
        ([0.0, 0.25], [-1.0, 0.25])
    """
    least, high = tally_range(neuron, most)
    return quantised_rate(current, timesteps, high, least)


class Means(NamedTuple):
    """What a neuron layer got and gave, on average over T.

    Args:
        current: ``[N, ...]`` in thresholds.
        rate: ``[N, ...]``, spikes per step.
        events: Share of the steps with a spike, of either sign.
        spikes: Spikes per sample, of either sign.
    """

    current: Tensor
    rate: Tensor
    events: float
    spikes: float


Watch: TypeAlias = Callable[[str, Tensor, Tensor, int, bool], None]
"""Is told of a neuron layer by name: its current ``[N, ...]`` (constant) or ``[T*N, ...]``, what it sent, T, and
whether both are changes of rates."""


@torch.no_grad()
def measured_means(
    network: Network, samples: Inputs, timesteps: int, wait: int = 0, watch_too: Watch | None = None
) -> tuple[dict[str, Means], Any]:
    """Run a converted network and keep what its neuron layers got and gave, by node name; and its output.

    Args:
        network: A converted network.
        samples: Inputs ``[N, ...]``.
        timesteps: T, which sums are divided by.
        wait: steps before them, which count as spikes and nothing else.
        watch_too: Called for every layer while it runs.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> from spikesim.converters.flow import measured_means
        >>> x = torch.full((2, 3), 0.5)
        >>> network, _ = convert(nn.Sequential(nn.ReLU()), x, timesteps=4, threshold="max", calibrate=())
        >>> measured_means(network, x, 4)[0]["relu_0"].spikes
        12.0
    """
    sums: dict[str, list[Any]] = {}

    def watch(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: Any, given: tuple[Tensor], sent: Tensor) -> None:
            inner: Any = module[0] if isinstance(module, nn.Sequential) else module
            steps = inner.timesteps or 1
            current, changes = given[0], isinstance(module, DifferentialIF)
            constant = current.shape[0] * steps == sent.shape[0] and steps > 1
            current = current * (steps - wait) if constant else over_time(current, steps, wait, changes)
            rate = over_time(sent, steps, wait, changes)
            whole = over_time(sent, steps, 0) if wait else rate
            if module.emits.kind == "binary":  # the tally says how often it fired
                spikes = events = float(whole.sum(dtype=torch.float64))
            else:
                spikes, events = float(sent.abs().sum(dtype=torch.float64)), float(sent.count_nonzero())
            found = [current, rate, events, spikes, steps]
            before = sums.get(name)
            if watch_too is not None and before is None:
                watch_too(name, given[0], sent, steps, changes)
            sums[name] = found if before is None else [a + b for a, b in zip(before, found)]

        return hook

    graph: Any = network.module
    nodes = [n for n in graph.graph.nodes if n.op == "call_module"]
    layers = {n.name: graph.get_submodule(str(n.target)) for n in nodes}
    handles = [m.register_forward_hook(watch(name)) for name, m in layers.items() if isinstance(m, CONVERTED)]
    try:
        output = network(samples)
    finally:
        for handle in handles:
            handle.remove()
    found = {}
    for name, (current, rate, events, spikes, steps) in sums.items():
        places = rate.numel() * steps
        found[name] = Means(current / timesteps, rate / timesteps, events / places, spikes / count(samples))
    return found, output


def over_time(rows: Tensor, steps: int, wait: int, changes: bool = False, until: int | None = None) -> Tensor:
    """The sum over the steps that count; of changes, as many times the rate that they end at.

    Args:
        rows: ``[steps*N, ...]``.
        steps: All of them.
        wait: Those before the first that counts.
        changes: Whether the rows are changes of a rate that is held, see :mod:`spikesim.converters.differential`.
        until: How many count; all by default.

    Example:
        >>> import torch
        >>> from spikesim.converters.flow import over_time
        >>> rows = torch.tensor([[1.0], [2.0], [4.0]])
        >>> [over_time(rows, 3, 0, until=2).item(), over_time(rows, 3, 0, changes=True, until=2).item()]
        [3.0, 4.0]
    """
    unfolded = rows.reshape(steps, -1, *rows.shape[1:])[wait:][:until]
    if not changes:
        return unfolded.sum(0)
    share = len(unfolded) / torch.arange(1, len(unfolded) + 1, dtype=rows.dtype, device=rows.device)
    return torch.einsum("t,t...->...", share, unfolded)
