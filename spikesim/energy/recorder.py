"""Run a network once and see every operation that torch executes, attributed to its module.

A dispatch mode sees functional operations and attention as well as layers; forward hooks keep the
stack of module names. Inside a neuron nothing is counted one by one: its update is priced from its
equations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from spikesim.dynamics import Neuron
from spikesim.energy.counting import Counting
from spikesim.energy.fanout import FanOuts
from spikesim.energy.rules_neuron import charge_neuron


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


class Recorder(Counting, TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations while it is active; see :meth:`spikesim.energy.Ledger.record`."""

    def __init__(self, fans: FanOuts | None = None, pruned: bool = False) -> None:
        super().__init__(fans, pruned)
        self._opaque = 0

    # Attribution

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
                    charge_neuron(self, module, args[0], out)
                self._opaque -= 1
            self._stack.pop()

        return hook

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
