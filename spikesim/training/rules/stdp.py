"""Spike-timing-dependent plasticity of one layer with weights: pairs of spikes, by traces."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from spikesim.errors import ConfigError, ShapeError, TimestepsError


class Traces(NamedTuple):
    """What pairs of later spikes need to know of earlier ones.

    Args:
        pre: ``[N, ...]``, of what enters the layer.
        post: ``[N, ...]``, of the neurons behind it.
    """

    pre: Tensor
    post: Tensor


@torch.no_grad()
def stdp(
    layer: nn.Module,
    pre: Tensor,
    post: Tensor,
    *,
    tau_pre: float = 20.0,
    tau_post: float = 20.0,
    plus: float = 1.0,
    minus: float = 1.0,
    traces: Traces | None = None,
) -> tuple[Tensor, Traces]:
    """The change of a layer's weight by all pairs of a spike that enters it and one that follows.

    .. code-block:: text

        a(t) = (1 - 1/tau_pre) a(t-1) + pre(t)          b(t) = (1 - 1/tau_post) b(t-1) + post(t)
        dW   = sum_t plus post(t) a(t)^T - minus (1 - 1/tau_post) b(t-1) pre(t)^T

    A pair in the same step strengthens, as the layer acts within the step. For convolutions both products run over all
    places of the kernel. Source: Morrison, Diesmann and Gerstner, Biological Cybernetics 98 (2008), section 4.1,
    all-to-all pairs; the leak is its exponential in steps of one.

    Args:
        layer: ``nn.Linear`` or a convolution; its weight is read for its shape alone.
        pre: spikes ``[T, N, ...]`` that enter it.
        post: spikes ``[T, N, ...]`` of the neurons that it feeds.
        tau_pre: time constant of the pre-synaptic trace in time steps, 1 or more.
        tau_post: of the post-synaptic one.
        plus: weight of pairs in which the pre-synaptic spike is first.
        minus: weight of the others.
        traces: of the steps before, for recordings in pieces.

    Returns:
        The mean change over the samples, of the shape of the weight, and the traces after the last step. Add it:
        ``layer.weight.data += rate * change``, and clamp to the bounds that you want.

    Raises:
        ConfigError: a layer without such a weight, or a time constant below 1.
        ShapeError: spikes that do not fit the layer or each other.
        TimestepsError: T is 0.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> pre, post = torch.tensor([1.0, 0, 0]).view(3, 1, 1), torch.tensor([0, 1.0, 0]).view(3, 1, 1)
        >>> stdp(layer, pre, post, tau_pre=2.0)[0], stdp(layer, post, pre, tau_post=2.0)[0]
        (tensor([[0.5000]]), tensor([[-0.5000]]))
    """
    if not isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        raise ConfigError(f"stdp takes nn.Linear or a convolution, not a {type(layer).__name__}")
    for name, tau in (("tau_pre", tau_pre), ("tau_post", tau_post)):
        if not tau >= 1:
            raise ConfigError(f"stdp: {name} is {tau!r}, but it must be 1 time step or more")
    if pre.dim() < 3 or post.dim() < 3 or pre.shape[:2] != post.shape[:2]:
        raise ShapeError(
            f"stdp: pre is {tuple(pre.shape)} and post {tuple(post.shape)}, but both must be [T, N, ...] of the same T "
            "and N"
        )
    if not pre.shape[0]:
        raise TimestepsError("stdp received T = 0 time steps; give it at least one")
    a, b = traces or Traces(torch.zeros_like(pre[0]), torch.zeros_like(post[0]))
    change = torch.zeros_like(layer.weight, dtype=pre.dtype)
    for before, after in zip(pre.unbind(0), post.unbind(0)):
        a, b = (1 - 1 / tau_pre) * a + before, (1 - 1 / tau_post) * b
        change += plus * _products(layer, a, after) - minus * _products(layer, before, b)
        b = b + after
    return change / max(1, pre.shape[1]), Traces(a, b)


def _products(layer: nn.Module, pre: Tensor, post: Tensor) -> Tensor:
    """Post times pre over all samples and places: what the weight's gradient is made of."""
    weight = torch.zeros_like(layer.weight, dtype=pre.dtype, requires_grad=True)  # type: ignore[arg-type]
    parameters = {"weight": weight}
    if layer.bias is not None:
        parameters["bias"] = torch.zeros_like(layer.bias, dtype=pre.dtype)  # type: ignore[arg-type]
    with torch.enable_grad():
        y = torch.func.functional_call(layer, parameters, (pre,))
    if y.shape != post.shape:
        raise ShapeError(
            f"stdp: {type(layer).__name__} makes {tuple(y.shape)} of a step, but post has {tuple(post.shape)}"
        )
    return torch.autograd.grad(y, weight, post)[0]
