"""Rules for operations without weights: dropout, ReLU, pools, reshapes, means."""

from __future__ import annotations

import copy

from torch import fx, nn

from spikesim.converters.binding import bind, call_name, refuse, source
from spikesim.converters.movements import MeanOver
from spikesim.converters.rectifier import Rectifier
from spikesim.converters.rules_views import apart
from spikesim.converters.trained import QCFS
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench

RATE = "ReLU by the firing rate of a neuron"
_MEANS = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


def drop(bench: Workbench, node: fx.Node) -> None:
    """Identity and dropout: nothing at inference.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.Dropout(), torch.zeros(1, 2)).rows[-1].verdict.value
        'exact'
    """
    given = bind(node, "p", "training")
    if given.get("training") is True and given.get("p") != 0:
        return refuse(bench, node, "dropout", "dropout that is always on is random: pass training=self.training")
    bench.note(node, Verdict.EXACT, "nothing at inference, removed")
    bench.remove(node)
    return None


def copy_of(bench: Workbench, node: fx.Node) -> None:
    """A copy, or a cast to the dtype that the tensor has already: nothing.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return x.clone().float()
        ...
        >>> [row.verdict.value for row in audit(Net(), torch.zeros(1, 2)).rows]
        ['exact', 'exact']
    """
    before, after = source(node).meta["dtype"], node.meta["dtype"]
    if before != after:
        why = f"it casts {before} to {after} inside the model: cast the model and its input as a whole"
        return refuse(bench, node, "cast", why)
    bench.note(node, Verdict.EXACT, "a copy, removed")
    return bench.remove(node)


def rectify(bench: Workbench, node: fx.Node) -> None:
    """ReLU, ReLU6, Hardtanh(0, c), clamp(0, c), and activations with a learnt range.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.ReLU6(), torch.zeros(1, 2)).rows[-1].verdict.value
        'approximated'
    """
    module, name = bench.module(node), call_name(bench, node)
    if isinstance(module, QCFS):
        bench.note(node, Verdict.APPROXIMATED, f"{RATE}, with the range that was trained")
        bench.become(node, Rectifier(trained=module))
        return None
    low: object = 0
    cap: object = 6.0 if name == "relu6" else None
    if isinstance(module, nn.Hardtanh):
        low, cap = module.min_val, module.max_val
    elif name == "hardtanh":
        given = bind(node, "min_val", "max_val")
        low, cap = given.get("min_val", -1.0), given.get("max_val", 1.0)
    elif name in ("clamp", "clip", "clamp_min"):
        given = bind(node, "min", "max")
        low, cap = given.get("min"), given.get("max")
    capped = isinstance(cap, int | float) and cap > 0
    if low != 0 or not (capped or cap is None):
        return refuse(bench, node, name)
    limit = float(cap) if isinstance(cap, int | float) else None
    bench.note(node, Verdict.APPROXIMATED, RATE + (f", threshold at most {limit:g}" if limit else ""))
    bench.become(node, Rectifier(limit))
    return None


def pool(bench: Workbench, node: fx.Node) -> None:
    """Pools written as modules.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.AvgPool1d(2), torch.zeros(1, 2, 4)).rows[-1].verdict.value
        'exact'
    """
    module = bench.module(node)
    if module is None:
        return None
    if getattr(module, "return_indices", False):
        return refuse(bench, node, "maxpool", "max-pool with indices: unpool with nn.ConvTranspose instead")
    axes, shape = int(type(module).__name__[-2]), source(node).meta["shape"]
    if len(shape) != axes + 1:
        why = f"{type(module).__name__} on samples of shape {shape} has no channel axis: unsqueeze(1) before it"
        return refuse(bench, node, "pool", why)
    bench.note(node, Verdict.EXACT, "mean of spikes, a linear map")
    bench.become(node, copy.deepcopy(module))
    return None


def functional_pool(bench: Workbench, node: fx.Node) -> None:
    """F.max_pool2d, torch.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, ...

    Example:
        >>> import torch
        >>> import torch.nn.functional as F
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return F.avg_pool1d(x, 2)
        ...
        >>> audit(Net(), torch.zeros(1, 3, 4)).rows[-1].verdict.value
        'exact'
    """
    name = node.target.__name__  # type: ignore[union-attr]
    kind = "".join(part.capitalize() for part in name.strip("_").split("_"))[:-1] + "d"
    if kind.startswith("Adaptive"):
        order = ["output_size", "return_indices"]
    elif kind.startswith("Max"):
        order = ["kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"]
    else:
        order = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"]
    given = {k: v for k, v in bind(node, *order).items() if v != () and v is not None}
    if kind == "AdaptiveMaxPool1d" or "Avg" in kind:
        given.pop("return_indices", None)
    bench.become(node, getattr(nn, kind)(**given))
    return pool(bench, node)


def reshape(bench: Workbench, node: fx.Node) -> None:
    """flatten, view, reshape, squeeze, ... that keep samples apart.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.Flatten(), torch.zeros(1, 2, 4)).rows[-1].verdict.value
        'exact'
    """
    if not apart(node):
        return refuse(bench, node, "reshape", "a reshape that mixes samples: keep the batch an axis of its own")
    before, shape = source(node).meta["sizes"], node.meta["sizes"]
    bench.note(node, Verdict.EXACT, "reshape")
    if before == shape:
        return bench.remove(node)
    flat = [] if len(before) == 1 else [nn.Flatten(1)]
    bench.become(node, *flat, *([nn.Unflatten(1, shape)] if len(shape) > 1 else []))
    return None


def mean(bench: Workbench, node: fx.Node) -> None:
    """x.mean((2, 3)): global average pooling; x.mean(1) over tokens, or over any axes but the batch.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return x.mean((2, 3))
        ...
        >>> audit(Net(), torch.zeros(1, 3, 4, 4)).rows[-1].verdict.value
        'exact'
    """
    axes, batch = len(source(node).meta["sizes"]), source(node).meta["batch"]
    given = bind(node, "dim", "keepdim")
    dim = given.get("dim", given.get("axis"))
    dims = {d % (axes + 1) for d in ([dim] if isinstance(dim, int) else dim or [])}
    if batch in dims or not dims:
        return refuse(bench, node, "mean", "a mean over the samples, or over everything: give the axes to average")
    if batch or axes < 2 or dims != set(range(2, axes + 1)):
        bench.note(node, Verdict.EXACT, "mean over axes of a sample")
        bench.become(node, MeanOver(sorted(d - (batch < d) for d in dims), bool(given.get("keepdim"))))
        return None
    bench.note(node, Verdict.EXACT, "global average pooling")
    bench.become(node, _MEANS[axes - 1](1), *([] if given.get("keepdim") else [nn.Flatten(1)]))
    return None
