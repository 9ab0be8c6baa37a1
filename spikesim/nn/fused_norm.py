"""What a batch-norm does to a batch as numbers per channel, and its running averages, as torch keeps them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from spikesim.dynamics.execute import compute_dtype
from spikesim.dynamics.fused_operator import Moments, moments


class Normalisation(NamedTuple):
    """A batch-norm for one batch: ``weight * (x - mean) * inverse + bias`` per channel.

    Args:
        weight: learnt factor ``[C]``.
        bias: learnt offset ``[C]``.
        mean: subtracted mean ``[C]``.
        inverse: inverse standard deviation ``[C]``.
        size: values that a channel's statistics are made of.
        batch_statistics: whether they are the batch's own, so that a gradient flows through them.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    inverse: Tensor
    size: int
    batch_statistics: bool


def normalisation(norm: nn.BatchNorm2d, x: Tensor) -> Normalisation | None:
    """The normalisation of ``x``, having moved the running averages as ``norm`` would; None if torch must do it.

    Args:
        norm: in training mode it takes the statistics of the batch, in evaluation its running ones if it has them.
        x: channels-last ``[T*N, C, H, W]``.

    >>> norm = nn.BatchNorm2d(1, momentum=0.5)
    >>> x = torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1)
    >>> normalisation(norm, x).mean, norm.running_mean, norm.running_var
    (tensor([2.]), tensor([1.]), tensor([1.5000]))
    """
    dtype = compute_dtype(x)
    held = [norm.weight, norm.bias, norm.running_mean, norm.running_var]
    if any(t is not None and (t.dtype != dtype or t.device != x.device or t.numel() != x.shape[1]) for t in held):
        return None
    weight = x.new_ones(x.shape[1], dtype=dtype) if norm.weight is None else norm.weight
    bias = x.new_zeros(x.shape[1], dtype=dtype) if norm.bias is None else norm.bias
    mean, variance = norm.running_mean, norm.running_var
    if (mean is None) != (variance is None):
        return None
    if not norm.training and mean is not None and variance is not None:
        # In the dtype of the buffers: the very numbers that torch multiplies by.
        return Normalisation(weight, bias, mean, torch.rsqrt(variance + norm.eps), 0, False)
    if x.numel() == x.shape[1]:
        return None  # torch explains that one value has no variance
    with torch.no_grad():
        found = moments(x)
        if norm.training and norm.track_running_stats:
            _track(norm, found)
        inverse = torch.rsqrt(found.variance + norm.eps)
    return Normalisation(weight, bias, found.mean.to(dtype), inverse.to(dtype), found.size, True)


def _track(norm: nn.BatchNorm2d, found: Moments) -> None:
    factor = norm.momentum
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    if factor is None:
        factor = 1.0 / float(norm.num_batches_tracked) if norm.num_batches_tracked is not None else 0.0
    unbiased = found.variance * (found.size / (found.size - 1))
    for average, value in ((norm.running_mean, found.mean), (norm.running_var, unbiased)):
        if average is not None:
            average.copy_(average.double() * (1 - factor) + value * factor)
