"""Rules for what transformers do beside attention: linear layers on tokens, embeddings, stored tensors."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikesim.converters import rules_joins as joins
from spikesim.converters import rules_layers as layers
from spikesim.converters.analog import STAYS, Product
from spikesim.converters.binding import bind, call_name, plain, refuse, source
from spikesim.converters.movements import AddConstant, FillWhere, Permute, ScaleBy, TokenEmbedding
from spikesim.converters.spike_places import carries_analog
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench

_POINTWISE = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def linear(bench: Workbench, node: fx.Node) -> None:
    """A linear layer: on ``[N, F]`` as it is, on tokens ``[N, ..., F]`` as a 1x1 convolution, channels first.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.Linear(2, 3), torch.zeros(1, 5, 2)).rows[-1].verdict.value
        'exact'
    """
    module: Any = bench.module(node)
    sizes, batch = source(node).meta["sizes"], source(node).meta["batch"]
    if not isinstance(module, nn.Linear) or (len(sizes) == 1 and batch == 0):
        if node.meta["shape"] is None:
            return refuse(bench, node, "linear", "a convolution needs samples on the first axis")
        return layers.linear(bench, node)
    if batch == len(sizes) or not 1 <= len(sizes) <= 4:
        why = (
            f"Linear on samples of shape {sizes} with the batch on axis {batch}: features last, at most three axes more"
        )
        return refuse(bench, node, "linear", why)
    bench.note(node, Verdict.EXACT, "linear map of each token, spike scales folded into its weight")
    bench.become(node, *token_linear(module.weight, module.bias, len(sizes)))
    return None


def token_linear(weight: Tensor, bias: Tensor | None, axes: int) -> list[nn.Module]:
    """Modules that apply ``W x + b`` to the last axis of a sample.

    Args:
        weight: ``[out, in]``.
        bias: ``[out]`` or None.
        axes: of a sample, 1 to 4.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.rules_tokens import token_linear
        >>> layer, x = nn.Linear(2, 3), torch.rand(4, 5, 2)
        >>> torch.allclose(nn.Sequential(*token_linear(layer.weight, layer.bias, 2))(x), layer(x), atol=1e-6)
        True
    """
    outside, inside = weight.shape
    if axes == 1:
        made: Any = nn.Linear(inside, outside, bias is not None)
    else:
        made = _POINTWISE[axes - 1](inside, outside, 1, bias=bias is not None)
    made = made.to(weight)
    with torch.no_grad():
        made.weight.copy_(weight.reshape(made.weight.shape))
        if bias is not None:
            made.bias.copy_(bias)
    if axes == 1:
        return [made.eval()]
    return [Permute((axes - 1, *range(axes - 1))), made.eval(), Permute((*range(1, axes), 0))]


def functional_linear(bench: Workbench, node: fx.Node) -> None:
    """F.linear with fixed weights, on features or tokens; convolutions as ever.

    Example:
        >>> import torch
        >>> import torch.nn.functional as F
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return F.linear(x, torch.ones(2, 3))
        ...
        >>> audit(Net(), torch.zeros(1, 5, 3)).rows[-1].verdict.value
        'exact'
    """
    given = bind(node, "weight", "bias")
    sizes, weight = source(node).meta["sizes"], given.get("weight")
    plainly = len(sizes) == 1 and source(node).meta["batch"] == 0
    if call_name(bench, node) != "linear" or plainly or not isinstance(weight, Tensor):
        return layers.functional_linear(bench, node)
    module = nn.Linear(weight.shape[1], weight.shape[0], given.get("bias") is not None).to(weight)
    with torch.no_grad():
        module.weight.copy_(weight)
        if given.get("bias") is not None:
            module.bias.copy_(given["bias"])
    bench.become(node, module)
    return linear(bench, node)


def embedding(bench: Workbench, node: fx.Node) -> None:
    """nn.Embedding, F.embedding of the network's input.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.Embedding(9, 3), torch.zeros(1, 5, dtype=torch.int64)).rows[-1].verdict.value
        'exact'
    """
    module: Any = bench.module(node)
    given = bind(node, "weight", "max_norm")
    table = given.get("weight") if module is None else module.weight
    if not isinstance(table, Tensor) or (given if module is None else vars(module)).get("max_norm") is not None:
        why = "an embedding with computed weights or with max_norm, which rewrites them: use a fixed table"
        return refuse(bench, node, "embedding", why)
    if source(node).op != "placeholder" or node.meta["batch"] != 0:
        return refuse(
            bench, node, "embedding", "an embedding of computed numbers: give them to the network as its input"
        )
    bench.note(node, Verdict.EXACT, "rows of a table, looked up once")
    bench.become(node, TokenEmbedding(table))
    return None


def arithmetic(bench: Workbench, node: fx.Node) -> None:
    """Sums and products with a stored tensor, or of what stays analog; all else as :func:`rules_joins.arithmetic`.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return x + torch.tensor([1.0, 2.0, 3.0])
        ...
        >>> audit(Net(), torch.zeros(1, 3)).rows[-1].verdict.value
        'exact'
    """
    name = call_name(bench, node).removeprefix("i").removeprefix("true")
    pair = (*node.args, *(node.kwargs[key] for key in ("input", "other") if key in node.kwargs))[:2]
    live = [v for v in pair if isinstance(v, fx.Node) and v.meta["sizes"] is not None and v.meta["rows"] is None]
    plainly = plain(node.kwargs.get("alpha", 1)) == 1 and node.kwargs.get("rounding_mode") is None
    if len(live) == 2:
        first, second = (v.meta for v in live)
        alike = first["sizes"] == second["sizes"] and first["batch"] == second["batch"] == node.meta["batch"]
        if name == "mul" and alike:
            bench.become(node, Product())
            node.args = tuple(live)
            return bench.note(node, Verdict.ANALOG, f"product of two branches, {STAYS}")
        if name == "add" and alike and plainly:
            node.op, node.target, node.args, node.kwargs = "call_function", operator.add, tuple(live), {}
            return bench.note(node, Verdict.EXACT, "sum of currents")
        return joins.arithmetic(bench, node)
    if len(live) != 1 or not plainly:
        return joins.arithmetic(bench, node)
    other = pair[1] if pair[0] is live[0] else pair[0]
    number = plain(other)
    if isinstance(number, int | float) and live[0].meta["batch"] == 0 and not carries_analog(bench, live[0]):
        return joins.arithmetic(bench, node)
    value = torch.tensor(float(number)) if isinstance(number, int | float) else stored(other, live[0])
    made = None if value is None else _affine(name, value.to(_like(bench)), pair[0] is live[0])
    if made is None or node.meta["sizes"] != live[0].meta["sizes"]:
        why = f"'{name}' with a stored tensor that differs between samples or changes the shape, or a quotient"
        return refuse(bench, node, name, why)
    node.args = (live[0],)
    bench.become(node, *made)
    return bench.note(node, Verdict.EXACT, "a constant of its own for each place" if name in "addsub" else "scaled")


def _like(bench: Workbench) -> Tensor:
    weights = (p for p in (*bench.root.parameters(), *bench.root.buffers()) if p.is_floating_point())
    return next(weights, torch.zeros(1))


def _affine(name: str, value: Tensor, tensor_first: bool) -> list[nn.Module] | None:
    if name == "add":
        return [AddConstant(value)]
    if name == "sub":
        return [AddConstant(-value)] if tensor_first else [ScaleBy(torch.full_like(value, -1.0)), AddConstant(value)]
    if name == "mul":
        return [ScaleBy(value)]
    if name == "div" and tensor_first and bool((value != 0).all()):
        return [ScaleBy(1.0 / value)]
    return None


def stored(node: Any, beside: fx.Node) -> Tensor | None:
    """The value of a node that is the same for every sample, as it meets samples of ``beside``; else None.

    Args:
        node: Anything that an operation reads.
        beside: What it is added to or multiplied by; its batch axis is left out of the value.

    Example:
        >>> from torch import fx
        >>> from spikesim.converters.rules_tokens import stored
        >>> graph = fx.Graph()
        >>> x, table = graph.placeholder("x"), graph.get_attr("table")
        >>> x.meta["sizes"], x.meta["batch"] = (3, 2), 0
        >>> table.meta["constant"], table.meta["rows"] = torch.zeros(1, 3, 2), None
        >>> stored(table, x).shape
        torch.Size([3, 2])
    """
    if not isinstance(node, fx.Node):
        return node if isinstance(node, Tensor) else None
    value = node.meta["constant"] if node.meta["constant"] is not None else node.meta["rows"]
    if not isinstance(value, Tensor):
        return None
    value = value.detach()
    axes, batch = len(beside.meta["sizes"]) + 1, beside.meta["batch"]
    if value.dim() > axes or batch is None:
        return None
    value = value.reshape(*[1] * (axes - value.dim()), *value.shape)
    if value.shape[batch] != 1:
        return None
    return value.squeeze(batch)


def fill(bench: Workbench, node: fx.Node) -> None:
    """x.masked_fill(mask, number) with a stored mask.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return x.masked_fill(torch.eye(3) == 0, float("-inf"))
        ...
        >>> audit(Net(), torch.zeros(1, 3, 3)).rows[-1].verdict.value
        'exact'
    """
    given = bind(node, "mask", "value")
    before = source(node)
    masked = node.args[1] if len(node.args) > 1 else node.kwargs.get("mask")
    mask, number = stored(masked, before), given.get("value")
    if mask is None or not isinstance(number, int | float) or node.meta["sizes"] != before.meta["sizes"]:
        return refuse(bench, node, "masked_fill", "a mask that depends on the input: store it as a buffer")
    bench.become(node, FillWhere(mask.bool(), float(number)))
    return bench.note(node, Verdict.EXACT, "a fixed number where a fixed mask is set")
