"""Run a neuron's kernels on tensors: allocate what they write, and hand both to the machine at hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spikesim.dynamics.cuda_support import takes_cuda_kernels
from spikesim.dynamics.derive import derive
from spikesim.dynamics.launch import launch, settle_fork
from spikesim.dynamics.launch_cuda import launch_cuda
from spikesim.dynamics.layout import extent, maker_like, samples_of
from spikesim.dynamics.plan import Kernel, Mode
from spikesim.dynamics.pool import empty
from spikesim.dynamics.program import parse

Memory = Literal["auto", "keep", "recompute"]


class Settings(NamedTuple):
    """What a call is, beside its tensors; plain values, so that a torch operator can carry them.

    Args:
        program: canonical text of the recorded step.
        timesteps: T.
        form: how the input lies in memory, see :data:`spikesim.dynamics.layout.Form`.
        wrt: names of the parameters to be differentiated, separated by commas.
        memory: whether training keeps values of the forward ("keep"), runs the steps forward again ("recompute"),
            or decides on its own ("auto").
    """

    program: str
    timesteps: int
    form: str = "rows"
    wrt: str = ""
    memory: str = "auto"

    @property
    def recompute(self) -> bool:
        """Whether the backward runs the steps forward again instead of reading kept values."""
        return _recomputes(self.program, self.wrt, self.memory)

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters to be differentiated."""
        return _split(self.wrt)


@lru_cache(maxsize=4096)
def _recomputes(program: str, wrt: str, memory: str) -> bool:
    if memory != "auto":
        return memory == "recompute"
    count, substeps = _kept(program, wrt)
    # From three kept values on, keeping costs more memory traffic than it saves; sub-steps multiply what is kept.
    return substeps > 1 or count > 2


@lru_cache(maxsize=4096)
def _kept(program: str, wrt: str) -> tuple[int, int]:
    """Number of values that the backward needs kept, and how often per time step."""
    parsed = parse(program)
    return len(derive(parsed, _split(wrt)).saved), parsed.substeps


def _split(wrt: str) -> tuple[str, ...]:
    return tuple([w for w in wrt.split(",") if w])


