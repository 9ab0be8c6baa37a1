"""OTTT and SLTT: gradients step by step, in memory that does not grow with T."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spikesim.errors import ConfigError, ShapeError
from spikesim.nn import Network
from spikesim.nn.checks import check_mask
from spikesim.training.rules.traced import Traces


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
    statistics of one step at a time. A masked step of a recording changes neither its state nor its traces and has no
    loss: T is the number of real steps of each recording, and the loss the mean over recordings.

    Args:
        network: any; its state is carried from step to step.
        x: ``[T, N, ...]``, what the network takes.
        target: ``[N]`` or ``[N, classes]``.
        loss: takes scores ``[1, n, classes]`` and the target of n of the recordings, and gives the mean over them: any
            of :mod:`spikesim.training.losses`.
        rule: "ottt" or "sltt".
        decay: of OTTT's traces in all layers; None takes 1 - 1/tau of the neuron behind each.
        mask: bool ``[T, N]``, which steps are real; None for all.

    Raises:
        ConfigError: an unknown rule, a decay outside 0 to 1 or that no neuron tells.
        ShapeError: x has no step, the mask does not fit, or a layer with traces sees other rows than one per recording.

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
    if x.dim() < 2 or not x.shape[0]:
        raise ShapeError(f"x has shape {tuple(x.shape)}, but it must be [T, N, ...] with at least one step")
    check_mask(mask, x.shape[0], x.shape[1], x.device)
    real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask
    lengths = real.sum(0)
    learnt = [p for p in network.parameters() if p.requires_grad]
    gradients = [torch.zeros_like(p) for p in learnt]
    session, total, scores = network.stream(), torch.zeros((), device=x.device), []
    traces = Traces(decay) if rule == "ottt" else None
    with torch.enable_grad(), traces.of(network) if traces is not None else nullcontext():
        for t, row in enumerate(x.unbind(0)):
            if traces is not None and mask is not None:
                traces.real = mask[t]
            y = session(row.unsqueeze(0), None if mask is None else mask[t : t + 1])
            scores.append(y.detach())
            if (now := _weighed(loss, y, target, real[t], lengths)) is None:
                continue
            for held, new in zip(gradients, torch.autograd.grad(now, learnt, allow_unused=True)):
                if new is not None:
                    held += new
            total = total + now.detach()
    # A number whose gradients are those that were found: optimisers, hooks and processes need not know of the rule.
    carried = sum((p * g).sum() for p, g in zip(learnt, gradients))
    return OnlineLoss(total + carried - carried.detach() if learnt else total, torch.cat(scores))  # type: ignore[union-attr]


def _weighed(
    loss: Callable[[Tensor, Tensor], Tensor], y: Tensor, target: Tensor, real: Tensor, lengths: Tensor
) -> Tensor | None:
    """The share of one step in the whole loss; None where it is masked for all. Recordings of one length are a call."""
    parts = []
    for length in sorted(set(lengths[real].tolist())):
        chosen = real & (lengths == length)
        count = int(chosen.sum())
        mean = loss(y, target) if count == len(real) else loss(y[:, chosen], target[chosen])
        parts.append(mean * (count / (length * len(real))))
    return torch.stack(parts).sum() if parts else None
