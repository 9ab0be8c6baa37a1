"""Give in-place operations their plain meaning: whoever reads the tensor later reads the new value."""

from __future__ import annotations

import operator

import torch.nn.functional as F
from torch import fx

from spikesim.converters.binding import is_torchs_own
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench

_FUNCTIONS = {operator.iadd, operator.isub, operator.imul, operator.itruediv}
_VIEWS = {
    "view",
    "reshape",
    "flatten",
    "squeeze",
    "unsqueeze",
    "contiguous",
    "unflatten",
    "detach",
    "float",
    "double",
    "to",
    "type",
    "type_as",
    *("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "getitem", "select", "narrow"),
    *("chunk", "split", "tensor_split", "unbind", "expand", "expand_as"),
}


def writes_in_place(bench: Workbench, node: fx.Node) -> bool:
    """Whether a node overwrites its first input.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.inplace import writes_in_place
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.workbench import Workbench
        >>> bench = Workbench(trace(nn.ReLU(inplace=True)), torch.zeros(1, 3))
        >>> [writes_in_place(bench, node) for node in bench.graph.nodes]
        [False, True, False]
    """
    if node.op == "call_module":
        return bool(getattr(bench.module(node), "inplace", False))
    if node.op == "call_method":
        return str(node.target).endswith("_") and not str(node.target).endswith("__")
    if node.op != "call_function":
        return False
    positional = node.target is F.relu and len(node.args) > 1 and node.args[1] is True
    name = getattr(node.target, "__name__", "")
    if name.endswith("_") and not name.endswith("__") and is_torchs_own(node):
        return True
    return node.target in _FUNCTIONS or node.kwargs.get("inplace") is True or positional


def functionalise(bench: Workbench) -> None:
    """Let later readers of an overwritten tensor read the result instead, which is what eager torch gives them.

    ``out = relu_(x); return out + x`` adds the rectified tensor twice; a graph that drops the "in place" would
    add the original. Views of an overwritten tensor that are read later cannot be followed and are refused.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.inplace import functionalise
        >>> from spikesim.converters.workbench import Workbench
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         y = x * 2
        ...         y.relu_()
        ...         return y
        ...
        >>> bench = Workbench(trace(Net()), torch.zeros(1, 2))
        >>> functionalise(bench)
        >>> [n.args[0].name for n in bench.graph.nodes if n.op == 'output']
        ['relu_']
    """
    order = {node: place for place, node in enumerate(bench.graph.nodes)}
    for node in bench.graph.nodes:
        if not writes_in_place(bench, node) or not isinstance(node.args[0], fx.Node):
            continue
        target = node.args[0]
        if _has_live_view(bench, target, order, order[node]):
            detail = "it overwrites a tensor of which a view is read later: use the form that is not in-place"
            bench.note(node, Verdict.UNSUPPORTED, detail)
            continue
        for user in list(target.users):
            if order[user] > order[node]:
                user.replace_input_with(target, node)


def _is_view(bench: Workbench, node: fx.Node) -> bool:
    module = bench.module(node)
    name = type(module).__name__ if module is not None else getattr(node.target, "__name__", str(node.target))
    return name.lower() in _VIEWS


def _has_live_view(bench: Workbench, target: fx.Node, order: dict[fx.Node, int], now: int) -> bool:
    aliases: set[fx.Node] = set()
    front = [target]
    while front:
        node = front.pop()
        if node in aliases:
            continue
        aliases.add(node)
        front += [user for user in node.users if _is_view(bench, user) and order[user] < now]
        if _is_view(bench, node) and isinstance(node.args[0], fx.Node):
            front.append(node.args[0])
    return any(order[user] > now for alias in aliases - {target} for user in alias.users)
