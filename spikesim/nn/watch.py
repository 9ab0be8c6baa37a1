"""What a monitor does in one call of one layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import forward_ad

from spikesim.dynamics import Neuron
from spikesim.errors import ConfigError
from spikesim.nn.recording import Trace, in_bytes
from spikesim.nn.replay import Advance, Passage, again, walk
from spikesim.nn.selection import Selection


@dataclass(frozen=True)
class Wanted:
    """What is recorded of one layer.

    Args:
        name: qualified name of the neuron.
        spikes: whether to record what it emits.
        states: names of the states to record.
        selection: which samples and neurons.
        device: where it is kept; None for where the layer runs.
    """

    name: str
    spikes: bool
    states: tuple[str, ...]
    selection: Selection
    device: torch.device | None


@dataclass
class Budget:
    """Bytes that a recording may hold.

    >>> Budget(100, used=90).spend("1", 20)
    Traceback (most recent call last):
    ...
    spikesim.errors.ConfigError: recording '1' would bring this recording to 110 bytes, ...
    """

    limit: int
    used: int = 0

    def spend(self, layer: str, more: int) -> None:
        """Account for what is about to be allocated.

        Raises:
            ConfigError: it would exceed the limit.
        """
        if self.used + more > self.limit:
            raise ConfigError(
                f"recording '{layer}' would bring this recording to {in_bytes(self.used + more)}, but its budget is "
                f"{in_bytes(self.limit)}; choose fewer layers, neurons=, samples=, every= or last=, or raise budget="
            )
        self.used += more


class Watch:
    """Records one layer in one call: a forward hook, with a second entrance for layers that run fused.

    Args:
        wanted: what to record.
        steps: which steps of the call.
        first: number of the call's first step since the last fresh start.
        budget: shared by all layers of the recording.
    """

    def __init__(self, wanted: Wanted, steps: range, first: int, budget: Budget) -> None:
        self.wanted = wanted
        self.trace: Trace | None = None
        self._steps = steps
        self._first = first
        self._budget = budget
        self._generator: Tensor | None = None

    def before(self, neuron: Neuron, args: tuple[Any, ...]) -> None:
        """Forward pre-hook of a layer that draws its seed from torch's generator."""
        self._generator = torch.get_rng_state()

    def __call__(self, neuron: Neuron, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> None:
        """Forward hook."""
        x = args[0] if args else kwargs["x"]
        call, timesteps = neuron.call, neuron.timesteps
        if call is None or timesteps is None or not self._steps:
            return
        _require_values(x, self.wanted.name)
        state = None if call.state is None else call.state.get(self.wanted.name)
        with torch.no_grad():
            passage = again(
                neuron,
                x.detach(),
                timesteps,
                state=state,
                mask=call.mask,
                constant=x.shape[0] != out.shape[0],
                generator=self._generator,
            )
            self._record(passage, out.device, out.detach().reshape(timesteps, passage.samples, *out.shape[1:]))

    def fused(self, timesteps: int, samples: int, advance: Advance, device: torch.device) -> None:
        """In place of the hook, for a neuron that runs inside a larger kernel (:mod:`spikesim.nn.fuse`).

        Args:
            timesteps: T.
            samples: N.
            advance: runs some of the neuron's steps, see :class:`spikesim.nn.replay.Passage`.
            device: where the layer runs.
        """
        if self._steps:
            with torch.no_grad():
                self._record(Passage(timesteps, samples, advance), device, None)

    def _record(self, passage: Passage, runs_on: torch.device, emitted: Tensor | None) -> None:
        wanted, selection = self.wanted, self.wanted.selection
        device = wanted.device or runs_on
        trace = Trace(self._first + torch.tensor(list(self._steps), device=device), selection.count(passage.samples))
        chosen = slice(self._steps.start, self._steps.stop, self._steps.step)
        if passage.mask is not None:
            trace.mask = _copy(selection.mask(passage.mask[chosen]), device)
        self._budget.spend(wanted.name, trace.nbytes)
        if wanted.spikes and emitted is not None:
            self._budget.spend(wanted.name, len(self._steps) * selection.nbytes(emitted[0]))
            trace.spikes = _copy(selection.of(emitted[chosen]), device)
        if wanted.states or (wanted.spikes and emitted is None):
            self._walk(trace, passage, device)
        self.trace = trace

    def _walk(self, trace: Trace, passage: Passage, device: torch.device) -> None:
        found: dict[str, Tensor] = {}
        spikes_too = self.wanted.spikes and trace.spikes is None
        for k, (emitted, states) in enumerate(walk(passage, self._steps)):
            parts = {name: states[name] for name in self.wanted.states} | ({"": emitted} if spikes_too else {})
            for name, value in parts.items():
                part = self.wanted.selection.of(value.unsqueeze(0))[0]
                if k == 0:
                    self._budget.spend(self.wanted.name, len(self._steps) * part.numel() * part.element_size())
                    found[name] = part.new_empty((len(self._steps), *part.shape), device=device)
                found[name][k].copy_(part)
        trace.spikes = found.pop("") if spikes_too else trace.spikes
        trace.states = found


def _copy(part: Tensor, device: torch.device) -> Tensor:
    # Always a copy: later layers may work in place on what the neuron emitted.
    return part.to(device=device, copy=True, memory_format=torch.contiguous_format)


def _require_values(x: Tensor, name: str) -> None:
    if torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0:
        raise ConfigError(
            f"'{name}' is being recorded inside a torch.func transform or forward-mode differentiation, whose tensors "
            "stand for values and hold none; record a plain call of the network"
        )
    if x.device.type == "meta" or isinstance(x, FakeTensor):
        raise ConfigError(f"'{name}' is being recorded on tensors without values ({x.device}); run on real data")
