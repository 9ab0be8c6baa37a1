"""Run a neuron's kernels on tensors: allocate what they write, and hand both to the machine at hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from spikesim.dynamics.cuda_support import takes_cuda_kernels
from spikesim.dynamics.derive import derive
from spikesim.dynamics.launch import Launch, settle_fork
from spikesim.dynamics.launch_cuda import launch_cuda
from spikesim.dynamics.layout import extent, maker_like, samples_of
from spikesim.dynamics.plan import Kernel, Mode, arrays_of
from spikesim.dynamics.pool import Room, empty
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


class _Ready(NamedTuple):
    """A call of known sizes: what it returns, what it adds gradients up in, and the kernel that does both."""

    outputs: tuple[Room, ...]
    sums: tuple[Room, ...]
    run: Callable[..., None]


def _ready(
    mode: Mode, x: Tensor, outputs: list[Tensor], uniform: tuple[bool, ...], masked: bool, call: Settings, on_cuda: bool
) -> _Ready:
    """Args: ``x`` is the outermost array, and ``outputs`` are what :func:`forward_shapes` or the other made on meta."""
    kernel = Kernel(
        call.program, mode, _name(compute_dtype(x)), uniform, call.learnable, masked, call.form == "constant",
        mode == "backward" and call.recompute, storage=_name(x.dtype),
    )  # fmt: skip
    form = call.form if mode != "backward" or call.recompute else "rows"
    samples = samples_of(x, call.timesteps, form)
    covered = extent(x, call.timesteps, form, samples, masked)
    run: Any = partial(launch_cuda, kernel, covered) if on_cuda else Launch(kernel, covered)
    sums = []
    if mode == "backward":
        per_neuron = maker_like(x, form)(samples, compute_dtype(x))
        for name in arrays_of(kernel).sums:
            shared = not on_cuda and name in kernel.shared_sums
            sums.append(torch.empty(run.blocks, dtype=torch.float64, device="meta") if shared else per_neuron)
    return _Ready(tuple(map(Room.like, outputs)), tuple(map(Room.like, sums)), run)


def _name(dtype: torch.dtype) -> str:
    return str(dtype)[6:]


_Lie = tuple[tuple[int, ...], tuple[int, ...]]  # sizes and strides


def _lie(tensor: Tensor) -> _Lie:
    return tensor.shape, tensor.stride()


@lru_cache(maxsize=4096)
def _forward_ready(
    mode: Mode, x: _Lie, dtype: torch.dtype, states: int, uniform: tuple[bool, ...],
    masked: bool, call: Settings, on_cuda: bool,
) -> _Ready:  # fmt: skip
    stand_in = torch.empty_strided(*x, dtype=dtype, device="meta")
    outputs = forward_shapes(mode, stand_in, [stand_in] * states, call)
    return _ready("infer" if call.recompute else mode, stand_in, outputs, uniform, masked, call, on_cuda)


@lru_cache(maxsize=4096)
def _backward_ready(
    grad_out: _Lie, x: _Lie | None, dtype: torch.dtype, states: int, params: tuple[_Lie, ...],
    masked: bool, call: Settings, on_cuda: bool,
) -> _Ready:  # fmt: skip
    grad = torch.empty_strided(*grad_out, dtype=dtype, device="meta")
    constants = [torch.empty_strided(*p, dtype=compute_dtype(grad), device="meta") for p in params]
    outputs = backward_shapes(grad, [grad] * states, constants, call)
    x_or_grad = grad if x is None else torch.empty_strided(*x, dtype=dtype, device="meta")
    uniform = tuple(p.numel() == 1 for p in constants)
    return _ready("backward", x_or_grad, outputs, uniform, masked, call, on_cuda)


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
    count, masked = len(states), mask is not None
    uniform = tuple([p.numel() == 1 for p in params])
    ready = _forward_ready(mode, _lie(x), x.dtype, count, uniform, masked, call, takes_cuda_kernels(x))
    outputs = [room.make(x.device) for room in ready.outputs]
    finals = outputs[1 : 1 + count]
    for final, state in zip(finals, states):
        final.copy_(state)
    ready.run([x, outputs[0], *outputs[1 + count :], *finals, *params], mask, clock)
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
    count, masked = len(grad_states), mask is not None
    x, states = (kept[:1], kept[1:]) if call.recompute else ([], [])
    saved = [] if call.recompute else kept
    ready = _backward_ready(
        _lie(grad_out), _lie(x[0]) if x else None, grad_out.dtype, count, tuple([_lie(p) for p in params]), masked,
        call, takes_cuda_kernels(grad_out),
    )  # fmt: skip
    outputs = [room.make(grad_out.device) for room in ready.outputs]
    grad_x, carried, learnt = outputs[0], outputs[1 : 1 + count], outputs[1 + count :]
    for out, incoming in zip(carried, grad_states):
        out.copy_(incoming)
    sums = [room.make(grad_out.device).zero_() for room in ready.sums]
    rows = [grad_x] if call.form != "constant" else []  # else it is one of the sums, in the dtype of the states
    ready.run([*x, grad_out, *saved, *rows, *carried, *states, *params, *sums], mask, clock)
    if call.form == "constant":
        grad_x.copy_(sums[0])
    for out, summed in zip(learnt, sums[len(sums) - len(learnt) :]):
        _sum_into(out, summed)
    return outputs


def _sum_into(out: Tensor, summed: Tensor) -> None:
    """From one value per neuron, or from one per block."""
    if out.numel() != 1:
        out.copy_(summed)
    elif out.device.type == "cpu":
        # NumPy adds in one fixed order; torch's sum depends on the number of threads.
        out.fill_(float(summed.reshape(-1).numpy().sum(dtype="float64")))
    else:
        out.copy_(summed.sum(dtype=torch.float64).reshape(out.shape))
