"""Firing rates as terms of a loss: what a layer may fire at most, and must fire at least."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from spikesim.dynamics import Neuron
from spikesim.errors import ConfigError


class Activity:
    """Collect the spikes of every spiking layer inside a ``with`` block, with their gradients.

    Args:
        network: the network to watch; layers are named as in ``named_modules``.

    >>> import torch
    >>> from spikesim.neurons import IF
    >>> from spikesim.nn import Network
    >>> net = Network(torch.nn.Sequential(torch.nn.Linear(2, 3), IF()))
    >>> with Activity(net) as activity:
    ...     _ = net(torch.rand(4, 1, 2))
    >>> rates = activity.rates()
    >>> list(rates), rates["module.1"].shape, rates["module.1"].requires_grad
    (['module.1'], torch.Size([3]), True)
    """

    def __init__(self, network: nn.Module) -> None:
        self._layers = {
            name: module
            for name, module in network.named_modules()
            if isinstance(module, Neuron) and module.emits.is_spike
        }
        if not self._layers:
            raise ConfigError(f"{type(network).__name__} has no layer that spikes, so there is no rate to hold")
        self._spikes: dict[str, Tensor] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        self._spikes.clear()
        self._hooks = [layer.register_forward_hook(self._keeper(name)) for name, layer in self._layers.items()]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def rates(self, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Spikes per time step of every neuron, averaged over real steps and samples, by layer.

        A signed spike counts as one, a graded one by its height.

        Args:
            mask: bool ``[T, N]``, True where a step is real.

        Returns:
            Shape of one sample each, such as ``[C, H, W]``, with gradients.
        """
        means = {}
        for name, spikes in self._spikes.items():
            # Not abs(): its gradient at zero is zero, and silent neurons could not be woken.
            events = torch.where(spikes < 0, -spikes, spikes) / self._layers[name].emits.scale
            if mask is None:
                means[name] = events.mean(0)
                continue
            real = mask.flatten().to(events.dtype)
            means[name] = torch.tensordot(real, events, 1) / real.sum().clamp(min=1)
        return means

    def _keeper(self, name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            # A layer that runs alone has time apart; inside a network it is folded into the samples.
            folded = getattr(module, "timesteps", None) is not None
            self._spikes[name] = output if folded else output.flatten(0, 1)

        return keep


def rate_penalty(rates: dict[str, Tensor], *, low: float = 0.0, high: float = 0.0) -> Tensor:
    """How far firing rates lie outside a band: ``sum over layers of mean(relu(rate - high)**2 + relu(low - rate)**2)``.

    With ``low=0`` and ``high=0`` it is the squared rate, which makes spikes sparse; ``low`` wakes silent neurons.
    The bounds of Zenke and Vogels, Neural Computation 33 (2021), per neuron.

    Args:
        rates: of :meth:`Activity.rates`.
        low: least rate that costs nothing, in spikes per step.
        high: largest rate that costs nothing.

    Raises:
        ConfigError: there are no rates, or ``low`` is above ``high`` or below 0.

    >>> import torch
    >>> rate_penalty({"a": torch.tensor([0.5, 0.0])}, low=0.1, high=0.2).item()
    0.05000000074505806
    """
    if not rates:
        raise ConfigError("there are no rates: run the network inside `with Activity(network) as activity`")
    if not 0 <= low <= high:
        raise ConfigError(f"low is {low!r} and high {high!r}, but 0 <= low <= high must hold")
    return torch.stack([((r - high).relu() ** 2 + (low - r).relu() ** 2).mean() for r in rates.values()]).sum()
