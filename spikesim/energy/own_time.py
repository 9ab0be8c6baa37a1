"""Modules that are no Network and yet know time: a loop of their own over snnTorch's neurons, or bare layers.

A loop is run twice: the first time tells how often each module is called, the second is counted. One call of a neuron
is one time step, and what runs in a layer belongs to the step of its call; what a module computes between its layers
belongs to the step of the layer that ran last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from spikesim.dynamics import TimeAware
from spikesim.energy.edges import Edge
from spikesim.energy.fanout import FanOuts
from spikesim.energy.foreign import equal_neuron, foreign_neuron, package_of
from spikesim.energy.recorder import Recorder
from spikesim.energy.rules_neuron import charge_neuron
from spikesim.errors import LedgerError
from spikesim.nn import Network

_WRAP = "wrap it: Network(module), or Network(module, encoder=Constant(T)) for static input"


@dataclass(frozen=True)
class Loop:
    """What a module does over time by itself.

    Args:
        timesteps: T, how often each neuron is called.
        samples: N.
        calls: of each module by its name.
        axis: of the samples in the input of the module: 1 where it takes ``[T, N, ...]``.
    """

    timesteps: int
    samples: int
    calls: Mapping[str, int]
    axis: int


def loops(module: nn.Module) -> bool:
    """Whether a module holds neurons of snnTorch, and so has to walk through time by itself."""
    found = None if isinstance(module, Network) else foreign_neuron(module)
    return found is not None and found[1] == "snntorch"


@torch.no_grad()
def as_network(module: nn.Module, x: Any) -> nn.Module:
    """A bare module of spikesim's layers as the Network that does the same; any other as it is.

    Neurons by themselves take ``[T, N, ...]``, and so do linear layers; whether the rest of the module does is tried.

    Raises:
        LedgerError: it gives something else than the Network of it, or fails on ``x``.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.energy import Ledger
        >>> from spikesim.neurons import IF
        >>> ledger = Ledger.record(nn.Sequential(nn.Linear(2, 3), IF()), torch.rand(5, 4, 2), input="analog")
        >>> ledger.timesteps, ledger.samples
        (5, 4)
    """
    parts = list(module.modules())
    other = not any(isinstance(m, TimeAware) for m in parts) or any(isinstance(m, Network) for m in parts)
    if other or loops(module):
        return module
    if not isinstance(x, torch.Tensor) or x.dim() < 2 or 0 in x.shape[:2]:
        return module  # refused by what it lacks
    network, random = Network(module), torch.get_rng_state()
    try:
        alone = module(x)
        torch.set_rng_state(random)
        wrapped = network(x)
        same = isinstance(alone, torch.Tensor) and alone.shape == wrapped.shape
        if same and torch.allclose(alone, wrapped, 1e-4, 1e-5, equal_nan=True):
            return network
        said = "it gives something else than it gives as a Network"
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
    finally:
        torch.set_rng_state(random)
    raise LedgerError(
        f"{type(module).__name__} holds modules that see time but is no spikesim.nn.Network, and on x of shape "
        f"{list(x.shape)}, taken for [T, N, ...]: {said}; {_WRAP}"
    )


def loop_of(module: nn.Module, run: Any, x: Any) -> Loop:
    """Run a module once, and see how it walks through time.

    Args:
        module: with neurons of snnTorch.
        run: calls it with its input.
        x: its input, for its shape.

    Raises:
        LedgerError: it has no loop, or its steps cannot be told from the calls of its neurons.
    """
    calls, rows, handles = Counter[str](), set[int](), []
    names = {name or "(root)": part for name, part in module.named_modules()}
    neurons = {name: part for name, part in names.items() if package_of(part) == "snntorch"}

    first = next(iter(neurons))
    mixed = [name for name, part in names.items() if isinstance(part, TimeAware)]
    if mixed:
        raise LedgerError(f"{first!r} is a neuron of snntorch and {mixed[0]!r} one of spikesim; use one package")

    def note(name: str) -> Any:
        def hook(part: nn.Module, args: tuple[Any, ...]) -> None:
            calls[name] += 1
            if name in neurons:
                rows.add(args[0].shape[0])

        return hook

    for name, part in names.items():
        handles.append(part.register_forward_pre_hook(note(name)))
    try:
        with unchanged(module):
            run()
    finally:
        for handle in handles:
            handle.remove()
    neurons = {name: part for name, part in neurons.items() if calls[name]}  # the others cost nothing
    steps = {calls[name] for name in neurons}
    if steps <= {1}:
        often = "once" if neurons else "never"
        raise LedgerError(
            f"{next(iter(neurons), first)!r} is a neuron of snntorch, and it was called {often}, so that the steps of "
            f"time are not inside {type(module).__name__}: give spikesim.converters.from_snntorch(net) "
            "and x [T, N, ...], or the module whose forward holds the loop"
        )
    if len(steps) > 1 or len(rows) > 1:
        told = ", ".join(f"{name!r} {calls[name]} times" for name in neurons)
        raise LedgerError(
            f"the neurons of {type(module).__name__} are called differently often ({told}) or on other numbers of "
            "samples, so that its time steps cannot be told; call each once a step, a neuron of its own in each place"
        )
    timesteps, samples = steps.pop(), rows.pop()
    return Loop(timesteps, samples, calls, samples_axis(x, timesteps, samples))


def samples_axis(x: Any, timesteps: int, samples: int) -> int:
    """0 for an input ``[N, ...]``, 1 for ``[T, N, ...]``.

    Raises:
        LedgerError: it is neither, or may be either.
    """
    if not isinstance(x, torch.Tensor):
        raise LedgerError("a module with a loop of its own over time must take one tensor")
    after = tuple(x.shape[:2]) == (timesteps, samples)
    before = x.shape[0] == samples
    if after and before and x.dim() > 2:
        raise LedgerError(
            f"x has shape {list(x.shape)}, and T = N = {samples}: which axis holds the samples cannot be told; give "
            "another number of samples"
        )
    if not (after and x.dim() > 2) and not before:
        raise LedgerError(
            f"x has shape {list(x.shape)}, but the neurons receive {samples} samples in {timesteps} steps; give x as "
            "[N, ...] or [T, N, ...]"
        )
    return 0 if before else 1


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Give neurons back the state in which they were found: those with hidden states keep them."""
    found = [part for part in module.modules() if package_of(part) is not None]
    kept = [(part, dict(part.__dict__), dict(part._buffers)) for part in found]
    try:
        yield
    finally:
        for part, attributes, buffers in kept:
            part.__dict__.update(attributes)
            part._buffers.clear()
            part._buffers.update(buffers)


