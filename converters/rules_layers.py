"""Rules for layers with weights: convolution, linear, batch-norm, as modules or as functions."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules.conv import _ConvTransposeNd

from spikesim.converters.binding import bind, refuse, source
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench


def linear(bench: Workbench, node: fx.Node) -> None:
    """Conv, ConvTranspose, Linear: an own copy per use, for folding differs by use.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.Conv1d(2, 3, 2), torch.zeros(1, 2, 4)).rows[-1].verdict.value
        'exact'
    """
    module = bench.module(node)
    shape = source(node).meta["shape"]
    if module is None or (isinstance(module, nn.Linear) and len(shape) != 1):
        why = f"Linear on samples of shape {shape}: flatten to [N, features] first, or use Conv with kernel size 1"
        return refuse(bench, node, "linear", why)
    bench.note(node, Verdict.EXACT, "linear map, spike scales folded into its weight")
    bench.become(node, module if _is_plain(module) else plain_copy(module))
    return None


def _is_plain(module: nn.Module) -> bool:
    """Whether a layer is torch's own with nothing attached: then the copy that the bench holds will do."""
    attached = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "parametrizations")
    own = type(module).__module__ in (nn.Linear.__module__, nn.Conv2d.__module__)
    return own and not any(getattr(module, name, None) for name in attached)


def plain_copy(module: nn.Module) -> nn.Module:
    """A Linear or convolution free of parametrisations and hooks, with the weights it has now.

    Example:
        >>> from torch import nn
        >>> from torch.nn.utils.parametrizations import weight_norm
        >>> from spikesim.converters.rules_layers import plain_copy
        >>> type(plain_copy(weight_norm(nn.Linear(2, 3)))).__name__
        'Linear'
    """
    if isinstance(module, nn.Linear):
        new: Any = nn.Linear(module.in_features, module.out_features, module.bias is not None)
    else:
        names = ["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups"]
        names += ["padding_mode", *(["output_padding"] if isinstance(module, _ConvTransposeNd) else [])]
        family = next(c for c in type(module).__mro__ if c.__module__ == "torch.nn.modules.conv")
        new = family(**{n: getattr(module, n) for n in names}, bias=module.bias is not None)
    weights: Any = module
    new = new.to(weights.weight)
    with torch.no_grad():
        new.weight.copy_(weights.weight)
        if new.bias is not None:
            new.bias.copy_(weights.bias)
    return new.eval()


def functional_linear(bench: Workbench, node: fx.Node) -> None:
    """F.linear, F.conv2d, ... with weights that do not depend on the input.

    Example:
        >>> import torch
        >>> import torch.nn.functional as F
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return F.linear(x, torch.ones(2, 3))
        ...
        >>> audit(Net(), torch.zeros(1, 3)).rows[-1].verdict.value
        'exact'
    """
    name = node.target.__name__  # type: ignore[union-attr]
    order = ["weight", "bias", "stride", "padding", "dilation", "groups"]
    if "transpose" in name:
        order = ["weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"]
    given = bind(node, *order)
    weight, bias = given.pop("weight", None), given.pop("bias", None)
    if not isinstance(weight, torch.Tensor):
        return refuse(bench, node, name, "its weight depends on the input: use a module with fixed weights")
    if name == "linear":
        module: Any = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    else:
        family = {"conv": "Conv", "conv_transpose": "ConvTranspose"}[name[:-2]] + name[-2:]
        axes = list(weight.shape[:2])
        axes["transpose" not in name] *= given.get("groups", 1)
        inputs, outputs = axes if "transpose" in name else axes[::-1]
        module = getattr(nn, family)(inputs, outputs, tuple(weight.shape[2:]), bias=bias is not None, **given)
    module = module.to(weight)
    with torch.no_grad():
        module.weight.copy_(weight)
        if bias is not None:
            module.bias.copy_(bias)
    bench.become(node, module)
    return linear(bench, node)


def norm(bench: Workbench, node: fx.Node) -> None:
    """BatchNorm with recorded statistics; :mod:`batchnorm` folds it afterwards.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> audit(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), torch.zeros(1, 2)).rows[-1].verdict.value
        'folded'
    """
    module: Any = bench.module(node)
    if module.running_mean is None:
        return refuse(bench, node, "batchnorm", "no recorded statistics: use track_running_stats=True and train")
    bench.become(node, copy.deepcopy(module))
    return None


def functional_norm(bench: Workbench, node: fx.Node) -> None:
    """F.batch_norm with recorded statistics.

    Example:
        >>> import torch
        >>> import torch.nn.functional as F
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return F.batch_norm(x, torch.zeros(3), torch.ones(3))
        ...
        >>> audit(Net(), torch.zeros(1, 3)).rows[-1].verdict.value
        'exact'
    """
    names = ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    given = bind(node, *names)
    mean, var = given.get("running_mean"), given.get("running_var")
    if given.get("training") or mean is None or var is None:
        return refuse(bench, node, "batchnorm", "it uses statistics of the batch: use nn.BatchNorm in eval mode")
    family = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}[len(node.meta["shape"])]
    module = family(len(mean), eps=given.get("eps", 1e-5), device=mean.device, dtype=mean.dtype)
    values = {
        "running_mean": mean,
        "running_var": var,
        "weight": given.get("weight"),
        "bias": given.get("bias"),
    }
    module.load_state_dict({k: v for k, v in values.items() if v is not None}, strict=False)
    bench.become(node, module.eval())
    return None
