"""Fold batch-norm into the layer before it, as any deployment does."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.utils import fusion
from torch.utils._pytree import tree_leaves

from spikesim.dynamics import TimeAware
from spikesim.errors import ConfigError
from spikesim.models.follow import Follower, Pair

Model = TypeVar("Model", bound=nn.Module)

_TOLERANCE = 1e-4  # relative to the largest value; float32 rounding stays well below


def fold_batchnorm(model: Model, example: Any) -> Model:
    """Give a copy in eval mode whose batch-norms are part of the weights before them.

    The copy runs once on the example, and what its layers really read is followed: how the modules are
    held (``nn.Sequential``, attributes) does not matter. A batch-norm is folded only if it ran once,
    on exactly what one convolution or linear layer gave (of a linear layer, ``[N, C]`` only), if nothing
    else read that result or the parameters of either, and if the folded layer gives what the norm gave,
    to 1e-4 of the largest value. Every other batch-norm stays. Comparing layer by layer is what makes this
    safe for spiking networks, where a rounding error may move a spike; a model without neurons is
    compared as a whole too.

    An energy estimate should count the copy: no accelerator runs batch-norm as a layer of its own.

    Args:
        model: left as it is.
        example: its input, as for a call: ``[N, ...]``, or ``[T, N, ...]`` for a network without encoder.
            A forward that takes another path for other values is not seen on that path.

    Raises:
        ConfigError: the model as a whole does not compute what it did, so that its forward has effects
            that cannot be followed.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.models import fold_batchnorm
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).eval()
        >>> x = torch.rand(1, 1, 5, 5)
        >>> folded = fold_batchnorm(model, x)
        >>> type(folded[1]).__name__, torch.allclose(folded(x), model(x), atol=1e-6)
        ('Identity', True)
    """
    folded = copy.deepcopy(model).eval()
    follower = Follower(folded, _agrees)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        random_state = torch.get_rng_state()
        expected = follower.run(folded, example)
        pairs = follower.pairs()
        for pair in pairs:
            _fold(folded, pair)
        if pairs and not any(isinstance(m, TimeAware) for m in folded.modules()):
            torch.set_rng_state(random_state)
            if not all(map(close, tree_leaves(folded(example)), tree_leaves(expected))):
                raise ConfigError(
                    f"{type(model).__name__} does not give the same with its batch-norms folded; its forward may have "
                    "random values or hidden effects: write it without them, or use the model unfolded"
                )
    return folded


def close(given: Any, expected: Any) -> bool:
    """Whether two results differ by at most 1e-4 of the largest value; what is no tensor always passes.

    Example:
        >>> import torch
        >>> from spikesim.models.fold import close
        >>> close(torch.tensor([1.00001, 0.0]), torch.tensor([1.0, 0.0])), close(torch.ones(1), torch.zeros(1))
        (True, False)
    """
    if not isinstance(expected, torch.Tensor) or not expected.numel():
        return True
    largest = expected.abs().max()
    return bool(((given - expected).abs().max() <= _TOLERANCE * largest).item())


def _fused(layer: nn.Module, norm: Any) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return fusion.fuse_linear_bn_eval(layer, norm)
    return fusion.fuse_conv_bn_eval(layer, norm)  # type: ignore[type-var]  # a convolution, by the follower


def _agrees(pair: Pair, x: torch.Tensor, expected: torch.Tensor) -> bool:
    return close(_fused(pair.layer, pair.norm)(x), expected)


def _fold(model: nn.Module, pair: Pair) -> None:
    fused = _fused(pair.layer, pair.norm)
    pair.layer.weight, pair.layer.bias = fused.weight, fused.bias
    for parent in model.modules():
        for name, child in parent._modules.items():
            if child is pair.norm:
                parent._modules[name] = nn.Identity()