class LoopRecorder(Recorder):  # type: ignore[no-untyped-call]
    """Counts a module that walks through time by itself, each call of a layer at its own step.

    Args:
        loop: what it does over time.
        fans: see :class:`~spikesim.energy.recorder.Recorder`, as is ``pruned``.
        twin: whether ReLUs stand for the neurons, and only one step counts: the ANN of the same layers.
    """

    def __init__(self, loop: Loop, fans: FanOuts | None = None, pruned: bool = False, twin: bool = False) -> None:
        super().__init__(fans, pruned)
        self.loop, self.twin, self.step = loop, twin, 0
        self.timesteps = 1 if twin else loop.timesteps  # that are counted
        self._made: Counter[str] = Counter()
        self._equal: dict[str, Any] = {}

    def add(self, column: str, table: torch.Tensor) -> None:
        """Counts of one step, ``[1, N]`` or ``[1]``, where they belong."""
        if self._again():
            return
        pieces = self.layers[self.layer].pieces[column]
        whole = next((piece for piece in pieces if piece.dim() == table.dim()), None)
        if whole is None:
            whole = table.new_zeros(self.timesteps, *table.shape[1:])
            pieces.append(whole)
        whole[0 if self.twin else self.step] += table[0]

    def unknown(self, operation: str, elements: int) -> None:
        """List an operation that is not priced."""
        if not self._again():
            super().unknown(operation, elements)

    def _again(self) -> bool:
        """Whether a twin repeats itself: it has one step, and layers before or behind the loop."""
        return self.twin and self.step > 0 and (self.layer == "(root)" or self.loop.calls[self.layer] != 1)

    def evenly(self, total: int, edge: Edge) -> torch.Tensor:
        """Nothing of a constant input after the first step."""
        table = super().evenly(total, edge)
        return table * 0 if edge.held and self.step else table

    def per_step(self, counts: torch.Tensor, edge: Edge) -> torch.Tensor:
        """Nothing of a constant input after the first step."""
        table = super().per_step(counts, edge)
        return table * 0 if edge.held and self.step else table

    def _enter(self, name: str) -> Any:
        entered, called, timesteps = super()._enter(name), self.loop.calls[name or "(root)"], self.loop.timesteps

        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            place = self._made[name]
            self._made[name] += 1
            if called % timesteps == 0 and not self._opaque:
                self.step = place * timesteps // called
            elif called == 1 and name:
                self.layers[name].once = not self.step  # before the loop
            entered(module, args)
            if package_of(module) is not None:
                self._opaque += 1

        return hook

    def _leave(self) -> Any:
        left = super()._leave()

        def hook(module: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
            if package_of(module) is None:
                return left(module, args, out)
            if self._opaque == 1:
                out = self._neuron(module, args[0], out)
            self._opaque -= 1
            self._stack.pop()
            return out

        return hook

    def _neuron(self, module: nn.Module, current: torch.Tensor, out: Any) -> Any:
        spikes, *states = out if isinstance(out, tuple) else (out,)
        if self.twin:
            self._opaque = 0  # the ReLU is an operation of the twin
            spikes = torch.relu(current)
            self._opaque = 1
            states = [spikes for _ in states]
        else:
            name = self.layer
            equal = self._equal.get(name) or self._equal.setdefault(name, equal_neuron(name, module))
            charge_neuron(self, equal, current, spikes)
        for state in states:
            if state is not spikes:
                self.edges.tag(state, Edge())
        return (spikes, *states) if isinstance(out, tuple) else spikes
