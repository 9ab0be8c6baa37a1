"""The ANN with its batch-norms folded away: the fair baseline for costs."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from spikesim.converters.canonical import canonicalise
from spikesim.converters.entrance import unwrapped
from spikesim.converters.hidden import hidden_effects
from spikesim.converters.inputs import Inputs, each, pieces, tensors_of
from spikesim.converters.rectifier import Rectifier
from spikesim.converters.signature import Signature
from spikesim.converters.sources import sources_of
from spikesim.converters.trace import own_randomness
from spikesim.errors import ConversionError

TOLERANCE = 1e-3  # relative; float32 nets of a hundred layers stay below 1e-5
_ROWS = 32


def folded(model: nn.Module, example: Inputs) -> nn.Module:
    """The same ANN in eval mode with every batch-norm folded into weights; a copy, the model stays as it is.

    A deployed ANN runs without batch-norms, so that energy should be compared with this form. Operations that
    conversion refuses (GELU, softmax) stay as they are, unless they hide what the model computes.

    Args:
        model: A module that takes tensors ``[N, ...]`` and returns tensors.
        example: Inputs ``[N, ...]`` with at least one sample, a tuple or a dict by name for several; outputs are
            compared on all of them.

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
    model = unwrapped(model)
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
    graph.sources = sources_of(graph)  # type: ignore[assignment]
    return graph


@torch.no_grad()
def folding_error(model: nn.Module, ann: fx.GraphModule, samples: Inputs) -> float:
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
    signature, sizes = Signature.of(runner, samples), dict[int, tuple[float, float]]()
    for rows in pieces(samples, _ROWS):
        with own_randomness(tensors_of(rows)[0]):
            torch.rand(1)  # another random state than tracing saw, so that random forwards show
            expected = tensors_of(signature.call(runner, each(Tensor.clone, rows)))
        if not all(bool(torch.isfinite(y).all()) for y in expected):
            return float("nan")
        found = tensors_of(ann(each(Tensor.clone, rows)))
        if [y.shape for y in found] != [y.shape for y in expected]:
            given, wanted = ([tuple(y.shape) for y in outputs] for outputs in (found, expected))
            raise ConversionError(
                f"the folded network gives {', '.join(map(str, given))} where the model gives "
                f"{', '.join(map(str, wanted))}, so that a branch on the shape of the input is likely: write the "
                "forward without it"
            )
        for place, (y, wanted_y) in enumerate(zip(found, expected)):
            worst, largest = sizes.get(place, (0.0, 0.0))
            difference = (y - wanted_y).abs().max().item()
            worst = difference if difference != difference else max(worst, difference)
            sizes[place] = worst, max(largest, wanted_y.abs().max().item())
    # Each output by its own size: a small one is no less right than a large one.
    errors = [worst / max(largest, 1e-12) for worst, largest in sizes.values()]
    error = max(errors, default=0.0)
    if not all(e < TOLERANCE for e in errors):
        raise ConversionError(
            f"the folded network differs from the model by {error:.2g} of its largest output, so that a forward with "
            "hidden effects (random values, in-place writes, hooks) is likely: write it without them"
        )
    return error
