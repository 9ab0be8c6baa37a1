"""Monitors: record spikes and states of chosen neurons while a network runs, without changing what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from spikesim.dynamics import Neuron
from spikesim.errors import ConfigError, ReuseError
from spikesim.nn.recording import LayerRecording, Recording
from spikesim.nn.selection import Selection, neuron_indices, per_layer, sample_indices
from spikesim.nn.watch import Budget, Wanted, Watch

if TYPE_CHECKING:
    from spikesim.nn.network import Network

DEFAULT_BUDGET = 1 << 30  # bytes


class Monitor:
    """The context manager that :meth:`spikesim.nn.Network.record` returns; its arguments are described there.

    It hangs forward hooks on the chosen neurons for the length of each call, and on nothing between calls, so
    that a copy or a pickle of the network made inside the block carries none.
    """

    def __init__(
        self,
        network: Network,
        layers: Sequence[str],
        *,
        spikes: bool,
        states: str | Iterable[str],
        neurons: Any,
        samples: Any,
        every: int,
        last: int | None,
        budget: int,
        device: str | torch.device | None,
    ) -> None:
        _positive("every", every)
        _positive("budget", budget)
        if last is not None:
            _positive("last", last)
        _refuse_compiled_parts(network.module)
        self._network = network
        known = network.neurons()
        chosen = _chosen_layers(layers, known)
        wanted = _chosen_states(states, chosen, known, named=bool(layers))
        chosen = [name for name in chosen if spikes or wanted[name]]
        if not chosen:
            raise ConfigError("there is nothing to record: spikes=False and no states; ask for one of them")
        indices, rows = per_layer(neurons, chosen), sample_indices(samples)
        kept_on = None if device is None else torch.device(device)
        self._wanted = {
            name: Wanted(
                name, spikes, wanted[name], Selection(neuron_indices(indices[name], name), rows, name), kept_on
            )
            for name in chosen
        }
        self._every, self._last, self._budget = every, last, budget
        self._layers = {name: LayerRecording(name, type(known[name]).__name__, known[name].emits) for name in chosen}
        self._recording = Recording(self._layers)
        self._next_step = 0

    def __enter__(self) -> Recording:
        if self in self._network._monitors:
            raise ReuseError("this recording is already open; call net.record(...) again for a second one")
        self._network._monitors = (*self._network._monitors, self)
        return self._recording

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._network._monitors = tuple(m for m in self._network._monitors if m is not self)

    @contextmanager
    def watching(self, neurons: Mapping[str, nn.Module], timesteps: int, fresh: bool) -> Iterator[None]:
        """Record one call; what a call that fails has shown is forgotten.

        Args:
            neurons: modules by qualified name.
            timesteps: T.
            fresh: whether the call starts at the initial state.
        """
        first = 0 if fresh else self._next_step
        steps = range(-first % self._every, timesteps, self._every)
        kept = steps if self._last is None else steps[-self._last :]
        budget = Budget(self._budget, self._recording.nbytes)
        watches = {name: Watch(w, kept, first, budget) for name, w in self._wanted.items() if name in neurons}
        handles = []
        for name, watch in watches.items():
            neuron = neurons[name]
            if watch.wanted.states and fresh and isinstance(neuron, Neuron) and neuron.draws:
                handles.append(neuron.register_forward_pre_hook(watch.before))
            # First among the hooks: what the neuron emitted, before a hook of the user's may replace it.
            handles.append(neuron.register_forward_hook(watch, prepend=True, with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        for name, watch in watches.items():
            if watch.trace is not None:
                self._layers[name].keep(watch.trace, self._last, len(steps) - len(kept))
        self._next_step = first + timesteps


def run_watched(
    monitors: Sequence[Monitor],
    module: nn.Module,
    inputs: Any,
    neurons: Mapping[str, nn.Module],
    timesteps: int,
    fresh: bool,
) -> Any:
    """Run ``module`` once under all open recordings."""
    # A checkpoint around the network runs it again inside the backward: that is the same call, not another.
    if not monitors or torch._C._current_graph_task_id() != -1:
        return module(inputs)
    with monitors[0].watching(neurons, timesteps, fresh):
        return run_watched(monitors[1:], module, inputs, neurons, timesteps, fresh)


def run_uncompiled(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a call that is being compiled as plain Python, so that it can be recorded.

    Raises:
        ConfigError: it is traced for export, where nothing runs.
    """
    if not torch.compiler.is_dynamo_compiling():
        raise ConfigError("the network is being recorded and cannot be exported meanwhile; export outside the block")
    from spikesim.nn.uncompiled import recorded_networks_run_uncompiled

    return recorded_networks_run_uncompiled(function, *arguments)


def _refuse_compiled_parts(module: nn.Module) -> None:
    # Compiled code does not look for hooks that were added since. A whole compiled Network is noticed in its call.
    for name, part in module.named_modules():
        if "_orig_mod" in part._modules or part._compiled_call_impl is not None:
            where = f"'{name}'" if name else "its module"
            raise ConfigError(
                f"record: {where} was compiled by torch.compile and cannot be watched from inside; record from a "
                "Network of the module that was compiled, or compile the whole Network"
            )


def _positive(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"record: {name} is {value!r}, but it must be a whole number of at least 1")


def _chosen_layers(layers: Sequence[str], known: Mapping[str, Neuron]) -> list[str]:
    if unknown := [layer for layer in layers if layer not in known]:
        raise ConfigError(
            f"record: no neuron is called {', '.join(map(repr, unknown))}; the neurons of this network are "
            f"{', '.join(map(repr, known)) or 'none'}"
        )
    return list(dict.fromkeys(layers)) if layers else list(known)


def _chosen_states(
    states: str | Iterable[str], layers: Sequence[str], known: Mapping[str, Neuron], named: bool
) -> dict[str, tuple[str, ...]]:
    if states == "all":
        return {layer: tuple(known[layer].states) for layer in layers}
    wanted = (states,) if isinstance(states, str) else tuple(dict.fromkeys(states))
    for state in wanted:
        without = [layer for layer in layers if state not in known[layer].states]
        # Asked for by name, a layer must have it; asked for all, at least one must.
        if without and (named or len(without) == len(layers)):
            has = "; ".join(f"'{layer}' has {', '.join(known[layer].states) or 'no state'}" for layer in without)
            raise ConfigError(f"record: there is no state '{state}': {has}")
    return {layer: tuple(s for s in wanted if s in known[layer].states) for layer in layers}
