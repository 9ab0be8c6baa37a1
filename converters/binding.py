"""Reading a call as its user wrote it: names, arguments, inputs."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from spikesim.converters.verdicts import Verdict, hint
from spikesim.converters.workbench import Workbench

Rule = Callable[[Workbench, fx.Node], None]
_HOMES = (torch, F, operator, builtins, torch._C._nn)
_QUERIES = {"getattr", "len", "size", "dim", "ndimension", "numel", "nelement", "is_contiguous", "get_device"}
_QUERIES |= {"is_floating_point", "element_size"}


def bind(node: fx.Node, *names: str, skip: int = 1) -> dict[str, Any]:
    """The arguments of a call by name, with sizes that were computed in the graph replaced by their values.

    Example:
        >>> from torch import fx
        >>> from spikesim.converters.binding import bind
        >>> node = fx.Graph().call_method('clamp', (None, 0), {'max': 6})
        >>> bind(node, 'min', 'max')
        {'min': 0, 'max': 6}
    """
    given: dict[str, Any] = dict(zip(names, node.args[skip:])) | dict(node.kwargs)
    return {key: fx.map_arg(value, known_value) for key, value in given.items() if key in names}


def known_value(node: fx.Node) -> Any:
    """What a node is if it does not depend on the input: a stored tensor, or a size that was computed.

    Example:
        >>> from torch import fx
        >>> from spikesim.converters.binding import known_value
        >>> node = fx.Graph().call_method("size", (None, 1))
        >>> node.meta["constant"], node.meta["value"] = None, 3
        >>> known_value(node)
        3
    """
    constant = node.meta.get("constant")
    return node.meta.get("value") if constant is None else constant


def plain(value: Any) -> Any:
    """A number, or the number that a node of shape arithmetic computes; None for a tensor.

    Example:
        >>> from spikesim.converters.binding import plain
        >>> plain(2.5)
        2.5
    """
    return value.meta.get("value") if isinstance(value, fx.Node) else value


def source(node: fx.Node) -> fx.Node:
    """The tensor a one-input operation reads.

    Example:
        >>> from torch import fx
        >>> from spikesim.converters.binding import source
        >>> graph = fx.Graph()
        >>> x = graph.placeholder('x')
        >>> source(graph.call_method('relu', (x,))).name
        'x'
    """
    first = node.args[0] if node.args else node.kwargs["input"]
    if not isinstance(first, fx.Node):
        raise TypeError(f"'{node.name}' does not read a tensor first")
    return first


def refuse(bench: Workbench, node: fx.Node, name: str, why: str = "") -> None:
    """Mark an operation as unsupported, with the hint that goes with its name.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.binding import refuse
        >>> from spikesim.converters.workbench import Workbench
        >>> bench = Workbench(trace(nn.Tanh()), torch.zeros(1, 2))
        >>> refuse(bench, [n for n in bench.graph.nodes if n.op == 'call_module'][0], 'Tanh')
        >>> bench.findings['tanh_0'].verdict.value
        'unsupported'
    """
    bench.note(node, Verdict.UNSUPPORTED, why or hint(name))


def is_torchs_own(node: fx.Node) -> bool:
    """Whether a call is what its name says; a user's wrapped function may be called ``relu`` or ``add`` as well.

    Example:
        >>> import torch
        >>> from torch import fx
        >>> from spikesim.converters.binding import is_torchs_own
        >>> def relu(x):
        ...     return x + 1
        ...
        >>> graph = fx.Graph()
        >>> [is_torchs_own(graph.call_function(f)) for f in (torch.relu, relu)]
        [True, False]
    """
    if node.op != "call_function":
        return True
    name = getattr(node.target, "__name__", "")
    return any(getattr(home, name, None) is node.target for home in _HOMES)


def is_shape(node: fx.Node) -> bool:
    """Whether a node without tensors depends on shapes only: it asks for one, or computes with such answers.

    Example:
        >>> from torch import fx
        >>> from spikesim.converters.binding import is_shape
        >>> graph = fx.Graph()
        >>> x = graph.placeholder("x")
        >>> x.meta["plain"], x.meta["constant"] = False, None
        >>> is_shape(graph.call_method("size", (x, 0))), is_shape(graph.call_method("item", (x,)))
        (True, False)
    """
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if name in _QUERIES and is_torchs_own(node):
        return True
    return all(n.meta["plain"] or n.meta["constant"] is not None for n in node.all_input_nodes)


def call_name(bench: Workbench, node: fx.Node) -> str:
    """The name by which a user knows an operation: ``GELU``, ``relu``, ``view``.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.binding import call_name
        >>> from spikesim.converters.workbench import Workbench
        >>> bench = Workbench(trace(nn.GELU()), torch.zeros(1, 2))
        >>> [call_name(bench, n) for n in bench.graph.nodes if n.op == 'call_module']
        ['GELU']
    """
    module = bench.module(node)
    if module is not None:
        return type(module).__name__
    return getattr(node.target, "__name__", str(node.target)).strip("_")
