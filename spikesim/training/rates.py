"""Firing rates per spiking layer, counted while a network runs."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import torch
from torch import nn

from spikesim.dynamics import Neuron
from spikesim.training.ranks import gathered


class FiringRates:
    """Count the spikes of every spiking layer inside a ``with`` block.

    A rate is the mean number of spikes per neuron and time step, over all calls in the block. Layers
    that emit an analog value are left out, and so are masked time steps.

    Args:
        network: the network to watch, named as in ``named_modules``.

    Example:
        >>> import torch
        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import Network
        >>> from spikesim.training import FiringRates
        >>> net = Network(torch.nn.Sequential(IF()))
        >>> with FiringRates(net) as rates:
        ...     _ = net(torch.tensor([[[0.5, 1.0]], [[0.5, 1.0]]]))
        >>> rates.means()
        {'module.0': 0.75}
    """

    def __init__(self, network: nn.Module) -> None:
        self.mask: torch.Tensor | None = None
        self._layers = {
            name: module
            for name, module in network.named_modules()
            if isinstance(module, Neuron) and module.emits.kind != "analog"
        }
        self._spikes: dict[str, torch.Tensor] = {}
        self._places: dict[str, int] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        self._hooks = [layer.register_forward_hook(self._counter(name)) for name, layer in self._layers.items()]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def means(self, shared: bool = False) -> dict[str, float]:
        """Give spikes per neuron and time step for every layer that ran.

        Args:
            shared: count the spikes of all processes that train together, each of which must then call this.
        """
        counts = {name: (int(spikes), self._places[name]) for name, spikes in self._spikes.items()}
        parts = gathered(counts) if shared else [counts]
        ran = [name for name in self._layers if any(name in part for part in parts)]
        totals = {name: [sum(column) for column in zip(*(p[name] for p in parts if name in p))] for name in ran}
        return {name: spikes / max(1, places) for name, (spikes, places) in totals.items()}

    def _counter(self, name: str) -> Any:
        def count(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            spikes = output.detach()
            if self.mask is not None:  # rows of a folded output are (t, n), in the mask's own order
                spikes = spikes.reshape(self.mask.numel(), -1)[self.mask.flatten()]
            self._spikes[name] = self._spikes.get(name, spikes.new_zeros((), dtype=torch.int64)) + (
                torch.count_nonzero(spikes)
            )
            self._places[name] = self._places.get(name, 0) + spikes.numel()

        return count
