"""The kernels as torch operators: opaque to torch.compile and torch.export, differentiable once.

``spikesim::infer`` keeps nothing; ``spikesim::train`` also returns the values that its backward needs;
``spikesim::backward`` is that backward. Rows are ``[T*N, ...]`` (see :mod:`spikesim.dynamics.layout` for the
other forms), states and per-neuron parameters ``[N, ...]``, all in one memory format.

A plain eager call need not go through torch's dispatcher, whose price is larger than a small kernel: it takes
:class:`_Eager`, an autograd function over the same two functions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikesim.dynamics import execute
from spikesim.dynamics.execute import Settings
from spikesim.dynamics.layout import dense, memory_format, readable
from spikesim.dynamics.program import parse
from spikesim.errors import GradientError


def _arranged(
    x: Tensor, states: list[Tensor], params: list[Tensor], mask: Tensor | None, form: str, counted: bool
) -> tuple[Tensor, list[Tensor], list[Tensor], Tensor | None]:
    """What an operator was given, as its kernel reads it.

    An exported program has kept the form of the input that it was traced with, and may be called with one that
    lies in memory in another way. Random numbers are ``counted`` in the order of the sample.
    """
    x = readable(x.contiguous() if counted else x, form)
    layout = torch.contiguous_format if form == "steps" else memory_format(x)
    return x, [dense(s, layout) for s in states], [dense(p, layout) for p in params], _whole(mask)


def _kept_in(kept: list[Tensor], layout: torch.memory_format, call: Settings) -> list[Tensor]:
    """What a forward kept, in the layout of its emissions: hooks that saved it elsewhere need not have kept that."""
    first = [readable(kept[0], "steps")] if call.recompute and call.form == "steps" else []
    return [*first, *(dense(t, layout) for t in kept[len(first) :])]


def _whole(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else mask.contiguous()


@torch.library.custom_op("spikesim::infer", mutates_args=())
def infer(
    x: Tensor,
    states: list[Tensor],
    params: list[Tensor],
    mask: Tensor | None,
    clock: Tensor | None,
    program: str,
    timesteps: int,
    form: str,
) -> list[Tensor]:
    """Emitted rows and final states."""
    arranged = _arranged(x, states, params, mask, form, clock is not None)
    return execute.forward("infer", *arranged, clock, Settings(program, timesteps, form))


@infer.register_fake
def _(x: Any, states: Any, params: Any, mask: Any, clock: Any, *call: Any) -> list[Tensor]:
    return execute.forward_shapes("infer", x, states, Settings(*call))


@torch.library.custom_op("spikesim::train", mutates_args=())
def train(
    x: Tensor,
    states: list[Tensor],
    params: list[Tensor],
    mask: Tensor | None,
    clock: Tensor | None,
    program: str,
    timesteps: int,
    form: str,
    wrt: str,
    memory: str,
) -> list[Tensor]:
    """Emitted rows, final states and what the backward keeps; ``wrt`` names the learnable parameters."""
    arranged = _arranged(x, states, params, mask, form, clock is not None)
    return execute.forward("train", *arranged, clock, Settings(program, timesteps, form, wrt, memory))


@train.register_fake
def _(x: Any, states: Any, params: Any, mask: Any, clock: Any, *call: Any) -> list[Tensor]:
    return execute.forward_shapes("train", x, states, Settings(*call))


@torch.library.custom_op("spikesim::backward", mutates_args=())
def backward(
    grad_out: Tensor,
    grad_states: list[Tensor],
    kept: list[Tensor],
    params: list[Tensor],
    mask: Tensor | None,
    clock: Tensor | None,
    program: str,
    timesteps: int,
    form: str,
    wrt: str,
    memory: str,
) -> list[Tensor]:
    """Gradients to the input, the initial states and the learnable parameters."""
    call = Settings(program, timesteps, form, wrt, memory)
    layout = memory_format(grad_out)
    grad_out = dense(grad_out, layout)
    kept = _kept_in(kept, layout, call)
    grad_states, params = ([dense(t, layout) for t in tensors] for tensors in (grad_states, params))
    return execute.backward(grad_out, grad_states, kept, params, _whole(mask), clock, call)


@backward.register_fake
def _(grad_out: Any, grad_states: Any, kept: Any, params: Any, mask: Any, clock: Any, *call: Any) -> list[Tensor]:
    return execute.backward_shapes(grad_out, grad_states, params, Settings(*call))


class _Context:
    """What the backward of a call needs, kept the same way by the operator and by the eager function."""

    @staticmethod
    def keep(ctx: Any, x: Tensor, states: Any, params: Any, mask: Any, clock: Any, call: Settings, out: Any) -> None:
        """Remember one call in the autograd context of its node."""
        ctx.set_materialize_grads(False)  # a zero gradient for every kept value would double the traffic
        kept = [x, *states] if call.recompute else out[1 + len(states) :]
        extra = [t for t in (mask, clock) if t is not None]
        ctx.save_for_backward(*kept, *params, *extra)
        ctx.call, ctx.present = call, (mask is not None, clock is not None)
        ctx.rows, ctx.layout, ctx.dtype, ctx.samples = out[0].shape, memory_format(out[0]), x.dtype, x.shape

    @staticmethod
    def gradients(ctx: Any, grads: Any) -> tuple[Any, list[Any], list[Any]] | None:
        """Gradients to the input, each state and each parameter; None where nothing came in."""
        call: Settings = ctx.call
        if any(g is not None and torch._C._functorch.is_legacy_batchedtensor(g) for g in grads):
            raise GradientError(
                "a compiled neuron takes one gradient at a time, not a batch of them (is_grads_batched, "
                "vectorize=True); loop over them, or set SPIKESIM_DISABLE_JIT=1 for the equations on tensors"
            )
        program = parse(call.program)
        count = len(program.states)
        given = next((g for g in grads if g is not None), None)
        if given is None:
            return None
        tensors = list(ctx.saved_tensors)
        clock = tensors.pop() if ctx.present[1] else None
        mask = tensors.pop() if ctx.present[0] else None
        first = len(tensors) - len(program.params)
        kept, params = _kept_in(tensors[:first], ctx.layout, call), [dense(p, ctx.layout) for p in tensors[first:]]
        grad_out = grads[0]
        if grad_out is None:
            grad_out = given.new_zeros(ctx.rows, dtype=ctx.dtype)
        grad_out = grad_out.contiguous(memory_format=ctx.layout)
        if call.form == "steps":
            grad_out = grad_out.flatten(0, 1)
        finals = [
            grad_out.new_zeros(()) if g is None else g.contiguous(memory_format=ctx.layout)
            for g in grads[1 : 1 + count]
        ]
        if call.recompute:
            shape = ctx.rows[1:] if call.form == "steps" else (ctx.rows[0] // call.timesteps, *ctx.rows[1:])
            # An initial state may be one number for all neurons.
            kept = [kept[0], *(s.expand(shape).contiguous(memory_format=ctx.layout) for s in kept[1:])]
        if torch.is_grad_enabled() or not is_plain(grad_out):
            # With create_graph the result must know that it cannot be differentiated again.
            if torch.is_grad_enabled() and not grad_out.requires_grad:
                grad_out = grad_out.detach().requires_grad_()
            out = backward(grad_out, finals, kept, params, mask, clock, *call)
        else:
            out = execute.backward(grad_out, finals, kept, params, mask, clock, call)
        grad_x = out[0].view(ctx.samples) if call.form == "steps" else out[0]
        learnt = dict(zip(call.learnable, out[1 + count :]))
        return grad_x, out[1 : 1 + count], [learnt.get(n) for n in program.params]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    x, states, params, mask, clock, *call = inputs
    _Context.keep(ctx, x, states, params, mask, clock, Settings(*call), output)
    ctx.lists = len(states), len(params)


def _backward(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    nothing = [None] * (2 + len(Settings._fields))
    found = _Context.gradients(ctx, grads)
    if found is None:
        states, params = ctx.lists
        return None, [None] * states, [None] * params, *nothing
    return *found, *nothing


torch.library.register_autograd("spikesim::train", _backward, setup_context=_setup)


def _refuse(ctx: Any, *grads: Any) -> Any:
    raise GradientError(
        "a spiking neuron was differentiated twice, but surrogate gradients are defined once; use create_graph=False, "
        "or SPIKESIM_DISABLE_JIT=1 to let autograd differentiate the surrogate itself"
    )


torch.library.register_autograd("spikesim::backward", _refuse)


class _Eager(torch.autograd.Function):
    """The same as ``spikesim::train``, without torch's dispatcher."""

    @staticmethod
    def forward(ctx: Any, mask: Any, clock: Any, call: Settings, count: int, x: Tensor, *rest: Tensor) -> Any:
        states, params = list(rest[:count]), list(rest[count:])
        out = execute.forward("train", x, states, params, mask, clock, call)
        _Context.keep(ctx, x, states, params, mask, clock, call, out)
        # What the backward keeps stays inside.
        return tuple(out[: 1 + count])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        found = _Context.gradients(ctx, grads)
        if found is None:
            return (None,) * len(ctx.needs_input_grad)
        grad_x, states, params = found
        return None, None, None, None, grad_x, *states, *params


