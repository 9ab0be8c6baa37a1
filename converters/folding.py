"""The ANN with its batch-norms folded away: the fair baseline for costs."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from spikesim.converters.canonical import canonicalise
from spikesim.converters.hidden import hidden_effects
from spikesim.converters.rectifier import Rectifier
from spikesim.converters.trace import own_randomness
from spikesim.errors import ConversionError

TOLERANCE = 1e-3  # relative; float32 nets of a hundred layers stay below 1e-5
_ROWS = 32


def folded(model: nn.Module, example: Tensor) -> nn.Module:
    """The same ANN in eval mode with every batch-norm folded into weights; a copy, the model stays as it is.

    A deployed ANN runs without batch-norms, so that energy should be compared with this form. Operations that
    conversion refuses (GELU, softmax) stay as they are, unless they hide what the model computes.

    Args:
        model: A module that takes one tensor ``[N, ...]`` and returns one.
        example: Inputs ``[N, ...]`` with at least one sample; outputs are compared on all of them.

    Returns:
        A module that computes what the model computes in eval mode, and holds no batch-norm.

    Raises:
        ConversionError: The forward cannot be traced, a batch-norm has no recorded statistics, or the outputs
            differ (random values, hooks).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import folded
        >>> ann = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
        >>> [type(layer).__name__ for layer in folded(ann, torch.rand(2, 1, 8, 8)).children()]
        ['Conv2d', 'ReLU', 'Flatten', 'Linear']
    """
    hidden = hidden_effects(model)
    if hidden:
        raise ConversionError("; ".join(f"'{name}' ({kind}): {why}" for name, kind, why in hidden))
    graph = canonicalise(model, example, lift=False).graph
    for name, module in list(graph.named_children()):
        if isinstance(module, Rectifier):
            setattr(graph, name, nn.ReLU() if module.cap is None else nn.Hardtanh(0.0, module.cap))
        elif isinstance(module, _BatchNorm):
            raise ConversionError(
                f"batch-norm '{name}' has no recorded statistics to fold: use track_running_stats=True and train"
            )
    folding_error(model, graph, example)
    return graph


@torch.no_grad()
def folding_error(model: nn.Module, ann: fx.GraphModule, samples: Tensor) -> float:
    """Largest difference between a model in eval mode and its rewritten form, relative to the largest output.

    Args:
        model: Run on a copy; the random state stays as it is.
        ann: Rewritten form.
        samples: Inputs ``[N, ...]``, compared in batches of 32.

    Returns:
        The relative difference; NaN where the model's outputs are not finite.

    Raises:
        ConversionError: The difference is above 1e-3, or the shapes differ.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.folding import folding_error
        >>> from spikesim.converters.trace import trace
        >>> layer = nn.Linear(2, 1)
        >>> folding_error(layer, trace(layer), torch.rand(3, 2))
        0.0
    """
    runner = copy.deepcopy(model).eval()
    worst, largest = 0.0, 0.0
    for rows in torch.split(samples, _ROWS):
        with own_randomness(rows):
            torch.rand(1)  # another random state than tracing saw, so that random forwards show
            expected: Any = runner(rows.clone())
        if not bool(torch.isfinite(expected).all()):
            return float("nan")
        found: Tensor = ann(rows.clone())
        if found.shape != expected.shape:
            raise ConversionError(
                f"the folded network gives {tuple(found.shape)} where the model gives {tuple(expected.shape)}, so "
                "that a branch on the shape of the input is likely: write the forward without it"
            )
        difference = (found - expected).abs().max().item()
        worst = difference if difference != difference else max(worst, difference)
        largest = max(largest, expected.abs().max().item())
    error = worst / max(largest, 1e-12)
    if not error < TOLERANCE:
        raise ConversionError(
            f"the folded network differs from the model by {error:.2g} of its largest output, so that a forward with "
            "hidden effects (random values, in-place writes, hooks) is likely: write it without them"
        )
    return error
