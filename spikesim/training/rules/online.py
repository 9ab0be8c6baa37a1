"""OTTT and SLTT: gradients step by step, in memory that does not grow with T."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spikesim.errors import ConfigError, ShapeError
from spikesim.nn import Network
from spikesim.training.rules.traced import traced_inputs


class OnlineLoss(NamedTuple):
    """What :func:`online_loss` gives.

    Args:
        loss: mean over steps; its ``backward()`` adds the gradients of the rule.
        scores: ``[T, N, classes]``, without a gradient.
    """

    loss: Tensor
    scores: Tensor


def online_loss(
    network: Network,
    x: Tensor,
    target: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    rule: Literal["ottt", "sltt"] = "ottt",
    decay: float | None = None,
    mask: Tensor | None = None,
) -> OnlineLoss:
    r"""The loss of every step, whose gradients flow through layers but not back through time.

    With the loss ``L = 1/T sum_t l(y(t))`` and ``d(t) = dl(t)/dI(t)``, the gradient with respect to the current of a
    layer along step t alone (through the surrogate of its own neuron and all layers behind it):

    .. code-block:: text

        SLTT    dL/dW = 1/T sum_t d(t) s(t)^T
        OTTT    dL/dW = 1/T sum_t d(t) a(t)^T,   a(t) = decay a(t-1) + s(t)

    where s is what enters the layer, and ``decay`` the leak of the neuron that it feeds (0 where none follows, which is
    exact there). Biases have the same gradient by both. Sources: SLTT: Meng et al., ICCV 2023 (arXiv:2302.14311),
    section 4; OTTT: Xiao et al., NeurIPS 2022 (arXiv:2210.04195), section 4, with gradients accumulated over the steps
    (OTTT-A).

    A step is forgotten once its gradient is added, so memory does not depend on T. A batch-norm in training takes the
    statistics of one step at a time.

    Args:
        network: any; its state is carried from step to step.
        x: ``[T, N, ...]``, what the network takes.
        target: ``[N]`` or ``[N, classes]``.
        loss: takes scores ``[1, N, classes]`` and the target: any of :mod:`spikesim.training.losses`.
        rule: "ottt" or "sltt".
        decay: of OTTT's traces in all layers; None takes 1 - 1/tau of the neuron behind each.
        mask: bool ``[T, N]``; only whole recordings can be learnt online.

    Raises:
        ConfigError: an unknown rule, a decay outside 0 to 1 or that no neuron tells, or padded recordings.
        ShapeError: x has no step.

    Example:
        >>> from torch import nn
        >>> from spikesim.neurons import LIF
        >>> from spikesim.training import CrossEntropy
        >>> net = Network(nn.Sequential(nn.Linear(4, 8), LIF(), nn.Linear(8, 3)))
        >>> loss, scores = online_loss(net, torch.rand(6, 2, 4), torch.tensor([0, 2]), CrossEntropy())
        >>> loss.backward()
        >>> scores.shape, net.module[0].weight.grad.shape
        (torch.Size([6, 2, 3]), torch.Size([8, 4]))
    """
    if rule not in ("ottt", "sltt"):
        raise ConfigError(f"rule is {rule!r}, but it must be 'ottt' or 'sltt'")
    if decay is not None and (rule == "sltt" or not 0 <= decay <= 1):
        raise ConfigError(f"decay is {decay!r}, but it is for 'ottt' alone and must be a number from 0 to 1")
    if mask is not None and not bool(mask.all()):
        raise ConfigError(f"{rule} learns whole recordings, but the mask leaves out steps; frame them to the same T")
    if x.dim() < 2 or not x.shape[0]:
        raise ShapeError(f"x has shape {tuple(x.shape)}, but it must be [T, N, ...] with at least one step")
    learnt = [p for p in network.parameters() if p.requires_grad]
    gradients = [torch.zeros_like(p) for p in learnt]
    session, total, scores = network.stream(), torch.zeros((), device=x.device), []
    with torch.enable_grad(), traced_inputs(network, decay) if rule == "ottt" else nullcontext():
        for row in x.unbind(0):
            y = session(row.unsqueeze(0))
            now = loss(y, target) / x.shape[0]
            for held, new in zip(gradients, torch.autograd.grad(now, learnt, allow_unused=True)):
                if new is not None:
                    held += new
            total = total + now.detach()
            scores.append(y.detach())
    # A number whose gradients are those that were found: optimisers, hooks and processes need not know of the rule.
    carried = sum((p * g).sum() for p, g in zip(learnt, gradients))
    return OnlineLoss(total + carried - carried.detach() if learnt else total, torch.cat(scores))  # type: ignore[union-attr]
