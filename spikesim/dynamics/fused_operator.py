"""A fused layer as one differentiable function: statistics, forward kernel, backward kernel, correction.

Only eager calls come here (see :mod:`spikesim.nn.fuse`), so it is an autograd function and no torch operator: what
is traced, counted or transformed runs the layers one by one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikesim.dynamics.fused_launch import Shape, launch_fused, launch_norm, stretches, tiling
from spikesim.dynamics.fused_norm import NormKernel
from spikesim.dynamics.fused_plan import FusedKernel, FusedMode, Pool, fused_plan
from spikesim.dynamics.pool import empty
from spikesim.errors import GradientError


class FusedCall(NamedTuple):
    """What a call is, beside its tensors.

    Args:
        program: canonical text of the neuron's recorded step.
        timesteps: T.
        pool: what follows the neuron.
        states: number of states.
        learnt: names of the neuron's parameters whose gradient is wanted.
        batch_statistics: whether mean and variance are the batch's own, so that a gradient flows through them.
    """

    program: str
    timesteps: int
    pool: Pool
    states: int
    learnt: tuple[str, ...]
    batch_statistics: bool


class Moments(NamedTuple):
    """Mean and biased variance of each channel, float64 ``[C]``, and the number of values that each is made of."""

    mean: Tensor
    variance: Tensor
    size: int


def moments(x: Tensor) -> Moments:
    """Mean and variance of each channel of a channels-last ``[T*N, C, H, W]``.

    >>> found = moments(torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1))
    >>> found.mean.item(), round(found.variance.item(), 6)
    (2.0, 0.666667)
    """
    channels = x.shape[1]
    tiles = stretches(x.numel(), channels)
    partial = torch.empty((tiles[1], 2, channels), dtype=torch.float64)
    launch_norm(NormKernel("statistics", _name(_compute(x)), _name(x.dtype)), x.numel(), channels, tiles, [x, partial])
    count = x.numel() // channels
    first, second = _total(partial) / count
    return Moments(x[0, :, 0, 0].double() + first, second - first * first, count)


def normalised(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """What the neuron of a fused layer receives, bit for bit, in the dtype of the arithmetic.

    >>> normalised(torch.ones(1, 1, 1, 1), torch.tensor([2.0]), torch.tensor([0.5])).item()
    2.5
    """
    z = empty(x, x.shape, _compute(x), torch.channels_last)
    tiles = stretches(x.numel(), x.shape[1])
    kernel = NormKernel("normalise", _name(_compute(x)), _name(x.dtype))
    launch_norm(kernel, x.numel(), x.shape[1], tiles, [x, scale, shift, z])
    return z


def run_layer(
    x: Tensor, scale: Tensor, shift: Tensor, states: list[Tensor], params: list[Tensor], call: FusedCall
) -> list[Tensor]:
    """Emitted and pooled rows, and final states.

    Args:
        x: channels-last ``[T*N, C, H, W]``.
        scale: factor of each channel.
        shift: what is added to each channel.
        states: initial states ``[N, C, H, W]``, laid out as ``x``.
        params: parameters of the neuron, one value or one per channel.
        call: the rest.
    """
    shape = _shape(x, call.timesteps)
    height, width = (shape.height // 2, shape.width // 2) if call.pool != "none" else (shape.height, shape.width)
    out = _rows(x, height, width)
    finals = [s.clone(memory_format=torch.channels_last) for s in states]
    launch_fused(_kernel("forward", x, params, call), shape, [x, out, scale, shift, *finals, *params])
    return [out, *finals]


class FusedLayer(torch.autograd.Function):
    """The fused layer of a recorded gradient; keeps its input and nothing else of that size.

    Inputs: the call, the input, weight, bias, mean and inverse standard deviation of each channel, the number of
    values behind them, the states and the parameters. Gradients: input, weight, bias, states, parameters.
    """

    @staticmethod
    def forward(
        ctx: Any, call: FusedCall, count: int, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor,
        *rest: Tensor,
    ) -> Any:  # fmt: skip
        """Emitted and pooled rows, and final states."""
        scale, shift = affine(weight, bias, mean, inverse)
        states, params = list(rest[: call.states]), list(rest[call.states :])
        out = run_layer(x, scale, shift, states, params, call)
        ctx.save_for_backward(x, scale, shift, mean, inverse, *rest)
        ctx.call, ctx.count = call, count
        ctx.set_materialize_grads(False)
        return tuple(out)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Gradients, at most once differentiable."""
        if all(g is None for g in grads):
            return (None,) * len(ctx.needs_input_grad)
        if torch.is_grad_enabled():
            given = [g for g in grads if g is not None]
            present = [g is not None for g in grads]
            # What the gradient depends on is handed over, so that autograd knows that it does.
            return _Once.apply(ctx, present, *given, *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return _gradients(ctx, grads)


class _Once(torch.autograd.Function):
    """The backward under ``create_graph=True``: it runs, and refuses to be differentiated itself."""

    @staticmethod
    def forward(ctx: Any, layer: Any, present: list[bool], *tensors: Tensor) -> Any:
        grads = iter(tensors)
        return _gradients(layer, [next(grads) if p else None for p in present])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise GradientError(
            "a spiking neuron was differentiated twice, but surrogate gradients are defined once; use "
            "create_graph=False, or SPIKESIM_DISABLE_JIT=1 to let autograd differentiate the surrogate itself"
        )


def affine(weight: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """A batch-norm as ``scale * x + shift``, rounded as torch rounds it."""
    scale = weight * inverse
    # In float64, which is as if multiplied and added in one rounding.
    return scale, (bias.double() - mean.double() * scale.double()).to(bias.dtype)


def _gradients(ctx: Any, grads: Any) -> tuple[Any, ...]:
    call: FusedCall = ctx.call
    x, scale, shift, mean, inverse, *rest = ctx.saved_tensors
    # Hooks that saved them elsewhere need not have kept how they lay in memory.
    x = x.contiguous(memory_format=torch.channels_last)
    states = [s.contiguous(memory_format=torch.channels_last) for s in rest[: call.states]]
    params = rest[call.states :]
    shape = _shape(x, call.timesteps)
    pooled = call.pool != "none"
    height, width = (shape.height // 2, shape.width // 2) if pooled else (shape.height, shape.width)
    grad_out = grads[0]
    if grad_out is None:
        grad_out = _rows(x, height, width).zero_()
    grad_out = grad_out.contiguous(memory_format=torch.channels_last)
    carried = [
        torch.zeros_like(s) if g is None else g.clone(memory_format=torch.channels_last)
        for s, g in zip(states, grads[1:])
    ]
    kernel = _kernel("backward", x, params, call)
    sums = fused_plan(kernel).step.sums
    partial = torch.empty((tiling(shape, pooled)[2], 2 + len(sums), shape.channels), dtype=torch.float64)
    grad_x = _rows(x, shape.height, shape.width)
    gain = torch.ones_like(scale) if call.batch_statistics else scale
    arrays = [x, grad_out, grad_x, scale, shift, mean, gain, partial, *carried, *states, *params]
    launch_fused(kernel, shape, arrays)
    grad_sum, product_sum, *learnt = _total(partial)
    if call.batch_statistics:
        part = NormKernel("correction", _name(_compute(x)), _name(x.dtype))
        slope = (product_sum / ctx.count * inverse.double().square()).to(scale.dtype)
        centre = (grad_sum / ctx.count).to(scale.dtype)
        tiles = stretches(x.numel(), shape.channels)
        launch_norm(part, x.numel(), shape.channels, tiles, [grad_x, x, mean, scale, centre, slope])
    by_name = dict(zip(call.learnt, learnt))
    names = fused_plan(kernel).step.params
    grad_params = [_like(by_name[n], p) if n in by_name else None for n, p in zip(names, params)]
    grad_weight = (product_sum * inverse.double()).to(scale.dtype)
    return None, None, grad_x, grad_weight, grad_sum.to(scale.dtype), None, None, *carried, *grad_params


def _like(per_channel: Tensor, param: Tensor) -> Tensor:
    total = per_channel if param.numel() == per_channel.numel() else _total(per_channel)
    return total.reshape(param.shape).to(param.dtype)


def _total(partial: Tensor) -> Tensor:
    # NumPy adds in one fixed order; torch's sum depends on the number of threads.
    return torch.as_tensor(partial.numpy().sum(axis=0))


def _kernel(mode: FusedMode, x: Tensor, params: list[Tensor], call: FusedCall) -> FusedKernel:
    uniform = tuple([p.numel() == 1 for p in params])
    learnt = call.learnt if mode == "backward" else ()
    return FusedKernel(call.program, mode, call.pool, _name(_compute(x)), _name(x.dtype), uniform, learnt)


def _rows(x: Tensor, height: int, width: int) -> Tensor:
    return empty(x, (*x.shape[:2], height, width), x.dtype, torch.channels_last)


def _shape(x: Tensor, timesteps: int) -> Shape:
    rows, channels, height, width = x.shape
    return Shape(timesteps, rows // timesteps, channels, height, width)


def _compute(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _name(dtype: torch.dtype) -> str:
    return str(dtype)[6:]
