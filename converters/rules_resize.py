"""Rules for operations that change the size of maps and nothing else: upsampling and padding with zeros."""

from __future__ import annotations

import copy
from typing import Any

import torch.nn.functional as F
from torch import Tensor, fx, nn

from spikesim.converters.binding import bind, refuse, source
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench


class ZeroPad(nn.Module):
    """Zeros around the last axes.

    Args:
        padding: zeros before and after each axis, the last axis first; a negative number cuts.

    Example:
        >>> import torch
        >>> from spikesim.converters.rules_resize import ZeroPad
        >>> ZeroPad((1, 2))(torch.ones(1, 1, 2)).tolist()
        [[[0.0, 1.0, 1.0, 0.0, 0.0]]]
    """

    def __init__(self, padding: tuple[int, ...]) -> None:
        super().__init__()
        self.padding = tuple(padding)

    def forward(self, x: Tensor) -> Tensor:
        """Pad ``x``."""
        return F.pad(x, self.padding)


RESIZES = (nn.Upsample, ZeroPad)
"""Linear maps of each channel by itself, without a bias."""


def upsample(bench: Workbench, node: fx.Node) -> None:
    """nn.Upsample, F.interpolate.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.Upsample(scale_factor=2), torch.zeros(1, 2, 4)).rows[-1].verdict.value
        'exact'
    """
    module = bench.module(node)
    if module is None:
        names = ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias")
        given = {k: v for k, v in bind(node, *names).items() if v is not None}
        if given.pop("antialias", False):
            return refuse(bench, node, "interpolate", "anti-aliased resizing: resize without it")
        module = nn.Upsample(**given)
    if module.mode == "bicubic":
        return refuse(bench, node, "interpolate", "bicubic upsampling: use 'nearest' or 'bilinear'")
    bench.note(node, Verdict.EXACT, "upsampling, a linear map of each channel")
    bench.become(node, copy.deepcopy(module))
    return None


def pad(bench: Workbench, node: fx.Node) -> None:
    """nn.ZeroPad1d to 3d, nn.ConstantPad with 0, F.pad with zeros; not over the channels.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.ZeroPad2d(1), torch.zeros(1, 2, 4, 4)).rows[-1].verdict.value
        'exact'
    """
    module: Any = bench.module(node)
    if module is not None:
        padding, mode, value = module.padding, "constant", getattr(module, "value", 0)
    else:
        given = bind(node, "pad", "mode", "value")
        padding, mode, value = given["pad"], given.get("mode", "constant"), given.get("value")
    if mode != "constant" or value not in (None, 0):
        return refuse(bench, node, "pad", f"padding with {value if mode == 'constant' else mode!r}: pad with zeros")
    maps = len(source(node).meta["shape"]) - 1
    if len(padding) > 2 * maps and any(padding[2 * maps :]):
        return refuse(bench, node, "pad", "padding over channels or samples: pad the maps only")
    bench.note(node, Verdict.EXACT, "zeros around the maps")
    bench.become(node, ZeroPad(tuple(padding)))
    return None
