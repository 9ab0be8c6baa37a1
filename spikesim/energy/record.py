"""Record a ledger: run a network once, in evaluation mode, without gradients."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from spikesim.dynamics import SpikeType, TimeAware
from spikesim.energy.attributes import attributes
from spikesim.energy.counting import Seen
from spikesim.energy.edges import Edge
from spikesim.energy.fanout import FanOuts
from spikesim.energy.foreign import foreign_neuron
from spikesim.energy.layer_counts import LayerCounts
from spikesim.energy.layout import Layout
from spikesim.energy.ledger import Connections, InputKind, Ledger
from spikesim.energy.own_time import LoopRecorder, as_network, loop_of, loops, unchanged
from spikesim.energy.readouts import charge_readout
from spikesim.energy.recorder import Recorder
from spikesim.errors import LedgerError, SpikesimError
from spikesim.nn import Network


def record(
    network: nn.Module,
    x: Any,
    input: InputKind,
    mask: torch.Tensor | None,
    strict: bool,
    connections: Connections = "all",
    fans: FanOuts | None = None,
    twin: bool = False,
) -> tuple[Ledger, Any]:
    """What :meth:`spikesim.energy.Ledger.record` does; the ledger, and what the network returned.

    With ``twin`` ReLUs stand for the neurons of a module that walks through time by itself.
    """
    declared = _declared(input)
    if connections not in ("all", "nonzero"):
        raise LedgerError(f"connections is {connections!r}, but it must be 'all' or 'nonzero'")
    held_layers: Sequence[str] = ()
    if not isinstance(network, Network):
        with _evaluating(network):
            network = as_network(network, cast_integers(network, x))
    given = network
    if isinstance(network, Network):
        held_layers = network.held_layers() if input in ("analog", "analog_once") else ()
        with _evaluating(network), torch.no_grad():
            network, x, own = network.over_time(x)
        mask = own if mask is None else mask
    wrapped = isinstance(network, Network)
    root = network.module if isinstance(network, Network) else network
    _check(network, root, x, mask)
    x = cast_integers(network, x)
    pruned, loop = connections == "nonzero", None
    if loops(network):
        with _evaluating(network), torch.no_grad():
            try:
                loop = loop_of(network, lambda: _run(network, x, None), x)
            except (RuntimeError, ValueError, IndexError) as error:
                if not isinstance(error, SpikesimError):
                    _blame_input(network, x, None)
                raise
        if twin and loop.axis:
            x = x.mean(0, keepdim=True).expand(x.shape)  # the frame that an ANN sees
    recorder = Recorder(fans, pruned) if loop is None else LoopRecorder(loop, fans, pruned, twin)
    outcome: list[Any] = []

    def begin(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        if loop is not None:
            recorder.layout = Layout(1, loop.samples)
            if loop.axis and input == "analog_once":
                _require_constant([t.flatten(0, 1) for t in tensors], Layout(loop.timesteps, loop.samples))
            for tensor in tensors:
                edge = replace(Edge.declared(declared, held=input == "analog_once"), axis=loop.axis)
                recorder.edges.tag(tensor, edge)
                if edge.is_spikes:
                    recorder.events(tensor, edge)
            return
        recorder.layout = replace(
            _layout(network, x, tensors[0].shape[0], mask), each=isinstance(input, str) and input == "analog_each_step"
        )
        once = wrapped and tensors[0].shape[0] != recorder.layout.rows
        held = isinstance(input, str) and input == "analog_once" and not once and recorder.layout.timesteps > 1
        if held:
            _require_constant(tensors, recorder.layout)
        for tensor in tensors:
            edge = Edge.declared(declared, once, held)
            recorder.edges.tag(tensor, edge)
            # The declaration is checked even where no layer counts events.
            if edge.is_spikes and recorder.tally(tensor, edge) is None:
                recorder.events(tensor, edge)

    def end(module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        outcome.append(out)

    with ExitStack() as stack:
        stack.enter_context(_evaluating(network))
        stack.enter_context(torch.no_grad())
        stack.enter_context(unchanged(network))
        # Registered first, so that the input is typed before the first module runs.
        stack.callback(root.register_forward_pre_hook(begin, with_kwargs=True).remove)
        stack.callback(root.register_forward_hook(end).remove)
        try:
            with recorder.watching(root), recorder:
                output = _run(network, x, mask)
        except (RuntimeError, ValueError, IndexError) as error:
            if not isinstance(error, SpikesimError):
                _blame_input(network, x, mask)
            raise
    if isinstance(network, Network) and network.readout is not None:
        charge_readout(recorder, network.readout, outcome[0])
    recorder.checks.finish()
    if loop is not None:
        recorder.layout = Layout(1 if twin else loop.timesteps, loop.samples)
    ledger = _ledger(recorder, root, input if isinstance(input, str) else input.kind, strict)
    layers = {name: layer.computed_once() if name in held_layers else layer for name, layer in ledger.layers.items()}
    read = given.counted_steps(ledger.timesteps) if isinstance(given, Network) else range(ledger.timesteps)
    return replace(ledger, connections=connections, layers=layers, counted=(read.start, read.stop)), output


def _run(network: nn.Module, x: Any, mask: torch.Tensor | None) -> Any:
    return network(x, mask) if isinstance(network, Network) else called(network, x)


def called(module: nn.Module, x: Any) -> Any:
    """What a plain module makes of its input: a tuple or a dict is spread over arguments where it has several.

    Example:
        >>> import torch
        >>> from spikesim.energy.record import called
        >>> x = torch.ones(2, 3)
        >>> called(torch.nn.Bilinear(3, 3, 1), (x, x)).shape, called(torch.nn.ReLU(), x).shape
        (torch.Size([2, 1]), torch.Size([2, 3]))
    """
    try:
        arguments = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):  # a forward that is not written in Python does not tell
        return module(x)
    several = len([a for a in arguments if a.default is a.empty and a.kind is not a.VAR_KEYWORD]) > 1
    if several and isinstance(x, dict):
        return module(**x)
    return module(*x) if several and isinstance(x, tuple | list) else module(x)


def _require_constant(tensors: Sequence[torch.Tensor], layout: Layout) -> None:
    for tensor in tensors:
        steps = tensor.reshape(layout.timesteps, layout.samples, *tensor.shape[1:])
        if not bool((steps == steps[:1]).all()):
            raise LedgerError(
                "input='analog_once' says that the input does not change over time, but it does; declare it as "
                "'analog_each_step', or give an encoder that holds it"
            )


def _blame_input(network: nn.Module, x: Any, mask: torch.Tensor | None) -> None:
    """Raise LedgerError if the network fails on the input without being recorded too; else the failure is ours."""
    try:
        _run(network, x, mask)
    except SpikesimError:
        raise
    except (RuntimeError, ValueError, IndexError) as error:
        shapes = ", ".join(str(list(t.shape)) for t in tree_leaves(x) if isinstance(t, torch.Tensor))
        raise LedgerError(
            f"{type(network).__name__} fails on its input of shape {shapes}: {error}; give inputs of the shape that it "
            "takes"
        ) from error


def _declared(input: InputKind) -> SpikeType:
    if isinstance(input, SpikeType):
        return input
    if input in ("analog", "analog_once", "analog_each_step"):
        return SpikeType("analog")
    if input == "events":
        return SpikeType("graded", bits=32)
    raise LedgerError(
        f"input is {input!r}, but it must be 'analog', 'analog_once', 'analog_each_step', 'events' or a SpikeType"
    )


def _check(network: nn.Module, root: nn.Module, x: Any, mask: torch.Tensor | None) -> None:
    wrapped = isinstance(network, Network)
    tensors = [t for t in tree_leaves(x) if isinstance(t, torch.Tensor)]
    if not tensors:
        raise LedgerError(f"x is a {type(x).__name__}, but it must be a tensor or hold tensors")
    inner = [name for name, m in root.named_modules() if isinstance(m, Network)]
    if inner and not wrapped:
        raise LedgerError(
            f"{type(network).__name__} runs a spikesim.nn.Network ({inner[0] or '(root)'!r}) in a way of its own, so "
            "that its steps cannot be told: give that Network itself. A network with early exits is measured by "
            "spikesim.converters.measure_early(network, data), or as one that takes all its steps by "
            "energy_report(network.whole(), ...)"
        )
    if not wrapped and not loops(network) and any(isinstance(m, TimeAware) for m in root.modules()):
        raise LedgerError(
            f"{type(root).__name__} holds modules that see time but is no spikesim.nn.Network; "
            "wrap it: Network(module), or Network(module, encoder=Constant(T)) for static input"
        )
    stranger = foreign_neuron(root)
    if stranger is not None and not loops(network):
        name, package = stranger
        remedy = "spikesim.converters.from_snntorch(net)" if package == "snntorch" else "neurons of spikesim.neurons"
        raise LedgerError(
            f"{name!r} is a neuron of {package}, which the ledger cannot tell from an activation function: its spikes "
            f"would be counted as numbers; use {remedy}"
        )
    timed = isinstance(network, Network) and network.encoder is None
    needed = 2 if timed else 1
    shape = tuple(tensors[0].shape)
    if len(shape) < needed:
        raise LedgerError(f"x has shape {shape}, but it must be {'[T, N, ...]' if timed else '[N, ...]'}")
    if 0 in shape[:needed]:
        raise LedgerError(f"x has shape {shape}: there is no sample or no time step to count; give at least one")
    if mask is not None and not wrapped:
        raise LedgerError("a mask [T, N] was given for a plain module, which has no time steps; leave it out")
    if mask is not None and mask.dtype != torch.bool:
        raise LedgerError(f"mask is {mask.dtype}, but it must be bool: True where a step is real")
    if mask is not None and timed and tuple(mask.shape) != shape[:2]:
        raise LedgerError(f"mask has shape {tuple(mask.shape)}, but x asks for [T, N] = {list(shape[:2])}")
    for tensor in tensors:
        if not bool(tensor.isfinite().all()):
            raise LedgerError(
                f"the network input of shape {list(tensor.shape)} holds NaN or infinite values, for which no count "
                "means anything; clean the data"
            )


def _layout(network: nn.Module, x: Any, rows: int, mask: torch.Tensor | None) -> Layout:
    first = next(t for t in tree_leaves(x) if isinstance(t, torch.Tensor))
    if not isinstance(network, Network):
        return Layout(1, first.shape[0])
    if network.encoder is None:
        return Layout(first.shape[0], first.shape[1], mask)
    samples = first.shape[0]
    told = [m.timesteps for m in network.modules() if isinstance(m, TimeAware) and m.timesteps]
    return Layout(int(told[0]) if told else rows // samples, samples, mask)


def cast_integers(network: nn.Module, x: Any) -> Any:
    """Inputs of whole numbers in the dtype of the weights."""
    dtype = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.get_default_dtype())
    if any(isinstance(m, nn.Embedding) for m in network.modules()):
        return x  # numbers of tokens stay whole
    return tree_map(lambda t: t.to(dtype) if isinstance(t, torch.Tensor) and not t.is_floating_point() else t, x)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, with attention computed by operations that can be seen; both are restored."""
    training = [m for m in network.modules() if m.training]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    network.eval()
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module in training:
            module.training = True


