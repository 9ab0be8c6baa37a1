"""One run of a neuron over folded rows, by the compiled kernels or by the reference path."""

from __future__ import annotations

import os
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from spikesim.dynamics.cuda_support import has_cuda_kernels
from spikesim.dynamics.execute import Memory, Settings
from spikesim.dynamics.layout import Form, memory_format
from spikesim.dynamics.operator import call_infer, call_train
from spikesim.dynamics.program import parse
from spikesim.dynamics.record import Step
from spikesim.dynamics.reference import run_reference

Outcome = tuple[Tensor, dict[str, Tensor]]  # emitted rows, in the form of the input, and final states [N, ...]


class Rows(NamedTuple):
    """Everything that a run starts from.

    Args:
        x: floating-point input of the given form.
        timesteps: T.
        states: initial states, each broadcastable to ``shape``.
        params: parameters, each broadcastable to ``shape``.
        mask: bool ``[T, N]``, or None.
        clock: int64 ``[2]``, seed and steps that lie behind, or None.
        form: how ``x`` lies in memory, see :data:`spikesim.dynamics.layout.Form`.
        memory: whether the backward keeps values of the forward or computes them again.
        shape: ``(N, ...)``, one time step.
    """

    x: Tensor
    timesteps: int
    states: dict[str, Tensor]
    params: dict[str, Tensor]
    mask: Tensor | None
    clock: Tensor | None
    form: Form
    memory: Memory
    shape: tuple[int, ...]


def has_kernel(x: Tensor) -> bool:
    """Whether compiled kernels serve this tensor; the reference path serves every other.

    Kernels know reverse-mode gradients only: forward mode and torch.func transforms take the reference path.
    """
    if os.environ.get("SPIKESIM_DISABLE_JIT") == "1":
        return False
    if not x.is_cpu and not (x.is_cuda and has_cuda_kernels()):
        return False
    if torch.compiler.is_compiling():
        return True
    transformed = torch._C._functorch.peek_interpreter_stack() is not None
    return not transformed and forward_ad._current_level < 0


def run_fused(program: str, rows: Rows) -> Outcome:
    """Run the compiled kernels of ``program``, recording a gradient where one is wanted."""

    def spread(value: Tensor) -> Tensor:
        layout = memory_format(rows.x) if rows.form != "steps" else torch.contiguous_format
        return value.resolve_neg().expand(rows.shape).contiguous(memory_format=layout)

    states = [s if s.dim() == 0 and not s.requires_grad else spread(s) for s in rows.states.values()]
    params = [p if p.dim() == 0 else p.reshape(()) if p.numel() == 1 else spread(p) for p in rows.params.values()]
    mask = rows.mask.contiguous() if rows.mask is not None else None
    settings, train = settings_of(program, rows)
    run = call_train if train else call_infer
    out = run(rows.x, states, params, mask, rows.clock, settings)
    return out[0], dict(zip(rows.states, out[1:]))


def settings_of(program: str, rows: Rows) -> tuple[Settings, bool]:
    """The settings of a run, and whether a gradient is wanted of it."""
    starts = (rows.x, *rows.states.values(), *rows.params.values())
    if not (torch.is_grad_enabled() and any(t.requires_grad for t in starts)):
        return Settings(program, rows.timesteps, rows.form), False
    wrt = [k for k, v in rows.params.items() if v.requires_grad]
    return Settings(program, rows.timesteps, rows.form, ",".join(wrt), rows.memory), True


def run_folded_reference(step: Step, program: str, rows: Rows) -> Outcome:
    """Run ``step`` on tensors, one time step after another."""
    compute = torch.float64 if rows.x.dtype == torch.float64 else torch.float32
    x = rows.x.to(compute)
    if rows.form == "constant":
        x = x.expand(rows.timesteps, *rows.shape)
    elif rows.form == "rows":
        x = x.reshape(rows.timesteps, *rows.shape)
    states = {k: s.expand(rows.shape) for k, s in rows.states.items()}
    out, final = run_reference(step, parse(program), x, states, rows.params, rows.mask, rows.clock)
    return (out if rows.form == "steps" else out.flatten(0, 1)).to(rows.x.dtype), final
