"""Answer questions about shapes while a model is traced, so that checks of shapes do not stop it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

_ROWS = (1, 2, 3)
_QUERIES = {"size", "dim", "ndimension", "numel", "nelement", "is_floating_point"}
_FIELDS = {"shape", "ndim", "dtype", "device", "is_cuda"}


class ShapeOracle:
    """Evaluates what depends on shapes only, for batches of one, two and three samples.

    Args:
        root: The traced model.
        examples: The inputs ``[N, ...]``, in the order of the placeholders.

    Example:
        >>> import torch
        >>> from torch import fx, nn
        >>> from spikesim.converters.shape_queries import ShapeOracle
        >>> x = fx.Graph().placeholder("x")
        >>> oracle = ShapeOracle(nn.ReLU(), [torch.zeros(1, 4)])
        >>> questions = x.graph.call_method("dim", (x,)), x.graph.call_method("size", (x, 0))
        >>> [oracle.answer(question, int) for question in questions]
        [2, None]
    """

    def __init__(self, root: nn.Module, examples: Sequence[Tensor]) -> None:
        self._root = root
        self._known: list[dict[fx.Node, Any]] = [{} for _ in _ROWS]
        self._inputs = [[torch.cat([t[:1]] * rows) for t in examples] for rows in _ROWS]

    def answer(self, node: fx.Node, what: Callable[[Any], Any]) -> Any:
        """``what`` of the value of a node, if shapes alone decide it, whatever the batch; else None."""
        if not _asks_for_shape(node):
            return None
        try:
            with torch.no_grad():
                values = [what(self._value(node, row)) for row in range(len(_ROWS))]
        except Exception:  # whatever fails here fails again, with its place, when the model runs
            return None
        return values[0] if all(value == values[0] for value in values[1:]) else None

    def _value(self, node: fx.Node, row: int) -> Any:
        known = self._known[row]
        needed = _ancestors(node) - known.keys()
        for earlier in node.graph.nodes:
            if earlier in needed:
                known[earlier] = self._run(earlier, row)
        return known[node]

    def _run(self, node: fx.Node, row: int) -> Any:
        if node.op == "placeholder":
            place = [n for n in node.graph.nodes if n.op == "placeholder"].index(node)
            return self._inputs[row][place].clone()
        args, kwargs = fx.map_arg((node.args, node.kwargs), self._known[row].__getitem__)
        if node.op == "get_attr":
            return operator.attrgetter(str(node.target))(self._root)
        if node.op == "call_module":
            return self._root.get_submodule(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return node.target(*args, **kwargs)  # type: ignore[operator]


def _ancestors(node: fx.Node) -> set[fx.Node]:
    found, front = {node}, [node]
    while front:
        new = [n for n in front.pop().all_input_nodes if n not in found]
        found.update(new)
        front += new
    return found


def _asks_for_shape(node: fx.Node) -> bool:
    """Whether every way from the input to a node passes through a question about a shape."""
    if node.op == "call_method" and node.target in _QUERIES:
        return True
    if node.op == "call_function" and node.target is getattr and node.args[1] in _FIELDS:
        return True
    return node.op == "call_function" and bool(node.all_input_nodes) and all(map(_asks_for_shape, node.all_input_nodes))
