"""Reading a call as its user wrote it: names, arguments, inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from spikesim.converters.verdicts import Verdict, hint
from spikesim.converters.workbench import Workbench

Rule = Callable[[Workbench, fx.Node], None]


def bind(node: fx.Node, *names: str, skip: int = 1) -> dict[str, Any]:
    """The arguments of a call by name, with sizes that were computed in the graph replaced by their values."""
    given: dict[str, Any] = dict(zip(names, node.args[skip:])) | dict(node.kwargs)
    return {key: fx.map_arg(value, _value) for key, value in given.items() if key in names}


def _value(node: fx.Node) -> Any:
    constant = node.meta.get("constant")
    return node.meta.get("value") if constant is None else constant


def plain(value: Any) -> Any:
    """A number, or the number that a node of shape arithmetic computes; None for a tensor."""
    return value.meta.get("value") if isinstance(value, fx.Node) else value


def source(node: fx.Node) -> fx.Node:
    """The tensor a one-input operation reads."""
    first = node.args[0] if node.args else node.kwargs["input"]
    if not isinstance(first, fx.Node):
        raise TypeError(f"'{node.name}' does not read a tensor first")
    return first


def refuse(bench: Workbench, node: fx.Node, name: str, why: str = "") -> None:
    """Mark an operation as unsupported, with the hint that goes with its name."""
    bench.note(node, Verdict.UNSUPPORTED, why or hint(name))


def call_name(bench: Workbench, node: fx.Node) -> str:
    """The name by which a user knows an operation: ``GELU``, ``relu``, ``view``."""
    module = bench.module(node)
    if module is not None:
        return type(module).__name__
    return getattr(node.target, "__name__", str(node.target)).strip("_")
