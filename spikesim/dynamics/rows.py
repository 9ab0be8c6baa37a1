"""One run of a neuron over folded rows, by the compiled kernels or by the reference path."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import forward_ad

from spikesim.dynamics import operator as kernels
from spikesim.dynamics.record import Step
from spikesim.dynamics.reference import run_reference

Outcome = tuple[Tensor, dict[str, Tensor]]  # emitted rows [T*N, ...] and final states [N, ...]


@dataclass(frozen=True)
class Rows:
    """Everything that a run starts from.

    Args:
        x: dense rows ``[T*N, ...]`` in float32 or float64; ``[N, ...]`` if ``constant``.
        timesteps: T.
        states: initial states, each broadcastable to ``shape``.
        params: parameters, each broadcastable to ``shape``.
        mask: bool ``[T, N]``, or None.
        constant: the same rows are the input of every step.
        shape: ``(N, ...)``, one time step.
    """

    x: Tensor
    timesteps: int
    states: dict[str, Tensor]
    params: dict[str, Tensor]
    mask: Tensor | None
    constant: bool
    shape: tuple[int, ...]


def has_kernel(x: Tensor) -> bool:
    """Whether compiled kernels serve this tensor; the reference path serves every other.

    Kernels know reverse-mode gradients only: forward mode and torch.func transforms take the reference path.
    """
    if x.device.type != "cpu" or os.environ.get("SPIKESIM_DISABLE_JIT") == "1":
        return False
    if torch.compiler.is_compiling():
        return True
    transformed = torch._C._functorch.peek_interpreter_stack() is not None
    return not transformed and forward_ad._current_level < 0


def run_fused(program: str, rows: Rows) -> Outcome:
    """Run the compiled kernels of ``program``, recording a gradient where one is wanted."""
    layout = kernels.memory_format(rows.x)

    def spread(value: Tensor) -> Tensor:
        return value.expand(rows.shape).contiguous(memory_format=layout)

    states = [s if s.dim() == 0 and not s.requires_grad else spread(s) for s in rows.states.values()]
    params = [p.reshape(()) if p.numel() == 1 else spread(p) for p in rows.params.values()]
    mask = rows.mask.contiguous() if rows.mask is not None else None
    if torch.is_grad_enabled() and any(t.requires_grad for t in (rows.x, *states, *params)):
        wrt = ",".join(k for k, v in zip(rows.params, params) if v.requires_grad)
        out = kernels.train(rows.x, states, params, mask, program, rows.timesteps, rows.constant, wrt)
    else:
        out = kernels.infer(rows.x, states, params, mask, program, rows.timesteps, rows.constant)
    return out[0], dict(zip(rows.states, out[1:]))


def run_folded_reference(step: Step, rows: Rows) -> Outcome:
    """Run ``step`` on tensors, one time step after another."""
    x = rows.x.expand(rows.timesteps, *rows.shape) if rows.constant else rows.x.reshape(rows.timesteps, *rows.shape)
    states = {k: s.expand(rows.shape) for k, s in rows.states.items()}
    out, final = run_reference(step, x, states, rows.params, rows.mask)
    return out.flatten(0, 1), final
