"""Rules for functions that stay analog: norms of tokens, softmax, GELU, SiLU."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikesim.converters.analog import STAYS
from spikesim.converters.binding import bind, call_name, refuse, source
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench


def _stays(bench: Workbench, node: fx.Node, module: nn.Module) -> None:
    bench.become(node, module.eval())
    bench.note(node, Verdict.ANALOG, STAYS)


def pointwise(bench: Workbench, node: fx.Node) -> None:
    """GELU and SiLU, as modules and functions.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.GELU(), torch.zeros(1, 2)).rows[-1].verdict.value
        'analog'
    """
    module: Any = bench.module(node)
    if call_name(bench, node).lower() == "silu":
        return _stays(bench, node, nn.SiLU())
    how = bind(node, "approximate").get("approximate", "none") if module is None else module.approximate
    return _stays(bench, node, nn.GELU(how))


def norm(bench: Workbench, node: fx.Node) -> None:
    """LayerNorm and RMSNorm, as modules and functions.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.LayerNorm(2), torch.zeros(1, 3, 2)).rows[-1].verdict.value
        'analog'
    """
    module: Any = bench.module(node)
    shape = bind(node, "normalized_shape").get("normalized_shape") if module is None else module.normalized_shape
    sizes, batch = source(node).meta["sizes"], source(node).meta["batch"]
    if shape is None or batch > len(sizes) - len(shape):
        return refuse(bench, node, "norm", "a norm over samples: normalise over the features of one")
    module = _functional_norm(bench, node) if module is None else module
    if module is None:
        return refuse(bench, node, "norm", "a norm with computed weights: store them as parameters")
    return _stays(bench, node, copy.deepcopy(module))


def _functional_norm(bench: Workbench, node: fx.Node) -> Any:
    plainly = call_name(bench, node) == "rms_norm"
    given = bind(node, "normalized_shape", "weight", *([] if plainly else ["bias"]), "eps")
    weight, bias = given.get("weight"), given.get("bias")
    if any(name in given and given[name] is None and _computed(node, name) for name in ("weight", "bias")):
        return None
    shape = given["normalized_shape"]
    if plainly:
        made: Any = nn.RMSNorm(shape, eps=given.get("eps"))
    else:
        made = nn.LayerNorm(shape, eps=given.get("eps", 1e-5))
    like = next((value for value in (weight, bias) if isinstance(value, Tensor)), None)
    made = made if like is None else made.to(like)
    with torch.no_grad():
        if weight is not None:
            made.weight.copy_(weight)
        if bias is not None:
            made.bias.copy_(bias)
    return made


def _computed(node: fx.Node, name: str) -> bool:
    """Whether an argument was given, and is no stored tensor."""
    place = {"weight": 2, "bias": 3}[name]
    given = node.kwargs.get(name, node.args[place] if len(node.args) > place else None)
    return isinstance(given, fx.Node)


def softmax(bench: Workbench, node: fx.Node) -> None:
    """nn.Softmax, F.softmax, torch.softmax, x.softmax(-1).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.Softmax(-1), torch.zeros(1, 3, 2)).rows[-1].verdict.value
        'analog'
    """
    module: Any = bench.module(node)
    dim = bind(node, "dim").get("dim") if module is None else module.dim
    sizes, batch = source(node).meta["sizes"], source(node).meta["batch"]
    if not isinstance(dim, int) or dim % (len(sizes) + 1) == batch:
        return refuse(bench, node, "softmax", "a softmax over samples, or with no axis given: name an axis of a sample")
    dim %= len(sizes) + 1
    return _stays(bench, node, nn.Softmax(dim - (batch < dim) + 1))
