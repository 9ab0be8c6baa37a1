"""Fold batch-norm into the layer before it, as any deployment does."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils import fusion

Model = TypeVar("Model", bound=nn.Module)

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batchnorm(model: Model) -> Model:
    """Give a copy in eval mode whose batch-norms are part of the weights before them.

    A batch-norm is folded where it directly follows a convolution or linear layer inside an
    ``nn.Sequential``; others stay. The copy computes the same up to rounding, and is what an energy
    estimate should count: no accelerator runs batch-norm as a layer of its own.

    Args:
        model: left as it is.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.models import fold_batchnorm
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).eval()
        >>> folded, x = fold_batchnorm(model), torch.rand(1, 1, 5, 5)
        >>> type(folded[1]).__name__, torch.allclose(folded(x), model(x), atol=1e-6)
        ('Identity', True)
    """
    folded = copy.deepcopy(model).eval()
    for stage in folded.modules():
        if not isinstance(stage, nn.Sequential):
            continue
        for index, (layer, norm) in enumerate(zip(list(stage), list(stage)[1:])):
            if not isinstance(norm, _NORMS) or norm.running_mean is None:
                continue
            if isinstance(layer, _CONVOLUTIONS):
                stage[index] = fusion.fuse_conv_bn_eval(layer, norm)
            elif isinstance(layer, nn.Linear):
                stage[index] = fusion.fuse_linear_bn_eval(layer, norm)
            else:
                continue
            stage[index + 1] = nn.Identity()
    return folded
