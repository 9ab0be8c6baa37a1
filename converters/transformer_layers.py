"""torch's transformer layers, written out as the parts they are made of.

Their own forward asks many questions (may a fused kernel run, is the mask causal, are tensors nested) whose answers do
not change what it computes, and which no recording of the forward gets past.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainEncoderLayer(nn.TransformerEncoderLayer):
    """The same layer, recorded part by part; ``is_causal`` is a hint that says nothing beside the mask."""

    def forward(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Tensor:
        """Self-attention and the layers behind it, each around a shortcut."""

        def attend(x: Any) -> Any:
            seen = _attended(self.self_attn, x, x, src_mask, src_key_padding_mask)
            return self.dropout1(seen)

        def think(x: Any) -> Any:
            return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        return _stacked(src, self.norm_first, [(self.norm1, attend), (self.norm2, think)])


class PlainDecoderLayer(nn.TransformerDecoderLayer):
    """The same layer, recorded part by part."""

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Self-attention, attention to ``memory`` and the layers behind them, each around a shortcut."""

        def attend(x: Any) -> Any:
            return self.dropout1(_attended(self.self_attn, x, x, tgt_mask, tgt_key_padding_mask))

        def read(x: Any) -> Any:
            return self.dropout2(_attended(self.multihead_attn, x, memory, memory_mask, memory_key_padding_mask))

        def think(x: Any) -> Any:
            return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        return _stacked(tgt, self.norm_first, [(self.norm1, attend), (self.norm2, read), (self.norm3, think)])


class PlainEncoder(nn.TransformerEncoder):
    """The same layers one after another."""

    def forward(
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool | None = None
    ) -> Tensor:
        """All layers, and the norm behind them if there is one."""
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask)
        return src if self.norm is None else self.norm(src)


class PlainDecoder(nn.TransformerDecoder):
    """The same layers one after another."""

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """All layers, and the norm behind them if there is one."""
        for layer in self.layers:
            tgt = layer(tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return tgt if self.norm is None else self.norm(tgt)


class PlainTransformer(nn.Transformer):
    """The encoder, and the decoder that reads it."""

    def forward(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Both in turn."""
        memory = self.encoder(src, src_mask, src_key_padding_mask)
        told: Tensor = self.decoder(tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return told


class PlainAttention(nn.MultiheadAttention):
    """Attention without torch's folding of samples and heads into one axis, which an exported graph would show."""

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, None]:
        """Projections, attention of each head, projection; the weights of attention are not given."""
        if key_padding_mask is not None or self.bias_k is not None or self.add_zero_attn:
            raise ValueError("key_padding_mask, add_bias_kv and add_zero_attn of nn.MultiheadAttention have no rule")
        if not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            attn_mask = ~attn_mask  # True hides here, and shows in F.scaled_dot_product_attention
        split = (self.num_heads, self.head_dim)
        q, k, v = (
            torch.unflatten(F.linear(x, weight, bias), 2, split).transpose(1, 2)
            for x, weight, bias in zip((query, key, value), *_projections(self))
        )
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
        out = self.out_proj(seen.transpose(1, 2).flatten(2))
        return (out if self.batch_first else out.transpose(0, 1)), None


_PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    nn.TransformerEncoderLayer: PlainEncoderLayer,
    nn.TransformerDecoderLayer: PlainDecoderLayer,
    nn.TransformerEncoder: PlainEncoder,
    nn.TransformerDecoder: PlainDecoder,
    nn.Transformer: PlainTransformer,
}


def written_out(root: nn.Module, attention: bool = False) -> nn.Module:
    """Give torch's transformer layers a forward that can be recorded; their weights and names stay.

    Args:
        root: A copy of the user's model; it is changed.
        attention: Whether nn.MultiheadAttention is written out too, which as one call has a rule of its own.

    Returns:
        ``root``.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.transformer_layers import written_out
        >>> layer, x = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval(), torch.rand(2, 3, 4)
        >>> wanted = layer(x)
        >>> bool(torch.allclose(written_out(layer, attention=True)(x), wanted, atol=1e-6))
        True
    """
    kinds = _PLAIN | ({nn.MultiheadAttention: PlainAttention} if attention else {})
    for module in root.modules():
        # A subclass may have a forward of its own, and is left alone.
        plain = kinds.get(type(module))
        if plain is not None:
            module.__class__ = plain
    return root


def _stacked(x: Any, norm_first: bool, blocks: list[tuple[Any, Any]]) -> Any:
    for norm, block in blocks:
        x = x + block(norm(x)) if norm_first else norm(x + block(x))
    return x


def _attended(layer: Any, x: Any, memory: Any, mask: Any, padding: Any) -> Any:
    return layer(x, memory, memory, attn_mask=mask, key_padding_mask=padding, need_weights=False)[0]


def _projections(layer: Any) -> tuple[list[Any], list[Any]]:
    parts = [slice(k * layer.embed_dim, (k + 1) * layer.embed_dim) for k in range(3)]
    if layer.in_proj_weight is None:
        weights = [layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight]
    else:
        weights = [layer.in_proj_weight[part] for part in parts]
    return weights, [None if layer.in_proj_bias is None else layer.in_proj_bias[part] for part in parts]
