"""Fold batch-norm into the linear layer before it, or after it, or keep it as a 1x1 weight."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from spikesim.converters.linear import LINEAR, absorb_before, add_bias, diagonal, pads_zeros, rescale
from spikesim.converters.rules_layers import plain_copy
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench


def as_affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    r"""Gain and shift of a batch-norm at inference, in float64.

    .. math:: g = \gamma / \sqrt{\sigma^2 + \epsilon}, \qquad s = \beta - g \mu

    Args:
        norm: A BatchNorm with recorded statistics.

    Returns:
        Two tensors ``[C]``.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.batchnorm import as_affine
        >>> gain, shift = as_affine(nn.BatchNorm1d(2, eps=0.0))
        >>> gain.tolist(), shift.tolist()
        ([1.0, 1.0], [0.0, 0.0])
    """
    n: Any = norm
    mean, gain = n.running_mean.double(), torch.rsqrt(n.running_var.double() + n.eps)
    if n.weight is not None:
        gain = gain * n.weight.detach().double()
    shift = -gain * mean
    return gain, shift if n.bias is None else shift + n.bias.detach().double()


def fold_into(layer: nn.Module, norm: nn.Module) -> None:
    """Make a linear layer compute what the batch-norm behind it gives, in float64, in place.

    Args:
        layer: Linear, ConvNd or ConvTransposeNd.
        norm: A BatchNorm with recorded statistics, along the layer's output channels.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.batchnorm import fold_into
        >>> layer, norm, x = nn.Linear(2, 3), nn.BatchNorm1d(3).eval(), torch.rand(4, 2)
        >>> before = norm(layer(x))
        >>> fold_into(layer, norm)
        >>> torch.allclose(layer(x), before)
        True
    """
    gain, shift = as_affine(norm)
    weight: Any = layer.weight
    inputs = weight.shape[0] if getattr(layer, "transposed", False) else weight.shape[1] * getattr(layer, "groups", 1)
    rescale(layer, torch.ones(inputs), gain)
    add_bias(layer, shift)


def fold_norms(bench: Workbench) -> None:
    """Remove every batch-norm, in float64, in the order of the graph.

    After a Conv, ConvTranspose or Linear it is folded into that layer (a copy of it, where others read the
    layer too). Before layers that pad no zeros it is folded into them. Anywhere else it stays as a depthwise 1x1
    weight with a bias, which is the same map.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.batchnorm import fold_norms
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.workbench import Workbench
        >>> bench = Workbench(trace(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))), torch.zeros(1, 2))
        >>> fold_norms(bench)
        >>> [node.name for node in bench.graph.nodes]
        ['x', 'linear_0', 'output']
    """
    for node in list(bench.graph.nodes):
        norm = bench.module(node)
        if not isinstance(norm, _BatchNorm) or norm.running_mean is None:
            continue
        gain, shift = as_affine(norm)
        source: fx.Node = node.args[0]
        if _takes_channels(bench, source):
            _fold_back(bench, node, source, norm)
        elif _can_fold_forward(bench, node):
            for user in node.users:
                absorb_before(_layer(bench, user), gain, shift)
            bench.note(node, Verdict.FOLDED, f"into '{next(iter(node.users)).name}' behind it")
            bench.remove(node)
        else:
            like = norm.running_mean
            shape = source.meta["shape"]
            if not 1 <= len(shape) <= 4:
                continue
            bench.become(node, *diagonal(gain, shift, shape, like))
            bench.note(node, Verdict.EXACT, "kept as a 1x1 weight and bias per channel: no layer beside it takes it")


def _layer(bench: Workbench, node: fx.Node) -> nn.Module:
    return bench.root.get_submodule(str(node.target))


def _can_fold_forward(bench: Workbench, node: fx.Node) -> bool:
    takers = [user for user in node.users if _takes_channels(bench, user) and not pads_zeros(_layer(bench, user))]
    return bool(takers) and len(takers) == len(node.users)


def _takes_channels(bench: Workbench, node: fx.Node) -> bool:
    """Whether a node is linear over axis 1, the axis of a batch-norm; a Linear on ``[N, L, F]`` is not."""
    module = bench.module(node)
    return isinstance(module, LINEAR) and not (isinstance(module, nn.Linear) and len(node.meta["shape"] or ()) != 1)


def _fold_back(bench: Workbench, node: fx.Node, source: fx.Node, norm: nn.Module) -> None:
    detail = f"into '{source.name}'"
    if len(source.users) > 1:
        copied = plain_copy(_layer(bench, source))
        reader, origin = source.args[0], source.meta["source"]
        source = bench.between(reader, copied, f"{source.name}_for_{node.name}", node)  # type: ignore[arg-type]
        source.meta["source"] = origin
        node.args = (source,)
        detail += ", on a copy, for others read that layer too"
    fold_into(_layer(bench, source), norm)
    bench.note(node, Verdict.FOLDED, detail)
    bench.remove(node)
