"""Rules for sums, differences, concatenations, and arithmetic with numbers."""

from __future__ import annotations

import operator

import torch
from torch import fx

from spikesim.converters.binding import bind, call_name, plain, refuse, source
from spikesim.converters.linear import diagonal
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench


def arithmetic(bench: Workbench, node: fx.Node) -> None:
    """Sum and difference of two branches; sum, difference, product, quotient with a number.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return x + 2 * x
        ...
        >>> audit(Net(), torch.zeros(1, 3)).rows[-1].verdict.value
        'exact'
    """
    name = call_name(bench, node).removeprefix("i").removeprefix("true")
    left, right = (*node.args, *(node.kwargs[key] for key in ("input", "other") if key in node.kwargs))[:2]
    alpha = plain(node.kwargs.get("alpha", 1))
    tensors = [v for v in (left, right) if isinstance(v, fx.Node) and v.meta["shape"] is not None]
    number = next((v for v in (plain(left), plain(right)) if isinstance(v, int | float)), None)
    if node.kwargs.get("rounding_mode") is not None:
        return refuse(bench, node, name, "a division that rounds is not linear: leave rounding_mode out")
    if not isinstance(alpha, int | float) or (alpha != 1 and len(tensors) != 2):
        return refuse(bench, node, name, f"'{name}' with alpha: multiply the second operand by the number first")
    if number is None and len(tensors) != 2:
        return refuse(bench, node, name, f"'{name}' with a stored tensor: put it into the bias or weight of a layer")
    if len(tensors) == 2:
        if name not in ("add", "sub") or tensors[0].meta["shape"] != tensors[1].meta["shape"]:
            return refuse(bench, node, name, f"'{name}' of two branches: only a sum of equal shapes is linear")
        factor = -alpha if name == "sub" else alpha
        if factor != 1:
            tensors[1] = _times(bench, tensors[1], node, factor)
        node.op, node.target, node.args, node.kwargs = "call_function", operator.add, tuple(tensors), {}
        bench.note(node, Verdict.EXACT, "sum of currents")
        return None
    shape = tensors[0].meta["shape"]
    gain, shift = _affine(name, float(number), tensors[0] is left)  # type: ignore[arg-type]
    if gain is None or shape is None or not 1 <= len(shape) <= 4:
        return refuse(bench, node, name, f"a number divided by a tensor, or '{name}', is not linear")
    node.args = (tensors[0],)
    if gain == 1 and shift == 0:
        bench.note(node, Verdict.EXACT, "nothing, removed")
        return bench.remove(node)
    ones = torch.ones(shape[0])
    like = next(bench.root.parameters(), ones)
    bench.become(node, *diagonal(ones * gain, ones * shift if shift else None, shape, like))
    bench.note(node, Verdict.EXACT, "1x1 weight per channel")
    return None


def _affine(name: str, number: float, tensor_first: bool) -> tuple[float | None, float]:
    if name == "add":
        return 1.0, number
    if name == "sub":
        return (1.0, -number) if tensor_first else (-1.0, number)
    if name == "mul":
        return number, 0.0
    return (1.0 / number, 0.0) if name == "div" and tensor_first and number else (None, 0.0)


def negate(bench: Workbench, node: fx.Node) -> None:
    """Minus a branch.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return -x
        ...
        >>> audit(Net(), torch.zeros(1, 3)).rows[-1].verdict.value
        'exact'
    """
    shape = source(node).meta["shape"]
    like = next(bench.root.parameters(), torch.zeros(1))
    bench.note(node, Verdict.EXACT, "1x1 weight of -1")
    bench.become(node, *diagonal(-torch.ones(shape[0]), None, shape, like))


def _times(bench: Workbench, operand: fx.Node, before: fx.Node, factor: float) -> fx.Node:
    shape = operand.meta["shape"]
    like = next(bench.root.parameters(), torch.zeros(1))
    for module in diagonal(torch.full((shape[0],), float(factor)), None, shape, like):
        operand = bench.between(operand, module, f"{before.name}_times", before)
    return operand


def concat(bench: Workbench, node: fx.Node) -> None:
    """torch.cat along channels.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return torch.cat([x, x], 1)
        ...
        >>> audit(Net(), torch.zeros(1, 3)).rows[-1].verdict.value
        'exact'
    """
    parts = node.args[0] if node.args else node.kwargs["tensors"]
    dim = bind(node, "dim", "axis").get("dim", bind(node, "axis").get("axis", 0))
    shape = node.meta["shape"]
    if shape is None or dim % (len(shape) + 1) != 1:
        return refuse(bench, node, "cat", "concatenation along another axis than 1 (channels)")
    node.op, node.target, node.args, node.kwargs = "call_function", torch.cat, (list(parts), 1), {}  # type: ignore[arg-type]
    bench.note(node, Verdict.EXACT, "concatenation of channels, each with its own scale")
    return None
