"""What a graph gives back: one tensor, or a tuple, list or dict of them."""

from __future__ import annotations

from typing import Any

from torch import fx
from torch.fx.immutable_collections import immutable_dict, immutable_list


def outputs_of(graph: fx.Graph) -> dict[str, fx.Node]:
    """The nodes that a graph gives back, each once: ``"output"``, or ``"output.0"``, ``"output.boxes"``.

    Example:
        >>> from torch import fx
        >>> from spikesim.converters.outputs import outputs_of
        >>> graph = fx.Graph()
        >>> x = graph.placeholder("x")
        >>> _ = graph.output({"same": (x, x), "none": None})
        >>> outputs_of(graph)
        {'output.same.0': x}
    """
    found: dict[str, fx.Node] = {}

    def walk(value: Any, name: str) -> None:
        if isinstance(value, fx.Node) and value not in found.values():
            found[name] = value
        elif isinstance(value, dict):
            for key, part in value.items():
                walk(part, f"{name}.{key}")
        elif isinstance(value, tuple | list):
            for place, part in enumerate(value):
                walk(part, f"{name}.{place}")

    walk(next(node for node in graph.nodes if node.op == "output").args[0], "output")
    return found


def structure_of(value: Any) -> Any:
    """What a graph gives back as plain JSON, with names for nodes: a dict as ``{"dict": {...}}``, a tuple likewise.

    Example:
        >>> from torch import fx
        >>> from spikesim.converters.outputs import from_structure, structure_of
        >>> x = fx.Graph().placeholder("x")
        >>> structure_of((x, {"a": None}))
        {'tuple': ['x', {'dict': {'a': None}}]}
        >>> from_structure(structure_of((x, {"a": None})), {"x": x})
        (x, {'a': None})
    """
    if isinstance(value, fx.Node):
        return value.name
    if isinstance(value, dict):
        return {"dict": {key: structure_of(part) for key, part in value.items()}}
    if isinstance(value, tuple | list):
        return {"tuple" if isinstance(value, tuple) else "list": [structure_of(part) for part in value]}
    return value


def from_structure(structure: Any, nodes: dict[str, fx.Node]) -> Any:
    """The inverse of :func:`structure_of`.

    Raises:
        LookupError: a node is not among ``nodes``, or the structure has another form.
    """
    if structure is None:
        return None
    if isinstance(structure, str):
        return nodes[structure]
    [(kind, parts)] = structure.items()
    if kind == "dict":
        return {key: from_structure(part, nodes) for key, part in parts.items()}
    return {"tuple": tuple, "list": list}[kind](from_structure(part, nodes) for part in parts)


def unusable(value: Any) -> str | None:
    """What a model must not give back, or None: anything but tensors, None, and tuples, lists and dicts of them.

    Example:
        >>> from spikesim.converters.outputs import unusable
        >>> unusable((None, {"a": 3})), unusable({1: None})
        ('int', 'dict with keys that are no text')
    """
    if value is None or isinstance(value, fx.Node):
        return None
    if type(value) in (dict, immutable_dict):
        wrong = any(not isinstance(key, str) for key in value)
        return "dict with keys that are no text" if wrong else next(filter(None, map(unusable, value.values())), None)
    if type(value) in (tuple, list, immutable_list):
        return next(filter(None, map(unusable, value)), None)
    return type(value).__name__
