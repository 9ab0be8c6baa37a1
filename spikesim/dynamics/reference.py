"""The reference path: the same ``step``, on tensors, one time step after another.

Differentiated by autograd, on any device and in any floating dtype that torch has. It is what the
kernels are checked against, and what runs where there is no kernel.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from spikesim.dynamics.counter import uniform_rows
from spikesim.dynamics.program import Program
from spikesim.dynamics.record import Step


def run_reference(
    step: Step,
    program: Program,
    x: torch.Tensor,
    states: Mapping[str, torch.Tensor],
    params: Mapping[str, torch.Tensor],
    mask: torch.Tensor | None = None,
    clock: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Run ``step`` over time.

    Args:
        step: ``step(x, **states, **params, **draws) -> (emitted, {state: new value})``.
        program: its record, which knows sub-steps and random draws.
        x: input ``[T, N, ...]``.
        states: initial states, each ``[N, ...]``.
        params: parameters, each broadcastable to ``[N, ...]``.
        mask: bool ``[T, N]``; where False the state is kept and zero emitted.
        clock: int64 ``[2]``, seed and steps that lie behind; needed if the step draws.

    Returns:
        The emitted ``[T, N, ...]`` and the states after the last step.
    """
    current = dict(states)
    emitted = []
    # unbind, never x[t]: indexing inside a loop makes the backward quadratic in T.
    for t, row in enumerate(x.unbind(0)):
        new, parts = dict(current), []
        for k in range(program.substeps):
            drawn = _draws(program, t * program.substeps + k, row, clock)
            part, changed = step(row, **new, **params, **drawn)
            parts.append(_tensor(part, row))
            new = {k: _tensor(v, row) for k, v in changed.items()}
        out = torch.stack(parts).sum(0) if len(parts) > 1 and program.merge == "sum" else parts[-1]
        if mask is not None:
            real = mask[t].reshape(-1, *[1] * (row.dim() - 1))
            out = torch.where(real, out, torch.zeros_like(out))
            new = {k: torch.where(real, v, current[k]) for k, v in new.items()}
        emitted.append(out)
        current = new
    return torch.stack(emitted), current


def _tensor(value: torch.Tensor | float, like: torch.Tensor) -> torch.Tensor:
    """A step may emit or carry a plain number, or what follows from a parameter alone."""
    return value.expand(like.shape) if isinstance(value, torch.Tensor) else torch.full_like(like, value)


def _draws(program: Program, step: int, row: torch.Tensor, clock: torch.Tensor | None) -> dict[str, torch.Tensor]:
    if clock is None:
        return {}
    shape, substeps = tuple(row.shape), program.substeps
    return {d: uniform_rows(clock, step, substeps, k, shape, row) for k, d in enumerate(program.draws)}
