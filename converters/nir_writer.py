"""From the fx graph of a module to the nodes and edges of NIR."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from spikesim.converters.analog import ANALOG
from spikesim.converters.binding import bind, is_torchs_own
from spikesim.converters.hidden import hidden_effects
from spikesim.converters.movements import MOVES
from spikesim.converters.nir_layers import flatten_node, layer_node, no_node
from spikesim.converters.nir_modules import Drive, Scale, library
from spikesim.converters.nir_write import full, neuron_node
from spikesim.converters.trace import attribute, trace
from spikesim.dynamics import Neuron, TimeAware
from spikesim.errors import ConfigError, ConversionError

_SUMS = ("add", "iadd", "add_")
_PRODUCTS = ("mul",)
_RESHAPES = ("flatten", "view", "reshape", "squeeze", "unsqueeze")
_POOL = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
_NOTHING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


class _Shapes(fx.Interpreter):
    """Runs a graph on two samples, neurons left out, and keeps the shape of every value."""

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args[0] if isinstance(self.fetch_attr(target), TimeAware) else super().call_module(target, args, kwargs)

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        n.meta["shape"] = tuple(value.shape[1:]) if isinstance(value, torch.Tensor) else None
        n.meta["rows"] = value.shape[0] if isinstance(value, torch.Tensor) and value.dim() else None
        return value


class Writer:
    """Walks over the fx graph; the value of a node is the sum of the NIR nodes in ``terms``.

    Args:
        module: What a Network runs.
        shape: Of one sample, or None to find it.
        dt: Seconds per step.

    Raises:
        ConversionError: The module cannot be traced, or does not take such samples.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.nir_writer import Writer
        >>> Writer(nn.Sequential(nn.Conv2d(1, 2, 3)), None, 1e-3)
        Traceback (most recent call last):
        ...
        spikesim.errors.ConversionError: NIR needs the shape of a sample: give shape=, for example shape=(1, 28, 28)
    """

    def __init__(self, module: nn.Module, shape: tuple[int, ...] | None, dt: float) -> None:
        if any(nn.parameter.is_lazy(p) for p in module.parameters()):
            raise ConversionError("a lazy layer has no weights yet: run the network once before it is exported")
        if hidden := hidden_effects(module):
            raise ConversionError("; ".join(f"'{name}' ({kind}): {why}" for name, kind, why in hidden))
        wrap = isinstance(module, (TimeAware, Scale)) or fx.Tracer().is_leaf_module(module, "")
        self.root = trace(nn.Sequential(module) if wrap else module, leaves=(TimeAware, Scale, *ANALOG, *MOVES))
        self.dt = dt
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.terms: dict[fx.Node, list[str]] = {}
        self._caveats: dict[str, list[str]] = {}
        self._unchecked = ""
        self.dtype = _dtype(self.root)
        self.shape = _sample(self.root, shape)
        self.nir = library()
        _measure(self.root, self.shape, self.dtype)

    def graph(self, said: dict[str, Any]) -> Any:
        """The whole graph.

        Args:
            said: What its metadata say.

        Raises:
            ConversionError: NIR cannot say the network; all nodes are named.
        """
        problems = []
        for node in self.root.graph.nodes:
            try:
                self._write(node)
            except ConversionError as error:
                problems.append(f"'{node.name}': {error}")
                self.terms[node] = [node.name]
        if problems:
            raise ConversionError("NIR cannot say this network:\n  " + "\n  ".join(problems))
        said = {**said, "dtype": str(self.dtype).removeprefix("torch.")}
        graph = self.nir.NIRGraph(self.nodes, self.edges, metadata={"spikesim": said}, type_check=False)
        try:
            self.nir.dict2NIRNode(graph.to_dict())
        except Exception as error:  # whatever its checks raise
            self._unchecked = f"nir's own check of shapes fails, so that it takes type_check=False to read ({error})"
        return graph

    def caveats(self) -> list[str]:
        """What another reader would see otherwise, each with the names of the nodes."""
        found = [f"{', '.join(names)} {text}" for text, names in self._caveats.items()]
        return [*found, self._unchecked] if self._unchecked else found

    def _write(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self._put(node, self.nir.Input(input_type={"input": np.array(self.shape)}), [])
        elif node.op == "output":
            self._output(node)
        elif node.op == "call_module":
            self._module(node, self.root.get_submodule(str(node.target)))
        elif node.op != "get_attr" and node.meta["shape"] is not None:
            self._call(node)

    def _output(self, node: fx.Node) -> None:
        value = node.args[0]
        if not isinstance(value, fx.Node) or value.meta["shape"] is None:
            raise ConversionError("the network must return one tensor")
        self._put(node, self.nir.Output(output_type={"output": np.array(value.meta["shape"])}), self.terms[value])

    def _module(self, node: fx.Node, module: nn.Module) -> None:
        source = _source(node)
        before, terms = source.meta["shape"], self.terms[source]
        if isinstance(module, _NOTHING):
            self.terms[node] = terms
        elif isinstance(module, (nn.Flatten, nn.Unflatten)):
            self._reshape(node, source)
        elif isinstance(module, Drive):
            self._drive(node)
        elif isinstance(module, Neuron):
            drive = self._driven(source)
            if self._reached(node) > 1:
                raise ConversionError("this neuron is reached twice: give each use a neuron of its own")
            if not before:
                raise ConversionError("its samples have no axes: NIR's neurons have at least one")
            written, caveats = neuron_node(self.nir, module, before, self.dt, drive)
            self._put(node, written, self.terms[_source(source)] if drive else terms)
            for caveat in caveats:
                self._caveats.setdefault(caveat, []).append(f"'{node.name}'")
        else:
            self._put(node, layer_node(self.nir, module, before), terms)

    def _call(self, node: fx.Node) -> None:
        name = _name(node)
        if not is_torchs_own(node):
            raise no_node(name)
        if name in _SUMS:
            self._sum(node)
        elif name in _PRODUCTS:
            self._product(node)
        elif name in _RESHAPES:
            self._reshape(node, _source(node))
        elif name == "avg_pool2d":
            given = bind(node, *_POOL)
            layer = nn.AvgPool2d(**{k: v for k, v in given.items() if v is not None})
            self._put(node, layer_node(self.nir, layer, _source(node).meta["shape"]), self.terms[_source(node)])
        elif name in ("contiguous", "clone"):
            self.terms[node] = self.terms[_source(node)]
        else:
            raise no_node(name)

    def _sum(self, node: fx.Node) -> None:
        parts = [part for part in node.args[:2] if isinstance(part, fx.Node) and part.op != "get_attr"]
        if len(parts) != 2 or len(node.args) > 2 or node.kwargs:
            raise ConversionError("NIR adds signals: give a constant to the bias of a layer")
        if any(part.meta["shape"] != node.meta["shape"] for part in parts):
            raise ConversionError("NIR adds signals of equal shape")
        if _name(node) in ("iadd", "add_") and self._shared(parts[0], node):
            raise ConversionError("its first input is changed in place and read again: write z = x + y")
        first, second = (self.terms[part] for part in parts)
        if len(first) < len(second):
            first, second = second, first  # x + (y + z) is (y + z) + x, to the bit
        if len(second) > 1 or second[0] in first:
            second = [self._copy(f"{node.name}_copy", second, node.meta["shape"])]
        self.terms[node] = [*first, *second]

    def _shared(self, node: fx.Node, by: fx.Node) -> bool:
        """Whether another than ``by`` reads the memory of a value."""
        if node.users.keys() - {by}:
            return True
        module = self.root.get_submodule(str(node.target)) if node.op == "call_module" else None
        view = isinstance(module, (*_NOTHING, nn.Flatten, nn.Unflatten)) or _name(node) in (*_RESHAPES, "contiguous")
        return view and self._shared(_source(node), node)

    def _product(self, node: fx.Node) -> None:
        signals = [part for part in node.args if isinstance(part, fx.Node) and part.op != "get_attr"]
        if len(signals) != 1 or len(node.args) != 2:
            raise ConversionError("NIR multiplies a signal by a constant, not by another signal")
        by = next(part for part in node.args if part is not signals[0])
        value = attribute(self.root, str(by.target)) if isinstance(by, fx.Node) else by
        value = torch.as_tensor(value, dtype=self.dtype)
        shape = node.meta["shape"]
        if shape != signals[0].meta["shape"] or value.dim() > len(shape) + 1:
            raise ConversionError("NIR's Scale keeps the shape of a signal")
        if value.dim() > len(shape) and value.shape[0] == 1:
            value = value[0]
        self._put(node, self.nir.Scale(scale=value.expand(shape).detach().cpu().numpy().copy()), self.terms[signals[0]])

    def _reshape(self, node: fx.Node, source: fx.Node) -> None:
        if node.meta["rows"] != source.meta["rows"]:
            raise ConversionError("it folds samples into one another; NIR knows no batch")
        written = flatten_node(self.nir, source.meta["shape"], node.meta["shape"])
        if written is None:
            self.terms[node] = self.terms[source]
        else:
            self._put(node, written, self.terms[source])

    def _drive(self, node: fx.Node) -> None:
        readers = list(node.users)
        modules = [self.root.get_submodule(str(r.target)) for r in readers if r.op == "call_module"]
        if len(readers) != 1 or not all(isinstance(module, Neuron) for module in modules) or not modules:
            raise ConversionError("a Drive is part of a neuron: it must stand before one, and before nothing else")
        self.terms[node] = []

    def _driven(self, source: fx.Node) -> Drive | None:
        module = self.root.get_submodule(str(source.target)) if source.op == "call_module" else None
        return module if isinstance(module, Drive) else None

    def _reached(self, node: fx.Node) -> int:
        return sum(other.meta.get("place") == node.meta["place"] for other in self.root.graph.nodes)

    def _copy(self, name: str, terms: list[str], shape: tuple[int, ...]) -> str:
        one = full(torch.ones(()), shape).astype(str(self.dtype).removeprefix("torch."))
        return self._add(name, self.nir.Scale(scale=one), terms, shape, shape)

    def _put(self, node: fx.Node, written: Any, terms: list[str]) -> None:
        after = node.meta["shape"] if node.op != "output" else node.args[0].meta["shape"]  # type: ignore[union-attr]
        before = after if node.op in ("placeholder", "output") else _source(node).meta["shape"]
        name = {"placeholder": "input", "output": "output"}.get(node.op, node.name)
        self.terms[node] = [self._add(name, written, terms, before, after)]

    def _add(self, name: str, written: Any, terms: list[str], before: tuple[int, ...], after: tuple[int, ...]) -> str:
        while name in self.nodes:
            name += "_"
        written.input_type, written.output_type = {"input": np.array(before)}, {"output": np.array(after)}
        self.nodes[name] = written
        self.edges += [(term, name) for term in terms]
        return name


def _name(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.target))


def _source(node: fx.Node) -> fx.Node:
    sources = [part for part in node.args if isinstance(part, fx.Node) and part.op != "get_attr"]
    if not sources:
        raise ConversionError("it reads no signal")
    return sources[0]


def _dtype(root: nn.Module) -> torch.dtype:
    values = (v for v in itertools.chain(root.parameters(), root.buffers()) if v.is_floating_point())
    dtype = next((v.dtype for v in values), torch.get_default_dtype())
    if dtype not in (torch.float32, torch.float64):
        raise ConversionError(f"weights are {dtype}, which NIR's arrays cannot hold: call network.float() first")
    return dtype


def _sample(root: fx.GraphModule, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    inputs = [node for node in root.graph.nodes if node.op == "placeholder"]
    if shape is not None:
        sizes: tuple[Any, ...] = tuple(shape) if isinstance(shape, Iterable) else ()
        if not sizes or not all(isinstance(n, Integral) and int(n) > 0 for n in sizes):
            raise ConfigError(f"shape is {shape!r}, but it must be the sizes of one sample, for example (1, 28, 28)")
        return tuple(int(n) for n in sizes)
    readers = [root.get_submodule(str(n.target)) for n in inputs[0].users if n.op == "call_module"]
    if not readers or not isinstance(readers[0], nn.Linear):
        raise ConversionError("NIR needs the shape of a sample: give shape=, for example shape=(1, 28, 28)")
    return (readers[0].in_features,)


def _measure(root: fx.GraphModule, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    device = next((v.device for v in itertools.chain(root.parameters(), root.buffers())), torch.device("cpu"))
    try:
        with torch.no_grad():
            _Shapes(root).run(torch.zeros(2, *shape, dtype=dtype, device=device))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConversionError(
            f"the network does not take samples of shape {shape} ({first}): give their shape"
        ) from error
