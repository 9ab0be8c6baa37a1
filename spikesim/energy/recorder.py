"""Run a network once and see every operation that torch executes, attributed to its module.

A dispatch mode sees functional operations and attention as well as layers; forward hooks keep the
stack of module names. Inside a neuron nothing is counted one by one: its update is priced from its
equations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from spikesim.dynamics import Neuron
from spikesim.energy.checks import INPUT, Checks
from spikesim.energy.edges import Edge, EdgeTable
from spikesim.energy.layout import Layout
from spikesim.energy.updates import update_mix


@dataclass
class Seen:
    """What was seen of one layer: pieces of counts per column, and how it was reached."""

    operations: set[str]
    inputs: set[str]
    pieces: dict[str, list[torch.Tensor]]
    once: bool = False


@dataclass(frozen=True)
class Op:
    """One executed operation, as rules see it.

    Args:
        name: name of the aten operation, without the mark of in-place variants.
        named: its arguments by name, defaults filled in.
        out: what it returned.
        call: the operation itself.
    """

    name: str
    named: dict[str, Any]
    out: Any
    call: Any

    def __getitem__(self, name: str) -> Any:
        return self.named[name]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, or ``default`` where this overload has none of that name."""
        return self.named.get(name, default)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations while it is active; see :meth:`spikesim.energy.Ledger.record`."""

    layout: Layout  # set when the root module receives its input

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.edges = EdgeTable()
        self.layers: dict[str, Seen] = {}
        self.unpriced: dict[tuple[str, str], int] = defaultdict(int)
        self._stack: list[str] = []
        self._opaque = 0
        self.checks = Checks()

    # Attribution

    @property
    def layer(self) -> str:
        """Qualified name of the module that is running."""
        return (self._stack[-1] or "(root)") if self._stack else INPUT

    @contextmanager
    def watching(self, root: nn.Module) -> Iterator[None]:
        """Keep the stack of module names while ``root`` runs."""
        handles = []
        for name, module in root.named_modules():
            handles.append(module.register_forward_pre_hook(self._enter(name)))
            handles.append(module.register_forward_hook(self._leave()))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._stack.clear()
            self._opaque = 0

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Attribute what follows to ``name``."""
        self._stack.append(name)
        try:
            yield
        finally:
            self._stack.pop()

    def _enter(self, name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            self._stack.append(name)
            if isinstance(module, Neuron):
                self._opaque += 1

        return hook

    def _leave(self) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
            if isinstance(module, Neuron):
                # Still opaque: the recorder's own arithmetic is no operation of the network.
                if self._opaque == 1:
                    self._neuron(module, args[0], out)
                self._opaque -= 1
            self._stack.pop()

        return hook

    def _neuron(self, neuron: Neuron, x: torch.Tensor, out: torch.Tensor) -> None:
        incoming = self.edges.get(x)
        if incoming is not None:
            seen = self.seen(incoming, "neuron")
            if incoming.is_spikes:
                # Spikes that no layer weighs (pooled, added, or straight from a neuron) are
                # accumulated one by one.
                events = self.arrivals(self.events(x, incoming), incoming)
                self.add(f"synops_{incoming.kind}", events)
            seen.once = False
        edge = Edge.declared(neuron.emits)
        self.edges.tag(out, edge)
        updates = self.layout.constant(out.numel(), False, self.layer)
        self.add("neuron_updates", updates)
        spikes = torch.zeros_like(updates)
        if edge.is_spikes:
            spikes = self.per_step(self.events(out, edge), edge)
            self.add("spikes_out", spikes)
        mix = update_mix(neuron)
        for kind, per_update in mix.per_update.items():
            self.add(f"update_{kind}", updates * per_update)
        for kind, per_spike in mix.per_spike.items():
            self.add(f"update_{kind}", spikes.cpu() * per_spike)
        for primitive, times in mix.unpriced.items():
            self.unpriced[self.layer, f"neuron {primitive}"] += int(updates.sum()) * times

    # Counting, for rules

    def seen(self, edge: Edge, operation: str) -> Seen:
        """Note that the running layer executed ``operation`` on an input of type ``edge``."""
        layer = self.layers.setdefault(self.layer, Seen(set(), set(), defaultdict(list)))
        layer.operations.add(operation)
        layer.inputs.add(edge.kind)
        layer.once |= edge.once
        return layer

    def add(self, column: str, per_step: torch.Tensor) -> None:
        """Add int64 ``[T]`` counts to a column of the running layer."""
        layer = self.layers.setdefault(self.layer, Seen(set(), set(), defaultdict(list)))
        layer.pieces[column].append(per_step)

    def constant(self, column: str, total: int, edge: Edge) -> None:
        """Add a total that is the same for every row."""
        self.add(column, self.layout.constant(total, edge.once, self.layer))

    def per_step(self, counts: torch.Tensor, edge: Edge) -> torch.Tensor:
        """Sum counts in the layout of ``edge`` to int64 ``[T]``."""
        return self.layout.per_step(counts, edge.axis, edge.once, self.layer)

    def arrivals(self, counts: torch.Tensor, edge: Edge) -> torch.Tensor:
        """Count events that reach the running layer; returns them per step."""
        events = self.per_step(counts, edge)
        self.add(f"events_in_{edge.kind}", events)
        return events

    def unknown(self, operation: str, elements: int) -> None:
        """List an operation that is not priced."""
        self.unpriced[self.layer, operation] += elements

    def events(self, values: torch.Tensor, edge: Edge) -> torch.Tensor:
        """Events per value, whole numbers; the values are checked against their declared type, once."""
        sound = self.edges.sound(values)
        self.edges.vouch(values)
        return self.checks.events(values, edge, self.layer, sound)

    # The dispatch

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Execute one operation and hand it to its rule."""
        from spikesim.energy.rules import WEIGHTED, apply_rule, has_rule

        kwargs = kwargs or {}
        if self._opaque or not self._stack or func.namespace in ("prim", "prims"):
            return func(*args, **kwargs)
        name = func._schema.name.rpartition("::")[2]
        if not has_rule(name) and _is_composite(func):
            # Only seen under inference mode; elsewhere torch decomposes before it gets here.
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        inputs = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        edges = [e for e in map(self.edges.get, inputs) if e is not None]
        # Results of checked spikes need no check of their own, unless constants were mixed in.
        sound = len(edges) == len(inputs) or name not in ("cat", "stack")
        sound = sound and all(self.edges.sound(t) for t in inputs if self._spikes(t))
        in_place = name.endswith("_") and bool(args) and isinstance(args[0], torch.Tensor)
        if not edges:
            if name in WEIGHTED:
                # An activation that left torch and came back, or a layer on constants: not to be passed over.
                self.unknown(f"{name} on a constant", 1)
            return func(*args, **kwargs)
        named = _named(func, args, kwargs)
        if in_place:
            name = name.rstrip("_")
            before = self.edges.get(args[0])
            if before is not None:
                # The rule needs the shape, and of spikes the events, that are about to be overwritten.
                saved = args[0].clone() if before.is_spikes else args[0].detach()
                self.edges.tag(saved, before)
                named["self"] = saved
        out = func(*args, **kwargs)
        if in_place:
            self.edges.doubt(args[0])
        apply_rule(self, Op(name, named, out, func))
        if sound:
            for t in tree_leaves(out):
                if isinstance(t, torch.Tensor) and self._spikes(t):
                    self.edges.vouch(t)
        return out

    def _spikes(self, tensor: torch.Tensor) -> bool:
        edge = self.edges.get(tensor)
        return edge is not None and edge.is_spikes


def _is_composite(func: Any) -> bool:
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key))


def _named(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    named = {}
    for place, argument in enumerate(func._schema.arguments):
        if place < len(args):
            named[argument.name] = args[place]
        elif argument.name in kwargs:
            named[argument.name] = kwargs[argument.name]
        else:
            named[argument.name] = argument.default_value if argument.has_default_value() else None
    return named
