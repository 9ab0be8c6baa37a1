"""How an artefact writes the modules of transformers: their settings, how they are made again, and their operands.

Stored tensors are made as zeros of their shape; their values come from the weights file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from spikesim.converters import analog, movements, telescoping

STORED_FIELDS: dict[str, tuple[str, ...]] = {
    "LayerNorm": ("normalized_shape", "eps", "elementwise_affine"),
    "RMSNorm": ("normalized_shape", "eps", "elementwise_affine"),
    "Softmax": ("dim",),
    "GELU": ("approximate",),
    **dict.fromkeys(["SiLU", "MatMul", "Product", "RunningMean", "Increment", "Held"], ()),
    "Attention": ("scale", "causal", "mask_shape"),
    "Permute": ("order",),
    "Part": ("axis", "start", "length", "step"),
    "Reshape": ("shape",),
    "MeanOver": ("axes", "keepdim"),
    **dict.fromkeys(["AddConstant", "ScaleBy", "FillWhere", "TokenEmbedding"], ("shape",)),
    "Extend": ("shape", "axis", "before"),
}
"""Attributes that make a module again, by class."""

STORED_MAKERS: dict[str, Callable[..., nn.Module]] = {
    "MatMul": analog.MatMul,
    "Product": analog.Product,
    "Attention": lambda scale, causal, mask_shape: analog.Attention(scale, causal, mask_shape),
    "Permute": movements.Permute,
    "Part": movements.Part,
    "Reshape": movements.Reshape,
    "MeanOver": movements.MeanOver,
    "AddConstant": lambda shape: movements.AddConstant(shape),
    "ScaleBy": lambda shape: movements.ScaleBy(shape),
    "FillWhere": lambda shape: movements.FillWhere(shape),
    "TokenEmbedding": lambda shape: movements.TokenEmbedding(shape),
    "Extend": lambda shape, **settings: movements.Extend(shape, **settings),
    "RunningMean": telescoping.RunningMean,
    "Increment": telescoping.Increment,
    "Held": telescoping.Held,
}
"""What makes them, where it is not torch's own class."""

STORED_OPERANDS: dict[str, Any] = {"MatMul": 2, "Product": 2, "Attention": 3}
"""How many inputs they have, if not one."""
