"""A NIR graph as a network."""

from __future__ import annotations

import graphlib
import operator
import os
import re
from collections import OrderedDict
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from spikesim.converters.nir_constants import FAMILIES
from spikesim.converters.nir_layers import read_layer
from spikesim.converters.nir_modules import library, seconds
from spikesim.converters.nir_read import read_neuron, said_by
from spikesim.errors import CheckpointError, ConfigError, ConversionError
from spikesim.nn import Constant, Count, DelayedMean, Last, Mean, Network

_NEURONS = {family.node for family in FAMILIES.values()}
_DAMAGED = (AttributeError, LookupError, TypeError, ValueError, RuntimeError)
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def from_nir(graph: Any, *, dt: float | None = None, dtype: torch.dtype | None = None) -> Network:
    """Read a NIR graph as a network: what :func:`to_nir` wrote comes back bit for bit.

    A graph of another writer means what NIR says: neurons fire above the threshold and are set to ``v_reset``, from
    forward Euler steps of ``dt``. Where its writer meant something else (snnTorch subtracts the threshold unless told
    otherwise), set it afterwards: ``neuron.reset_rule = "subtract"``. Surrogate gradients are the default ones.

    Args:
        graph: A ``nir.NIRGraph``, or the path of a file.
        dt: Seconds per time step; what the graph's metadata say if None.
        dtype: Of weights and parameters; what the metadata say if None, else float32.

    Returns:
        A network over an ``nn.Sequential`` if the graph is a chain, else over an ``fx.GraphModule``; several edges into
        one node are a sum, in their order.

    Raises:
        ConversionError: The graph holds what spikesim cannot run (recurrent edges, graphs within graphs, delays,
            several inputs), does not say its ``dt``, or ``nir`` is not installed; nodes are named.
        CheckpointError: The file is missing or no NIR graph.
        ConfigError: ``dt`` is no positive number.

    Example:
        >>> from spikesim.converters import from_nir
        >>> from_nir("no-such-file.nir")
        Traceback (most recent call last):
        ...
        spikesim.errors.CheckpointError: there is no file no-such-file.nir
    """
    dt = None if dt is None else seconds(dt)
    if dtype not in (None, *_DTYPES.values()):
        raise ConfigError(f"dtype is {dtype}, but it must be torch.float32 or torch.float64")
    graph = _read(graph) if isinstance(graph, (str, os.PathLike)) else graph
    if not isinstance(graph, library().NIRGraph):
        raise ConversionError(f"from_nir takes a nir.NIRGraph or the path of one, not a {type(graph).__name__}")
    said = said_by(graph)
    chosen = dtype or _DTYPES.get(str(said.get("dtype")), torch.float32)
    sources = _sources(graph)
    modules = _modules(graph, dt, chosen)
    try:
        ends = _ends(said)
    except _DAMAGED as error:
        raise ConversionError(f"the graph's metadata are damaged ({error}): delete metadata['spikesim']") from error
    return Network(_joined(graph, sources, modules), *ends)


def _read(path: str | os.PathLike[str]) -> Any:
    if not Path(path).is_file():
        raise CheckpointError(f"there is no file {path}")
    nir = library()
    try:
        return nir.read(path, type_check=False)
    except Exception as error:  # nir checks what it reads with asserts, and h5py has errors of many kinds
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is no NIR graph that nir can read ({first}): export it again") from error


def _sources(graph: Any) -> dict[str, list[str]]:
    """What each node reads, nodes in an order in which they can run."""
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for start, end in graph.edges:
        for name in (start, end):
            if name not in sources:
                raise ConversionError(f"an edge names '{name}', but the graph has no such node")
        if start in sources[end]:
            raise ConversionError(f"the edge from '{start}' to '{end}' is there twice: scale it by 2 instead")
        sources[end].append(start)
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    for kind in ("Input", "Output"):
        found = [f"'{name}'" for name, its in kinds.items() if its == kind]
        if len(found) != 1:
            raise ConversionError(f"the graph has {len(found)} {kind} nodes ({', '.join(found)}); expected one")
    try:
        order = list(graphlib.TopologicalSorter(sources).static_order())
    except graphlib.CycleError as error:
        cycle = " -> ".join(f"'{name}'" for name in error.args[1])
        raise ConversionError(f"recurrent edges are not supported: {cycle}") from None
    read = {name for several in sources.values() for name in several}
    for name in order:
        if kinds[name] != "Input" and not sources[name]:
            raise ConversionError(f"'{name}' reads nothing: add the edge that leads to it")
        if kinds[name] == "Input" and sources[name]:
            raise ConversionError(f"'{name}' is an Input, but an edge leads to it")
        if (name in read) == (kinds[name] == "Output"):
            raise ConversionError(f"nothing reads '{name}', or it is an Output and something does")
    return {name: sources[name] for name in order}


