"""Exact algebra on linear layers: gains and shifts before and behind, and diagonal layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

LINEAR = (nn.Linear, _ConvNd)
_DEPTHWISE = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def out_channels(module: nn.Module) -> int:
    """Number of output channels of a linear layer.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.linear import out_channels
        >>> out_channels(nn.Linear(3, 5)), out_channels(nn.ConvTranspose1d(2, 4, 3))
        (5, 4)
    """
    return int(module.out_features if isinstance(module, nn.Linear) else module.out_channels)  # type: ignore[arg-type]


def _grouped(module: nn.Module) -> tuple[Tensor, tuple[int, ...], int, int]:
    """Weight in float64 as [groups, out per group, in per group, taps], with the way back."""
    weight: Tensor = module.weight.detach().double()  # type: ignore[operator]
    groups = int(getattr(module, "groups", 1))
    if isinstance(module, _ConvTransposeNd):
        inputs, outputs = weight.shape[0] // groups, weight.shape[1]
        grouped = weight.reshape(groups, inputs, outputs, -1).transpose(1, 2)
    else:
        outputs, inputs = weight.shape[0] // groups, weight.shape[1]
        grouped = weight.reshape(groups, outputs, inputs, -1)
    return grouped, tuple(weight.shape), inputs, outputs


@torch.no_grad()
def rescale(module: nn.Module, gain_in: Tensor, gain_out: Tensor) -> None:
    """Turn ``y = W x + b`` into ``y' = gain_out * (W (gain_in * x) + b)``, in float64, in place.

    Args:
        module: Linear, ConvNd or ConvTransposeNd.
        gain_in: Factor of each input channel, ``[in]``.
        gain_out: Factor of each output channel, ``[out]``.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.linear import rescale
        >>> layer = nn.Linear(2, 1)
        >>> x = torch.tensor([[1.0, 2.0]])
        >>> before = layer(x * torch.tensor([3.0, 5.0])) * 7
        >>> rescale(layer, torch.tensor([3.0, 5.0]), torch.tensor([7.0]))
        >>> torch.allclose(layer(x), before)
        True
    """
    grouped, shape, inputs, outputs = _grouped(module)
    groups = grouped.shape[0]
    gain_in, gain_out = gain_in.double().to(grouped.device), gain_out.double().to(grouped.device)
    grouped = grouped * gain_in.reshape(groups, 1, inputs, 1) * gain_out.reshape(groups, outputs, 1, 1)
    if isinstance(module, _ConvTransposeNd):
        grouped = grouped.transpose(1, 2)
    module.weight.copy_(grouped.reshape(shape))  # type: ignore[operator]
    if module.bias is not None:
        module.bias.copy_(module.bias.double() * gain_out)  # type: ignore[operator]


@torch.no_grad()
def add_bias(module: nn.Module, shift: Tensor) -> None:
    """Add ``shift`` (``[out]``) to the bias, creating it where there is none.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.linear import add_bias
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> add_bias(layer, torch.tensor([0.5]))
        >>> layer.bias.tolist()
        [0.5]
    """
    weight: Tensor = module.weight  # type: ignore[assignment]
    shift = shift.to(weight.device)
    bias: Any = module.bias
    old = torch.zeros_like(shift, dtype=torch.float64) if bias is None else bias.double()
    module.bias = nn.Parameter((old + shift.double()).to(weight.dtype))


@torch.no_grad()
def absorb_before(module: nn.Module, gain: Tensor, shift: Tensor) -> None:
    """Fold ``x -> gain * x + shift`` (``[in]`` each) that stands before a layer which pads nothing with zeros.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.linear import absorb_before
        >>> layer, x = nn.Linear(1, 1), torch.tensor([[2.0]])
        >>> before = layer(x * 3 + 1)
        >>> absorb_before(layer, torch.tensor([3.0]), torch.tensor([1.0]))
        >>> torch.allclose(layer(x), before)
        True
    """
    grouped, _, inputs, _ = _grouped(module)
    groups = grouped.shape[0]
    shifted = grouped.sum(-1) * shift.double().to(grouped.device).reshape(groups, 1, inputs)
    ones = torch.ones(out_channels(module), dtype=torch.float64)
    rescale(module, gain, ones)
    add_bias(module, shifted.sum(-1).reshape(-1))


def pads_zeros(module: nn.Module) -> bool:
    """Whether border outputs of a layer see zeros, so that a shift before it cannot be folded.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.linear import pads_zeros
        >>> pads_zeros(nn.Conv2d(1, 1, 3)), pads_zeros(nn.Conv2d(1, 1, 3, padding=1)), pads_zeros(nn.Linear(1, 1))
        (False, True, False)
    """
    if isinstance(module, nn.Linear):
        return False
    if isinstance(module, _ConvTransposeNd):
        return True  # an output at the border, or between strides, meets fewer taps
    padding = module.padding
    none = padding == "valid" or (not isinstance(padding, str) and not any(padding))  # type: ignore[arg-type]
    return module.padding_mode == "zeros" and not none


def diagonal(gain: Tensor, shift: Tensor | None, per_sample: tuple[int, ...], like: Tensor) -> list[nn.Module]:
    """Modules that compute ``gain * x + shift`` per channel: a depthwise 1x1 convolution.

    Args:
        gain: Factor of each channel, ``[C]``.
        shift: Offset of each channel, or None.
        per_sample: Shape of one sample, ``(C, ...)`` with at most three further axes.
        like: Gives dtype and device.

    Returns:
        One convolution, or for plain features ``(F,)`` a convolution between two reshapes: F weights
        instead of the F x F of a diagonal ``nn.Linear``.

    Example:
        >>> import torch
        >>> from spikesim.converters.linear import diagonal
        >>> [layer] = diagonal(torch.tensor([2.0]), None, (1, 2, 2), torch.zeros(1))
        >>> layer(torch.ones(1, 1, 2, 2)).flatten().tolist()
        [2.0, 2.0, 2.0, 2.0]
    """
    channels, axes = per_sample[0], max(len(per_sample) - 1, 1)
    kwargs: dict[str, Any] = {"groups": channels, "bias": shift is not None}
    conv = _DEPTHWISE[axes](channels, channels, 1, **kwargs).to(like)
    with torch.no_grad():
        conv.weight.copy_(gain.reshape([channels] + [1] * (axes + 1)))
        if shift is not None and conv.bias is not None:
            conv.bias.copy_(shift)
    if len(per_sample) == 1:
        return [nn.Unflatten(1, (channels, 1)), conv, nn.Flatten(1)]
    return [conv]
