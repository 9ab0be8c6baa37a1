"""Synaptic operations as a term of a loss: exact counts in the forward, gradients through the spikes."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from spikesim.dynamics import TimeAware
from spikesim.energy.fanout import fan_out
from spikesim.energy.layer_counts import LayerCounts
from spikesim.energy.ledger import InputKind, Ledger
from spikesim.energy.means import SYNOPS
from spikesim.energy.record import cast_integers
from spikesim.errors import LedgerError
from spikesim.nn import Network

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class SynapticOperations:
    """Count the synaptic operations of every layer inside a ``with`` block, so that a loss can make them fewer.

    What counts is what :class:`spikesim.energy.Ledger` counts: every event times its connections, borders excluded, in
    whole numbers. The gradient is that of events times connections, and goes through the surrogate gradients of the
    neurons. A message of several bits counts once, whatever it holds, and its gradient is that of its size. Once,
    when it is made, the counts are compared with a ledger of an example. Dropout between spikes and a layer
    changes what is counted in training mode.

    Args:
        network: the network that is trained; it is run on the example in evaluation mode and left as it was.
        example: an input, small; ``[T, N, ...]``, or ``[N, ...]`` with an encoder.
        input: what it holds, as for :meth:`spikesim.energy.Ledger.record`.

    Raises:
        LedgerError: a layer with synaptic operations is no convolution or linear layer with spikes of one size at its
            input (attention, functional calls, sums of spikes of different size), or there are none.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.energy import SynapticOperations
        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import Network
        >>> net = Network(nn.Sequential(nn.Linear(2, 8), IF(), nn.Linear(8, 3)))
        >>> x = torch.ones(4, 1, 2)
        >>> synops = SynapticOperations(net, x, input="analog")
        >>> with synops:
        ...     y = net(x)
        >>> list(synops.layers()), synops.total().requires_grad
        (['2'], True)
        >>> loss = y.square().mean() + 0.1 * synops.per_connection()
    """

    def __init__(self, network: Network, example: Any, *, input: InputKind) -> None:
        if not isinstance(network, Network):
            raise LedgerError(
                f"SynapticOperations takes a spikesim.nn.Network, not a {type(network).__name__}: wrap it, "
                "Network(module), or convert a network of snnTorch by spikesim.converters.from_snntorch"
            )
        ledger = Ledger.record(network, example, input=input)
        modules = dict(network.module.named_modules())
        self._layers: dict[nn.Module, tuple[str, LayerCounts]] = {}
        for name, layer in ledger.layers.items():
            if not any(layer[column] for column in SYNOPS) and not layer.inputs - {"analog"}:
                continue
            module = modules.get("" if name == "(root)" else name)
            if isinstance(module, (nn.Linear, *_CONVOLUTIONS)) and layer.event is not None:
                self._layers[module] = (name, layer)
            elif any(layer[column] for column in SYNOPS):
                raise LedgerError(
                    f"layer {name!r} has synaptic operations that training cannot count: it is a "
                    f"{type(module).__name__}, or its input holds events of different sizes; only convolutions and "
                    "linear layers behind spikes of one size can be counted"
                )
        if not self._layers:
            raise LedgerError("no layer receives spikes in this network, so there are no synaptic operations to count")
        self._clock = next((m for m in network.modules() if isinstance(m, TimeAware)), None)
        self._fans: dict[tuple[nn.Module, tuple[int, ...]], Tensor] = {}
        self._rows: dict[str, Tensor] = {}
        self._steps = self._known_steps = ledger.timesteps
        self._hooks: list[Any] = []
        self._measuring = False
        real = int(ledger.active.sum())
        self.connections = {name: layer["synapses"] // max(real, 1) for name, layer in self._layers.values()}
        """Connections of every layer."""
        self._compare(network, example, ledger)

    def __enter__(self) -> Self:
        self._rows.clear()
        self._hooks = [module.register_forward_pre_hook(self._count) for module in self._layers]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def layers(self, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Synaptic operations per inference by layer, float64, with gradients.

        Args:
            mask: bool ``[T, N]``, True where a step is real.

        Raises:
            LedgerError: the network did not run inside the block.
        """
        if not self._rows:
            raise LedgerError("nothing was counted: run the network inside `with synops:`")
        found = {}
        for name, rows in self._rows.items():
            samples = len(rows) // self._steps
            kept = rows if mask is None else rows * mask.flatten().to(rows.device)
            found[name] = kept.sum() / max(samples, 1)
        return found

    def total(self, mask: Tensor | None = None) -> Tensor:
        """Synaptic operations per inference, float64, with a gradient; see :meth:`layers`."""
        return torch.stack(list(self.layers(mask).values())).sum()

    def per_connection(self, mask: Tensor | None = None) -> Tensor:
        """The same over the number of connections: spikes per synapse and inference, whatever the network's size."""
        return self.total(mask) / sum(self.connections.values())

    def _count(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if self._measuring:
            return
        name, layer = self._layers[module]
        x: Tensor = inputs[0]
        size = x.abs() if x.requires_grad is False else torch.where(x < 0, -x, x)  # abs has no gradient at 0
        events = (size.float() if size.dtype.itemsize < 4 else size) / (layer.event or 1.0)
        if "multibit" in layer.inputs:
            events = events + ((x != 0).to(events.dtype) - events).detach()
        if isinstance(module, nn.Linear):
            places, fan = events.sum(-1, keepdim=True), torch.tensor(module.out_features, device=x.device)
        else:
            places, fan = events.sum(1), self._fan(module, tuple(x.shape[1:])).to(x.device)
        whole = places + (places.round() - places).detach()  # pooled spikes are fractions of the divisor
        rows = (whole.double() * fan).flatten(1).sum(1)
        known = self._rows.get(name)
        self._rows[name] = rows if known is None else known + rows
        # A network in which nothing sees time has that of the example.
        self._steps = (self._clock.timesteps if self._clock is not None else None) or self._known_steps

    def _fan(self, module: nn.Module, shape: tuple[int, ...]) -> Tensor:
        """Connections that leave each position, the same in every channel."""
        key = (module, shape)
        if key not in self._fans:
            self._measuring = True
            try:
                self._fans[key] = fan_out(module, shape)[0]
            finally:
                self._measuring = False
        return self._fans[key]

    def _compare(self, network: Network, example: Any, ledger: Ledger) -> None:
        """Count the example, and refuse to be anything but exact."""
        training = [m for m in network.modules() if m.training]
        network.eval()
        try:
            with torch.no_grad(), self:
                network(cast_integers(network, example))
        finally:
            for module in training:
                module.training = True
        counted = self.layers()
        for name, layer in self._layers.values():
            known = sum(layer[column] for column in SYNOPS)
            found = round(counted[name].item() * ledger.samples) if name in counted else 0
            if found != known:
                raise LedgerError(
                    f"layer {name!r}: {found} synaptic operations would be counted in training, the ledger has {known}"
                )
        self._rows.clear()
