"""Layers whose weight gradient is taken with a leaky sum of their inputs, as OTTT wants it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from spikesim.dynamics import Neuron
from spikesim.errors import ConfigError, ShapeError
from spikesim.neurons import IF, LIF
from spikesim.nn import Recurrent

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Traces:
    """The leaky sums of what enters layers; within :meth:`of`, step by step, their weights learn from these.

    Args:
        decay: of every trace; None takes the leak of the neuron behind each layer.

    Attributes:
        real: bool ``[N]``, for which recordings the step to come is real; None for all.
    """

    def __init__(self, decay: float | None) -> None:
        self.decay = decay
        self.real: Tensor | None = None

    @contextmanager
    def of(self, network: nn.Module) -> Iterator[None]:
        """Keep traces in the layers of a network."""
        layers = _leaks(network, self.decay is None)
        for name, layer, leak in layers:
            layer.__dict__["forward"] = _Traced(self, name, layer, leak if self.decay is None else self.decay)
        try:
            yield
        finally:
            for _, layer, _ in layers:
                del layer.__dict__["forward"]


class _Traced:
    """The forward of one layer: its value and the gradient of its input as ever, that of its weight from the trace."""

    def __init__(self, traces: Traces, name: str, layer: nn.Module, leak: float) -> None:
        self.traces = traces
        self.name = name
        self.layer = layer
        self.leak = leak
        self.trace: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.trace = self._followed(x)
        plain = type(self.layer).forward
        held = {name: p.detach() for name, p in self.layer.named_parameters()}
        y: Tensor = _forward(self.layer, plain, held, x)
        if not any(p.requires_grad for p in self.layer.parameters()):
            return y
        learning = plain(self.layer, self.trace)
        return y + (learning - learning.detach())

    def _followed(self, x: Tensor) -> Tensor:
        """The trace after this step; that of a masked recording stays as it was."""
        before, real = self.trace, self.traces.real
        after = x.detach() if before is None else self.leak * before + x
        if real is None:
            return after
        if x.shape[:1] != real.shape:
            raise ShapeError(
                f"'{self.name}' sees rows of {tuple(x.shape)}, but with a mask its traces need one row for each of "
                f"{len(real)} recordings; give recordings of one length, or take rule='sltt'"
            )
        return torch.where(real.reshape(-1, *[1] * (x.dim() - 1)), after, 0.0 if before is None else before)


def _forward(layer: nn.Module, plain: Any, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
    patched = layer.__dict__.pop("forward")
    try:
        y: Tensor = functional_call(layer, parameters, (x,))
        return y
    finally:
        layer.__dict__["forward"] = patched


def _leaks(network: nn.Module, needed: bool) -> list[tuple[str, nn.Module, float]]:
    """Layers with weights in the order of their registration, each with its name and the leak of the next neuron."""
    found: list[tuple[str, nn.Module, float]] = []
    waiting: list[tuple[str, nn.Module]] = []
    own = {id(m): r.neuron for r in network.modules() if isinstance(r, Recurrent) for m in r.lateral.modules()}
    for name, module in network.named_modules():
        if isinstance(module, _WEIGHTED) and id(module) in own:
            found.append((name, module, _leak(name, own[id(module)]) if needed else 0.0))
        elif isinstance(module, _WEIGHTED):
            waiting.append((name, module))
        elif isinstance(module, Neuron):
            found += [(*layer, _leak(name, module) if needed else 0.0) for layer in waiting]
            waiting = []
    return found  # what is still waiting feeds no neuron: its trace is its input


def _leak(name: str, neuron: Neuron) -> float:
    if type(neuron) is IF:
        return 1.0
    tau = neuron.acting("tau").detach() if isinstance(neuron, LIF) else torch.zeros(2)
    if tau.numel() != 1:
        raise ConfigError(
            f"'{name}' ({type(neuron).__name__}) does not tell one leak for OTTT's traces; give it: decay=0.5"
        )
    return 1.0 - 1.0 / float(tau)
