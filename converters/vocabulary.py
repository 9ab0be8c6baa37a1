"""Which rule brings which operation, however it is written, to its canonical form."""

from __future__ import annotations

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from spikesim.converters import rules_attention as attention
from spikesim.converters import rules_functions as functions
from spikesim.converters import rules_joins as joins
from spikesim.converters import rules_layers as layers
from spikesim.converters import rules_resize as resize
from spikesim.converters import rules_tokens as tokens
from spikesim.converters import rules_units as units
from spikesim.converters import rules_views as views
from spikesim.converters.binding import Rule, call_name, is_torchs_own
from spikesim.converters.linear import LINEAR
from spikesim.converters.rules_concat import concat
from spikesim.converters.trained import QCFS
from spikesim.converters.workbench import Workbench

MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
ADAPTIVE_MAX_POOLS = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
MEAN_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
ADAPTIVE_MEAN_POOLS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
PADS = (nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)

MODULES: tuple[tuple[tuple[type[nn.Module], ...], Rule], ...] = (
    (LINEAR, tokens.linear),
    ((_BatchNorm,), layers.norm),
    ((nn.ReLU, nn.Hardtanh, QCFS), units.rectify),
    ((*MAX_POOLS, *ADAPTIVE_MAX_POOLS, *MEAN_POOLS, *ADAPTIVE_MEAN_POOLS), units.pool),
    ((nn.Flatten, nn.Unflatten), units.reshape),
    ((nn.Identity, _DropoutNd), units.drop),
    ((nn.Upsample,), resize.upsample),
    (PADS, resize.pad),
    ((nn.LayerNorm, nn.RMSNorm), functions.norm),
    ((nn.GELU, nn.SiLU), functions.pointwise),
    ((nn.Softmax,), functions.softmax),
    ((nn.MultiheadAttention,), attention.multihead),
    ((nn.Embedding,), tokens.embedding),
)
_POOLS = [f"{a}{k}_pool{d}d" for a in ("", "adaptive_") for k in ("max", "avg") for d in "123"]
CALLS: dict[str, Rule] = {
    **dict.fromkeys(["relu", "relu6", "hardtanh", "clamp", "clamp_min", "clip"], units.rectify),
    **dict.fromkeys(["flatten", "view", "reshape", "squeeze", "unsqueeze", "unflatten"], units.reshape),
    **dict.fromkeys(["add", "iadd", "sub", "isub", "mul", "imul", "div", "truediv", "itruediv"], tokens.arithmetic),
    **dict.fromkeys(["cat", "concat", "concatenate"], concat),
    **dict.fromkeys(["linear", *(f"conv{d}d" for d in "123")], tokens.functional_linear),
    **dict.fromkeys([f"conv_transpose{d}d" for d in "123"], layers.functional_linear),
    **dict.fromkeys(_POOLS, units.functional_pool),
    **dict.fromkeys(["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"], units.drop),
    **dict.fromkeys(["contiguous", "detach"], units.drop),
    **dict.fromkeys(["clone", "float", "double", "to", "type", "type_as"], units.copy_of),
    **dict.fromkeys(["neg", "negative"], joins.negate),
    **dict.fromkeys(["interpolate", "upsample"], resize.upsample),
    "pad": resize.pad,
    "mean": units.mean,
    "batch_norm": layers.functional_norm,
    **dict.fromkeys(
        ["permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "adjoint"], views.view
    ),
    **dict.fromkeys(["select", "narrow", "getitem", "expand", "expand_as"], views.view),
    **dict.fromkeys(views.PARTS, views.parts),
    "getattr": views.attribute_of,
    **dict.fromkeys(["layer_norm", "rms_norm"], functions.norm),
    **dict.fromkeys(["gelu", "silu"], functions.pointwise),
    "softmax": functions.softmax,
    **dict.fromkeys(["matmul", "bmm"], attention.matmul),
    "scaled_dot_product_attention": attention.attention,
    "masked_fill": tokens.fill,
    "embedding": tokens.embedding,
}
ANY_AXIS = frozenset({
    *(views.view, views.parts, views.attribute_of, units.reshape, concat),
    *(tokens.linear, tokens.functional_linear, tokens.arithmetic, tokens.fill, tokens.embedding),
    *(functions.norm, functions.pointwise, functions.softmax),
    *(attention.matmul, attention.attention, attention.multihead, units.drop, units.copy_of),
    *(units.rectify, units.mean),
})  # fmt: skip
"""Rules that also take samples on another axis than the first, or give several tensors."""


def rule_for(bench: Workbench, node: fx.Node) -> Rule | None:
    """The rule for an operation, or None where there is none.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.vocabulary import rule_for
        >>> from spikesim.converters.workbench import Workbench
        >>> bench = Workbench(trace(nn.Sequential(nn.ReLU(), nn.ELU())), torch.zeros(1, 3))
        >>> [getattr(rule_for(bench, n), "__name__", None) for n in bench.graph.nodes if n.op == "call_module"]
        ['rectify', None]
    """
    module = bench.module(node)
    if module is not None:
        return next((rule for kinds, rule in MODULES if isinstance(module, kinds)), None)
    return CALLS.get(call_name(bench, node)) if is_torchs_own(node) else None
