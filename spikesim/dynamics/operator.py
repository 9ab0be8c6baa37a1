"""The kernels as torch operators: opaque to torch.compile and torch.export, differentiable once.

``spikesim::infer`` keeps nothing; ``spikesim::train`` also returns the values that its backward needs;
``spikesim::backward`` is that backward. Rows are ``[T*N, ...]`` (``[N, ...]`` for an input that is
constant in time), states and per-neuron parameters ``[N, ...]``, all in one memory format.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikesim.dynamics.derive import derive
from spikesim.dynamics.emit import Kernel, Mode
from spikesim.dynamics.launch import launch
from spikesim.dynamics.program import parse
from spikesim.errors import GradientError


def memory_format(x: Tensor) -> torch.memory_format:
    """The format whose storage order is sample, then everything else, without gaps."""
    if x.is_contiguous():
        return torch.contiguous_format
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    if x.dim() == 5 and x.is_contiguous(memory_format=torch.channels_last_3d):
        return torch.channels_last_3d
    return torch.contiguous_format


def _names(wrt: str) -> tuple[str, ...]:
    return tuple(w for w in wrt.split(",") if w)


def _rows(x: Tensor, rows: Any) -> Tensor:
    return torch.empty((rows, *x.shape[1:]), dtype=x.dtype, device=x.device, memory_format=memory_format(x))


def _kernel(
    mode: Mode, program: str, x: Tensor, params: list[Tensor], wrt: str, masked: bool, constant: bool
) -> Kernel:
    uniform = tuple(p.numel() == 1 for p in params)
    return Kernel(program, mode, str(x.dtype).removeprefix("torch."), uniform, _names(wrt), masked, constant)


def _forward(
    mode: Mode,
    x: Tensor,
    states: list[Tensor],
    params: list[Tensor],
    mask: Tensor | None,
    program: str,
    timesteps: int,
    constant: bool,
    wrt: str,
) -> list[Tensor]:
    outputs = _shapes(mode, x, states, program, timesteps, constant, wrt)
    for final, state in zip(outputs[1:], states):
        final.copy_(state)
    kernel = _kernel(mode, program, x, params, wrt, mask is not None, constant)
    count = len(states)
    carried, written = outputs[1 : 1 + count], [outputs[0], *outputs[1 + count :]]
    neurons = outputs[0].numel() // max(timesteps, 1)
    launch(kernel, [x, *written, *carried, *params], timesteps, neurons, mask)
    return outputs


def _shapes(
    mode: Mode, x: Tensor, states: list[Tensor], program: str, timesteps: int, constant: bool, wrt: str = ""
) -> list[Tensor]:
    samples = x.shape[0] if constant else x.shape[0] // timesteps
    saved = derive(parse(program), _names(wrt)).saved if mode == "train" else ()
    rows = samples * timesteps
    return [_rows(x, rows), *(_rows(x, samples) for _ in states), *(_rows(x, rows) for _ in saved)]


@torch.library.custom_op("spikesim::infer", mutates_args=())
def infer(
    x: Tensor,
    states: list[Tensor],
    params: list[Tensor],
    mask: Tensor | None,
    program: str,
    timesteps: int,
    constant: bool,
) -> list[Tensor]:
    """Emitted rows and final states."""
    return _forward("infer", x, states, params, mask, program, timesteps, constant, "")


infer.register_fake(lambda x, states, params, mask, *call: _shapes("infer", x, states, *call))


@torch.library.custom_op("spikesim::train", mutates_args=())
def train(
    x: Tensor,
    states: list[Tensor],
    params: list[Tensor],
    mask: Tensor | None,
    program: str,
    timesteps: int,
    constant: bool,
    wrt: str,
) -> list[Tensor]:
    """Emitted rows, final states and what the backward keeps; ``wrt`` names the learnable parameters."""
    return _forward("train", x, states, params, mask, program, timesteps, constant, wrt)


train.register_fake(lambda x, states, params, mask, *call: _shapes("train", x, states, *call))


@torch.library.custom_op("spikesim::backward", mutates_args=())
def backward(
    grad_out: Tensor,
    grad_states: list[Tensor],
    saved: list[Tensor],
    params: list[Tensor],
    mask: Tensor | None,
    program: str,
    timesteps: int,
    constant: bool,
    wrt: str,
) -> list[Tensor]:
    """Gradients to the input, the initial states and the learnable parameters."""
    outputs = _gradient_shapes(grad_out, grad_states, params, program, timesteps, constant, wrt)
    count = len(grad_states)
    for out, incoming in zip(outputs[1:], grad_states):
        out.copy_(incoming)
    samples = grad_out.shape[0] // timesteps
    sums = [torch.zeros_like(_rows(grad_out, samples)) for _ in outputs[1 + count :]]
    grad_x, carried = outputs[0], outputs[1 : 1 + count]
    written = [] if constant else [grad_x]
    summed = [grad_x.zero_(), *sums] if constant else sums
    kernel = _kernel("backward", program, grad_out, params, wrt, mask is not None, constant)
    arrays = [grad_out, *saved, *written, *carried, *params, *summed]
    launch(kernel, arrays, timesteps, grad_out.numel() // max(timesteps, 1), mask)
    for out, per_neuron in zip(outputs[1 + count :], sums):
        if out.numel() == 1:
            # NumPy adds in one fixed order; torch's sum depends on the number of threads.
            out.fill_(float(per_neuron.reshape(-1).numpy().sum(dtype="float64")))
        else:
            out.copy_(per_neuron)
    return outputs


backward.register_fake(
    lambda grad_out, grad_states, saved, params, mask, *call: _gradient_shapes(grad_out, grad_states, params, *call)
)


def _gradient_shapes(
    grad_out: Tensor,
    grad_states: list[Tensor],
    params: list[Tensor],
    program: str,
    timesteps: int,
    constant: bool,
    wrt: str,
) -> list[Tensor]:
    samples = grad_out.shape[0] // timesteps
    names = parse(program).params
    return [
        _rows(grad_out, samples if constant else grad_out.shape[0]),
        *(_rows(grad_out, samples) for _ in grad_states),
        *(torch.empty_like(params[names.index(w)]) for w in _names(wrt)),
    ]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    x, states, params, mask, *settings = inputs
    ctx.set_materialize_grads(False)  # a zero gradient for every kept value would double the traffic
    ctx.save_for_backward(*output[1 + len(states) :], *params, *([] if mask is None else [mask]))
    ctx.masked, ctx.settings = mask is not None, tuple(settings)
    ctx.rows, ctx.layout = output[0].shape, memory_format(x)


def _backward(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    program, _, _, wrt = ctx.settings
    states, params = parse(program).states, parse(program).params
    tensors = list(ctx.saved_tensors)
    mask = tensors.pop() if ctx.masked else None
    first = len(tensors) - len(params)
    saved, parameters = tensors[:first], tensors[first:]
    given = next((g for g in grads if g is not None), None)
    if given is None:
        return None, [None] * len(states), [None] * len(params), *[None] * (1 + len(ctx.settings))
    grad_out = given.new_zeros(ctx.rows) if grads[0] is None else grads[0]
    zero = given.new_zeros(())
    finals = [zero if g is None else g.contiguous(memory_format=ctx.layout) for g in grads[1 : 1 + len(states)]]
    grad_out = grad_out.contiguous(memory_format=ctx.layout)
    out = backward(grad_out, finals, saved, parameters, mask, *ctx.settings)
    by_name = dict(zip(_names(wrt), out[1 + len(states) :]))
    return out[0], out[1 : 1 + len(states)], [by_name.get(n) for n in params], *[None] * (1 + len(ctx.settings))


torch.library.register_autograd("spikesim::train", _backward, setup_context=_setup)


def _refuse(ctx: Any, *grads: Any) -> Any:
    raise GradientError(
        "a spiking neuron was differentiated twice, but surrogate gradients are defined once; use create_graph=False, "
        "or SPIKESIM_DISABLE_JIT=1 to let autograd differentiate the surrogate itself"
    )


torch.library.register_autograd("spikesim::backward", _refuse)