def _modules(graph: Any, dt: float | None, dtype: torch.dtype) -> dict[str, list[nn.Module]]:
    """What each node comes to: one module, or two for a neuron whose input is scaled."""
    modules: dict[str, list[nn.Module]] = {}
    problems = []
    for name, node in graph.nodes.items():
        kind = type(node).__name__
        if kind in ("Input", "Output"):
            continue
        try:
            if kind in _NEURONS:
                parts = read_neuron(node, _step(node, graph, dt), dtype)
                modules[name] = [part for part in parts if part is not None]
            elif kind == "NIRGraph":
                raise ConversionError("it is a graph within the graph: write its nodes and edges into one")
            else:
                modules[name] = [read_layer(node, dtype)]
        except ConversionError as error:
            problems.append(f"'{name}' ({kind}): {error}")
        except _DAMAGED as error:
            problems.append(f"'{name}' ({kind}): its fields or metadata are damaged ({error})")
    if problems:
        raise ConversionError("spikesim cannot run this graph:\n  " + "\n  ".join(problems))
    return modules


def _step(node: Any, graph: Any, dt: float | None) -> float:
    said = dt or said_by(node).get("dt") or said_by(graph).get("dt")
    if said is None:
        raise ConversionError(
            "the graph does not say its time step: give dt=, in seconds (snnTorch writes 1e-4, others often 1e-3)"
        )
    return seconds(float(said))


def _joined(graph: Any, sources: dict[str, list[str]], modules: dict[str, list[nn.Module]]) -> nn.Module:
    root: OrderedDict[str, nn.Module] = OrderedDict()
    fxgraph = fx.Graph()
    values: dict[str, fx.Node] = {}
    sums: dict[tuple[str, ...], fx.Node] = {}
    chain = True
    for name, reads in sources.items():
        if not reads:
            values[name] = fxgraph.placeholder("x")
            continue
        chain = chain and len(reads) == 1
        if tuple(reads) not in sums:
            sums[tuple(reads)] = reduce(_add, (values[read] for read in reads))
        value = sums[tuple(reads)]
        for i, module in enumerate(modules.get(name, [])):
            before = i + 1 < len(modules[name])
            place = _place(f"{name}_drive" if before else name, root)
            root[place] = module
            value = fxgraph.call_module(place, (value,))
        values[name] = value
    if chain:
        return nn.Sequential(root)
    fxgraph.output(next(values[name] for name in sources if type(graph.nodes[name]).__name__ == "Output"))
    return fx.GraphModule(dict(root), fxgraph, class_name="SpikingGraph")


def _add(first: fx.Node, second: fx.Node) -> fx.Node:
    return first.graph.call_function(operator.add, (first, second))


def _place(name: str, taken: OrderedDict[str, nn.Module]) -> str:
    """A name that a module may have inside another."""
    place = re.sub(r"\W", "_", name) or "node"
    while place in taken or hasattr(nn.Sequential, place) or hasattr(fx.GraphModule, place) or place == "training":
        place += "_"
    return place


def _ends(said: Any) -> tuple[nn.Module | None, nn.Module | None]:
    encoder = Constant(int(said["timesteps"]), bool(said["hoist"])) if said.get("encoder") == "Constant" else None
    readouts = {"Mean": Mean, "Count": Count, "Last": Last}
    name = str(said.get("readout"))
    if name == "DelayedMean":
        return encoder, DelayedMean(int(said["delay"]))
    return encoder, readouts[name]() if name in readouts else None
