"""The reference path: the same ``step``, on tensors, one time step after another.

Differentiated by autograd, on any device and in any floating dtype that torch has. It is what the
kernels are checked against, and what runs where there is no kernel.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from spikesim.dynamics.record import Step


def run_reference(
    step: Step,
    x: torch.Tensor,
    states: Mapping[str, torch.Tensor],
    params: Mapping[str, torch.Tensor],
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Run ``step`` over time.

    Args:
        step: ``step(x, **states, **params) -> (emitted, {state: new value})``.
        x: input ``[T, N, ...]``.
        states: initial states, each ``[N, ...]``.
        params: parameters, each broadcastable to ``[N, ...]``.
        mask: bool ``[T, N]``; where False the state is kept and zero emitted.

    Returns:
        The emitted ``[T, N, ...]`` and the states after the last step.
    """
    current = dict(states)
    emitted = []
    # unbind, never x[t]: indexing inside a loop makes the backward quadratic in T.
    for t, row in enumerate(x.unbind(0)):
        out, new = step(row, **current, **params)
        if mask is not None:
            real = mask[t].reshape(-1, *[1] * (row.dim() - 1))
            out = torch.where(real, out, torch.zeros_like(out))
            new = {k: torch.where(real, v, current[k]) for k, v in new.items()}
        emitted.append(out)
        current = dict(new)
    return torch.stack(emitted), current
