"""Rules for attention: products of two activations, scaled_dot_product_attention, nn.MultiheadAttention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from spikesim.converters.analog import STAYS, Attention, MatMul
from spikesim.converters.binding import bind, call_name, refuse
from spikesim.converters.movements import Part, Permute, Reshape
from spikesim.converters.rules_tokens import stored, token_linear
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench

_WRITE = "the batch must be an axis of its own, the same for all: [N, heads, L, features]"


def matmul(bench: Workbench, node: fx.Node) -> None:
    """Products as ``a @ b``, torch.matmul, torch.bmm: of two activations, or of an activation and a stored matrix.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return x @ x.mT
        ...
        >>> audit(Net(), torch.zeros(1, 3, 2)).rows[-1].verdict.value
        'analog'
    """
    pair: Any = (*node.args, *(node.kwargs[key] for key in ("input", "other", "mat2") if key in node.kwargs))[:2]
    name = call_name(bench, node)
    live = [v for v in pair if isinstance(v, fx.Node) and v.meta["sizes"] is not None and v.meta["rows"] is None]
    if live == [pair[0]]:
        return _by_matrix(bench, node, pair[0], pair[1])
    if len(live) != 2:
        return refuse(bench, node, name, "a stored matrix on the left: transpose, so that it stands on the right")
    first, second = pair[0].meta, pair[1].meta
    if first["batch"] != second["batch"] or len(first["sizes"]) != len(second["sizes"]):
        return refuse(bench, node, name, _WRITE)
    if first["batch"] > len(first["sizes"]) - 2:
        return refuse(bench, node, name, _WRITE)
    bench.become(node, MatMul())
    node.args = tuple(pair)
    return bench.note(node, Verdict.ANALOG, f"product of two activations, {STAYS}")


def _by_matrix(bench: Workbench, node: fx.Node, x: fx.Node, matrix: Any) -> None:
    weight = matrix.meta["constant"] if isinstance(matrix, fx.Node) else matrix
    sizes, batch = x.meta["sizes"], x.meta["batch"]
    if not isinstance(weight, Tensor) or weight.dim() != 2 or batch == len(sizes) or len(sizes) > 4:
        return refuse(
            bench, node, "matmul", "a product with a stored tensor that is no matrix [in, out]: use nn.Linear"
        )
    node.args = (x,)
    bench.become(node, *token_linear(weight.detach().T, None, len(sizes)))
    return bench.note(node, Verdict.EXACT, "linear map, spike scales folded into its weight")


def attention(bench: Workbench, node: fx.Node) -> None:
    """F.scaled_dot_product_attention with a stored mask or a causal one.

    Example:
        >>> import torch
        >>> import torch.nn.functional as F
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return F.scaled_dot_product_attention(x, x, x, is_causal=True)
        ...
        >>> audit(Net(), torch.zeros(1, 3, 2)).rows[-1].verdict.value
        'analog'
    """
    name, order = "scaled_dot_product_attention", ("query", "key", "value")
    three: Any = [*node.args[:3], *(node.kwargs[key] for key in order if key in node.kwargs)]
    given = bind(node, "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa", skip=3)
    metas = [v.meta for v in three]
    if any(m["batch"] != metas[0]["batch"] or m["rows"] is not None for m in metas) or metas[0]["batch"] is None:
        return refuse(bench, node, name, _WRITE)
    if metas[0]["batch"] > len(metas[0]["sizes"]) - 2 or given.get("enable_gqa"):
        return refuse(bench, node, name, f"{_WRITE}, with as many heads in all")
    if given.get("dropout_p"):
        return refuse(
            bench, node, name, "dropout that is always on is random: pass dropout_p=p if self.training else 0"
        )
    masked: Any = node.args[3] if len(node.args) > 3 else node.kwargs.get("attn_mask")
    mask = None if masked is None else stored(masked, node)
    if masked is not None and (mask is None or given.get("is_causal")):
        return refuse(bench, node, name, "a mask that depends on the input, or beside is_causal: store it as a buffer")
    made = Attention(given.get("scale"), bool(given.get("is_causal")), additive(mask, False))
    node.args = tuple(three)
    bench.become(node, made)
    node.args = tuple(three)
    return bench.note(node, Verdict.ANALOG, f"attention, {STAYS}")


def additive(mask: Tensor | None, hides: bool) -> Tensor | None:
    """A mask as numbers to be added to scores.

    Args:
        mask: bool, or numbers already, or None.
        hides: whether True hides a position (nn.MultiheadAttention) or shows it.

    Example:
        >>> import torch
        >>> from spikesim.converters.rules_attention import additive
        >>> additive(torch.tensor([True, False]), hides=False).tolist()
        [0.0, -inf]
    """
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape).masked_fill(mask if hides else ~mask, float("-inf"))


def multihead(bench: Workbench, node: fx.Node) -> None:
    """nn.MultiheadAttention: projections, attention, projection.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        ...
        ...     def forward(self, x):
        ...         return self.attention(x, x, x, need_weights=False)[0]
        ...
        >>> [row.verdict.value for row in audit(Net(), torch.zeros(1, 3, 4)).rows]
        ['analog', 'exact']
    """
    layer: Any = bench.module(node)
    names = ("key_padding_mask", "need_weights", "attn_mask", "average_attn_weights", "is_causal")
    order = ("query", "key", "value")
    three: Any = [*node.args[:3], *(node.kwargs[key] for key in order if key in node.kwargs)]
    given = bind(node, *names, skip=3)
    masked: Any = node.args[5] if len(node.args) > 5 else node.kwargs.get("attn_mask")
    padding: Any = node.args[3] if len(node.args) > 3 else node.kwargs.get("key_padding_mask")
    wanted = 0 if layer.batch_first else 1
    if any(len(v.meta["sizes"] or ()) != 2 or v.meta["batch"] != wanted for v in three):
        why = f"the batch is not on axis {wanted}, where nn.MultiheadAttention(batch_first={layer.batch_first}) has it"
        return refuse(bench, node, "MultiheadAttention", why)
    if padding is not None or layer.bias_k is not None or layer.add_zero_attn:
        why = "key_padding_mask, add_bias_kv and add_zero_attn: leave them out, and give sequences of one length"
        return refuse(bench, node, "MultiheadAttention", why)
    mask = None if masked is None else given.get("attn_mask")
    if masked is not None and (not isinstance(mask, Tensor) or mask.dim() != 2):
        return refuse(
            bench, node, "MultiheadAttention", "a mask that depends on the input: store it, [L, S], as a buffer"
        )
    known = set(bench.graph.nodes)
    projected = _project(bench, node, layer, three)
    attend = Attention(None, False, additive(mask, True))
    out = bench.meeting(projected, attend, f"{node.name}_attention", node)
    lengths, width = three[0].meta["sizes"][0], layer.embed_dim
    last = [
        Permute((0, 2, 1)),
        Reshape((width, lengths)),
        *token_linear(layer.out_proj.weight, layer.out_proj.bias, 2)[1:],
    ]
    for k, module in enumerate(last):
        out = bench.between(out, module, f"{node.name}_out{k}", node)
    for new in set(bench.graph.nodes) - known:
        new.meta["origin"] = node.meta["origin"]
    node.meta["parts"] = {0: out}
    return bench.note(node, Verdict.ANALOG, f"projections of spikes; the attention between them {STAYS}")


def _project(bench: Workbench, node: fx.Node, layer: Any, three: list[fx.Node]) -> list[fx.Node]:
    """Queries, keys and values, ``[heads, L, features]`` each; of one input in one layer."""
    width, heads = layer.embed_dim, layer.num_heads
    if layer.in_proj_weight is not None:
        weights = list(layer.in_proj_weight.split(width))
    else:
        weights = [layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight]
    biases = [None] * 3 if layer.in_proj_bias is None else list(layer.in_proj_bias.split(width))
    made = []
    if three[0] is three[1] is three[2]:
        bias = layer.in_proj_bias
        whole = three[0]
        for k, module in enumerate(token_linear(torch.cat(weights), bias, 2)[:2]):
            whole = bench.between(whole, module, f"{node.name}_qkv{k}", node)
        for k, name in enumerate("qkv"):
            made.append(bench.between(whole, Part(0, k * width, width), f"{node.name}_{name}", node))
    else:
        for source, weight, bias, name in zip(three, weights, biases, "qkv"):
            for k, module in enumerate(token_linear(weight, bias, 2)[:2]):
                source = bench.between(source, module, f"{node.name}_{name}{k}", node)
            made.append(source)
    found = []
    for source, whole, name in zip(made, three, "qkv"):
        shaped = Reshape((heads, width // heads, whole.meta["sizes"][0]))
        split = bench.between(source, shaped, f"{node.name}_{name}_heads", node)
        found.append(bench.between(split, Permute((0, 2, 1)), f"{node.name}_{name}_turned", node))
    return found
