r"""Weights: refit each layer to the spikes it gets (Li et al., ICML 2021, the advanced calibration).

With the rates :math:`\bar r` that the converted layers before it send, the weights of a layer go down the slope of

.. math:: \overline{\bigl(u\,(Q(W \bar r + b) - a)\bigr)^2}, \qquad
          Q(c) = \frac1T \mathrm{clip}\left(\lfloor T c + \tfrac12 \rfloor, 0, L\right)

in the ANN's scale (a spike is worth :math:`u`). The gradient passes the floor as if it were not there and stops where
the rate is at its end. So a layer makes up for what those before it could not say. A quarter of the samples is
not trained on: the best weights are those that do best there, which may be the ones it began with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikesim.converters.bias import bias_host
from spikesim.converters.flow import tally_range
from spikesim.converters.lazy import Lazy
from spikesim.converters.linear import add_bias, out_channels
from spikesim.converters.outputs import outputs_of
from spikesim.converters.packed import Packed
from spikesim.converters.prefix import Prefix, Task, along_channels
from spikesim.converters.segment import Segment
from spikesim.converters.trained import floor_through

ROUNDS = 20
"""Looks at the samples that are kept aside."""

STEPS = 15
"""Steps of Adam between two looks."""

ROWS = 32
"""Samples of a step."""

RATE = 2e-3
"""Learning rate, as a share of a layer's root mean square weight; it falls to zero along a cosine."""


@torch.no_grad()
def calibrate_weights(task: Task) -> dict[str, float]:
    """Refit the weights and biases of the spiking graph in place, layer by layer.

    Args:
        task: What to work on.

    Returns:
        By which share the squared error on the samples kept aside fell, per layer that improved; ``"output"`` too.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> x = torch.rand(64, 4, generator=torch.Generator().manual_seed(0))
        >>> _ = torch.manual_seed(0)
        >>> ann = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
        >>> def error(*stages):
        ...     return (convert(ann, x, timesteps=2, calibrate=stages).network(x) - ann(x)).square().mean().item()
        >>> error("weights") < error("bias") < error()
        True
    """
    return _Weights(task).walk()


class _Weights(Prefix):
    def __init__(self, task: Task) -> None:
        super().__init__(task)
        graph = task.snn.graph
        ends = [n.all_input_nodes[0] for n in graph.nodes if n.name in task.worth] + [*outputs_of(graph).values()]
        self.segments = {end: Segment(task.snn, end) for end in ends}
        self.uses = Counter(source for segment in self.segments.values() for source in segment.sources)
        self.rates: dict[fx.Node, Tensor] = {}
        # The order of the samples is the same in every run, and the caller's random numbers are left alone.
        self.generator = torch.Generator().manual_seed(0)

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n in self.uses:
            self.rates[n] = self.rate(result)
        return result

    def correct(self, n: fx.Node, neuron: nn.Module, current: Lazy, wanted: Tensor) -> Tensor | Packed:
        task = self.task
        worth = along_channels(task.worth[n.name].to(wanted), wanted)

        def loss(got: Tensor, asked: Tensor) -> Tensor:
            tally = floor_through(task.timesteps * got + 0.5).clamp(*tally_range(neuron, task.most))
            return (worth * (tally / task.timesteps - asked)).square().mean()

        self._refit(n.name, n.all_input_nodes[0], wanted, loss)
        return self.fire(neuron, current)

    def correct_output(self, name: str, source: fx.Node, result: Tensor, wanted: Tensor) -> None:
        self._refit(name, source, wanted, lambda got, asked: (got - asked).square().mean())

    def _refit(self, name: str, end: fx.Node, wanted: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Train the hosts of a current."""
        host: Any = bias_host(self.module, end)
        segment = self.segments[end]
        if host is None:
            return
        rates = {source: self.rates[source] for source in segment.sources}
        for source in segment.sources:
            self.uses[source] -= 1
            if not self.uses[source]:
                del self.rates[source]
        if host.bias is None:
            add_bias(host, torch.zeros(out_channels(host)))
        better = fit(segment, rates, wanted, loss, self.generator)
        if better:
            self.moved[name] = better


def fit(
    segment: Segment,
    rates: dict[fx.Node, Tensor],
    wanted: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    generator: torch.Generator,
) -> float:
    """Train the weights within a segment by Adam; gives the share by which the loss fell on samples kept aside.

    Args:
        segment: Its hosts are changed.
        rates: What it reads, ``[N, ...]``.
        wanted: What is asked of it, ``[N, ...]``.
        loss: Of what it gives and what is asked.
        generator: Draws the samples of a step.
    """
    aside = torch.arange(len(wanted)) % 4 == 3
    if not bool(aside.any()):
        return 0.0
    learn = (~aside).nonzero()[:, 0]
    owned = [(p, RATE * _size(host.weight)) for host in segment.hosts for p in host.parameters()]
    parameters = [p for p, _ in owned]
    held = {source: value[aside] for source, value in rates.items()}
    first = least = loss(segment(held), wanted[aside]).item()
    best = [p.detach().clone() for p in parameters]
    optimiser = torch.optim.Adam([{"params": [p], "lr": rate} for p, rate in owned])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, ROUNDS * STEPS)
    for _ in range(ROUNDS):
        for _ in range(STEPS):
            picked = learn[torch.randint(len(learn), (ROWS,), generator=generator)]
            with torch.enable_grad():
                error = loss(segment({s: value[picked] for s, value in rates.items()}), wanted[picked])
                optimiser.zero_grad()
                error.backward(inputs=parameters)  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        now = loss(segment(held), wanted[aside]).item()
        if now < least:
            least, best = now, [p.detach().clone() for p in parameters]
    for parameter, value in zip(parameters, best):
        parameter.copy_(value)
        parameter.grad = None
    return 1.0 - least / first if first > 0 else 0.0


def _size(weight: Any) -> float:
    return float(weight.square().mean().sqrt()) or 1.0
