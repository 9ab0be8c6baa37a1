"""torch's attention and encoder layer as loops over samples, heads and positions, in double precision."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(layer: Any, query: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
    """nn.MultiheadAttention on ``[N, L, E]`` and ``[N, S, E]``; numbers of ``mask [L, S]`` are added to scores."""
    width, heads = layer.embed_dim, layer.num_heads
    size = width // heads
    weight = layer.in_proj_weight.double()
    bias = torch.zeros(3 * width).double() if layer.in_proj_bias is None else layer.in_proj_bias.double()
    out = torch.zeros(*query.shape, dtype=torch.float64)
    for n in range(len(query)):
        q = query[n].double() @ weight[:width].T + bias[:width]
        k = memory[n].double() @ weight[width : 2 * width].T + bias[width : 2 * width]
        v = memory[n].double() @ weight[2 * width :].T + bias[2 * width :]
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            for i in range(len(q)):
                scores = [float(q[i, part] @ k[j, part]) / math.sqrt(size) for j in range(len(k))]
                if mask is not None:
                    scores = [score + float(mask[i, j]) for j, score in enumerate(scores)]
                powers = [math.exp(score - max(scores)) for score in scores]
                for j, power in enumerate(powers):
                    out[n, i, part] += power / sum(powers) * v[j, part]
    projected = out @ layer.out_proj.weight.double().T
    return projected if layer.out_proj.bias is None else projected + layer.out_proj.bias.double()


def encoder_layer(layer: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """nn.TransformerEncoderLayer in eval mode on ``[N, L, E]``, whatever its ``batch_first``."""

    def norm(module: Any, values: Tensor) -> Tensor:
        bias = 0.0 if module.bias is None else module.bias.double()
        centred = values - values.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + module.eps).sqrt() * module.weight.double() + bias

    def linear(module: Any, values: Tensor) -> Tensor:
        return F.linear(values, module.weight.double(), None if module.bias is None else module.bias.double())

    def think(values: Tensor) -> Tensor:
        return linear(layer.linear2, layer.activation(linear(layer.linear1, values)))

    x = x.double()
    if layer.norm_first:
        y = norm(layer.norm1, x)
        x = x + attention(layer.self_attn, y, y, mask)
        return x + think(norm(layer.norm2, x))
    x = norm(layer.norm1, x + attention(layer.self_attn, x, x, mask))
    return norm(layer.norm2, x + think(x))