def is_plain(x: Tensor) -> bool:
    """Whether the dispatcher has nothing to do: no tracing, no mode that counts or fakes operators, no odd tensor."""
    return (
        not torch.compiler.is_compiling()
        and type(x) in (Tensor, torch.nn.Parameter)
        and torch._C._len_torch_dispatch_stack() == 0
        and not x.is_neg()  # which the dispatcher resolves
    )


def eager_infer(
    x: Tensor, states: list[Tensor], params: list[Tensor], mask: Tensor | None, clock: Tensor | None, call: Settings
) -> Any:
    """Emitted rows and final states of a plain input."""
    return execute.forward("infer", x, states, params, mask, clock, call)


def eager_train(
    x: Tensor, states: list[Tensor], params: list[Tensor], mask: Tensor | None, clock: Tensor | None, call: Settings
) -> Any:
    """Emitted rows and final states of a plain input, differentiable."""
    return _Eager.apply(mask, clock, call, len(states), x, *states, *params)  # type: ignore[no-untyped-call]


def call_infer(
    x: Tensor, states: list[Tensor], params: list[Tensor], mask: Tensor | None, clock: Tensor | None, call: Settings
) -> Any:
    """Emitted rows and final states, by the shortest way."""
    if is_plain(x):
        return eager_infer(x, states, params, mask, clock, call)
    return infer(x, states, params, mask, clock, call.program, call.timesteps, call.form)


def call_train(
    x: Tensor, states: list[Tensor], params: list[Tensor], mask: Tensor | None, clock: Tensor | None, call: Settings
) -> Any:
    """Emitted rows and final states, differentiable, by the shortest way."""
    if is_plain(x):
        return eager_train(x, states, params, mask, clock, call)
    return train(x, states, params, mask, clock, *call)