def compute_dtype(x: Tensor) -> torch.dtype:
    """Dtype of states, parameters and arithmetic for an input: at least float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _launcher(x: Tensor) -> Callable[..., None]:
    return launch_cuda if takes_cuda_kernels(x) else launch


def _kernel(mode: Mode, x: Tensor, params: list[Tensor], masked: bool, call: Settings) -> Kernel:
    return _kernel_of(mode, x.dtype, tuple([p.numel() == 1 for p in params]), masked, call)


@lru_cache(maxsize=4096)
def _kernel_of(mode: Mode, dtype: torch.dtype, uniform: tuple[bool, ...], masked: bool, call: Settings) -> Kernel:
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    return Kernel(
        call.program, mode, _name(compute), uniform, call.learnable, masked, call.form == "constant",
        mode == "backward" and call.recompute, storage=_name(dtype),
    )  # fmt: skip


def _name(dtype: torch.dtype) -> str:
    return str(dtype)[6:]


def forward_shapes(mode: Mode, x: Tensor, states: list[Tensor], call: Settings) -> list[Tensor]:
    """Emitted rows (in the form of ``x``), final states, and what the backward keeps: allocated, not filled."""
    samples = samples_of(x, call.timesteps, call.form)
    rows, compute = samples * call.timesteps, compute_dtype(x)
    make = maker_like(x, call.form)
    if call.form == "steps":
        emitted = empty(x, tuple(x.shape), x.dtype, torch.contiguous_format)
    else:
        emitted = make(rows, x.dtype)
    outputs = [emitted, *[make(samples, compute) for _ in states]]
    if mode == "train" and not call.recompute:
        count, substeps = _kept(call.program, call.wrt)
        outputs += [make(rows * substeps, compute) for _ in range(count)]
    return outputs


def forward(
    mode: Mode,
    x: Tensor,
    states: list[Tensor],
    params: list[Tensor],
    mask: Tensor | None,
    clock: Tensor | None,
    call: Settings,
) -> list[Tensor]:
    """Run forward; see :func:`forward_shapes` for what comes back."""
    settle_fork()
    outputs = forward_shapes(mode, x, states, call)
    count = len(states)
    finals = outputs[1 : 1 + count]
    for final, state in zip(finals, states):
        final.copy_(state)
    kernel = _kernel("infer" if call.recompute else mode, x, params, mask is not None, call)
    samples = samples_of(x, call.timesteps, call.form)
    covered = extent(x, call.timesteps, call.form, samples, mask is not None)
    _launcher(x)(kernel, [x, outputs[0], *outputs[1 + count :], *finals, *params], covered, mask, clock)
    return outputs


def backward_shapes(grad_out: Tensor, grad_states: list[Tensor], params: list[Tensor], call: Settings) -> list[Tensor]:
    """Gradients to input rows, initial states and learnable parameters: allocated, not filled."""
    samples = grad_out.shape[0] // call.timesteps
    rows = samples if call.form == "constant" else grad_out.shape[0]
    make, compute = maker_like(grad_out, "rows"), compute_dtype(grad_out)
    states = [make(samples, compute) for _ in grad_states]
    names = parse(call.program).params
    learnt = [torch.empty_like(params[names.index(w)]) for w in call.learnable]
    return [make(rows, grad_out.dtype), *states, *learnt]


def backward(
    grad_out: Tensor,
    grad_states: list[Tensor],
    kept: list[Tensor],
    params: list[Tensor],
    mask: Tensor | None,
    clock: Tensor | None,
    call: Settings,
) -> list[Tensor]:
    """Run backward; see :func:`backward_shapes` for what comes back.

    Args:
        grad_out: gradient of the emitted rows ``[T*N, ...]``, laid out as they are.
        grad_states: gradients of the final states; a scalar stands for all neurons.
        kept: values that the forward kept; input and initial states if the call recomputes.
        params: parameters.
        mask: as in the forward.
        clock: as in the forward.
        call: as in the forward.
    """
    settle_fork()
    outputs = backward_shapes(grad_out, grad_states, params, call)
    count, compute = len(grad_states), compute_dtype(grad_out)
    grad_x, carried, learnt = outputs[0], outputs[1 : 1 + count], outputs[1 + count :]
    for out, incoming in zip(carried, grad_states):
        out.copy_(incoming)
    samples = grad_out.shape[0] // call.timesteps
    make = maker_like(grad_out, "rows")
    sums = [make(samples, compute).zero_() for _ in learnt]
    if call.form == "constant":
        # Summed over steps, so in the dtype of the states.
        grad_x = make(samples, compute).zero_()
        rows, summed = [], [grad_x, *sums]
    else:
        rows, summed = [grad_x], sums
    x, states = (kept[:1], kept[1:]) if call.recompute else ([], [])
    saved = [] if call.recompute else kept
    arrays = [*x, grad_out, *saved, *rows, *carried, *states, *params, *summed]
    outermost, form = (x[0], call.form) if call.recompute else (grad_out, "rows")
    covered = extent(outermost, call.timesteps, form, samples, mask is not None)
    _launcher(grad_out)(_kernel("backward", grad_out, params, mask is not None, call), arrays, covered, mask, clock)
    if grad_x is not outputs[0]:
        outputs[0].copy_(grad_x)
    for out, per_neuron in zip(learnt, sums):
        _sum_into(out, per_neuron)
    return outputs


def _sum_into(out: Tensor, per_neuron: Tensor) -> None:
    if out.numel() != 1:
        out.copy_(per_neuron)
    elif out.device.type == "cpu":
        # NumPy adds in one fixed order; torch's sum depends on the number of threads.
        out.fill_(float(per_neuron.reshape(-1).numpy().sum(dtype="float64")))
    else:
        out.copy_(per_neuron.sum(dtype=torch.float64).reshape(out.shape))