def _ledger(recorder: Recorder, root: nn.Module, declared: str, strict: bool) -> Ledger:
    if recorder.unpriced and strict:
        named = ", ".join(f"{operation} in {layer!r}" for layer, operation in recorder.unpriced)
        raise LedgerError(f"no column counts {named}; rewrite them, or pass strict=False to have them listed")
    layout, modules = recorder.layout, dict(root.named_modules())
    layers = {
        name: _layer_counts(seen, layout, modules.get("" if name == "(root)" else name))
        for name, seen in recorder.layers.items()
    }
    return Ledger(
        layout.timesteps, layout.samples, layout.active(False).sum(1), declared, layers, dict(recorder.unpriced)
    )


def _layer_counts(seen: Seen, layout: Layout, module: nn.Module | None) -> LayerCounts:
    counts, tables = {}, {}
    for column, pieces in seen.pieces.items():
        if all(piece.dim() == 2 for piece in pieces):
            tables[column] = torch.stack([piece.cpu() for piece in pieces]).sum(0)
            counts[column] = tables[column].sum(1)
        else:
            counts[column] = torch.stack([(p.sum(1) if p.dim() == 2 else p).cpu() for p in pieces]).sum(0)
    return LayerCounts(
        frozenset(seen.operations),
        frozenset(seen.inputs),
        seen.once,
        counts,
        tables,
        geometry=seen.geometry,
        event=next(iter(seen.events)) if len(seen.events) == 1 else None,
        **attributes(module, seen),
    )
