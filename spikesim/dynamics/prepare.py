"""Bring a neuron's states and parameters into the form that a run takes, or say what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from spikesim.errors import DeviceError, ShapeError, StateError

CLOCK = "clock"  # name under which a neuron that draws random numbers carries seed and step: int64 [2]


def clock_of(label: str, state: Mapping[str, Any] | None, device: torch.device) -> Tensor:
    """Seed and number of steps that lie behind: those carried so far, or a new seed from torch's generator.

    Args:
        label: how errors call the neuron.
        state: what was carried so far, ``int64 [2]`` under "clock" among it, or None.
        device: where the run takes place.
    """
    if state is None:
        # The same seed for the same torch.manual_seed on every device; a CUDA graph can draw only on its own.
        captured = device.type == "cuda" and torch.cuda.is_current_stream_capturing()
        source = device if captured else torch.device("cpu")
        zero = torch.zeros(1, dtype=torch.int64, device=source)
        return torch.cat([torch.randint(2**62, (1,), device=source), zero]).to(device)
    given = state.get(CLOCK)
    if not isinstance(given, Tensor) or given.dtype != torch.int64 or tuple(given.shape) != (2,):
        raise StateError(f"{label}: state '{CLOCK}' must be an int64 tensor [2], seed and step")
    return given.to(device)


def own_state(
    label: str, name: str, initial: Tensor, device: torch.device, dtype: torch.dtype, shape: tuple[int, ...]
) -> Tensor:
    """The neuron's own initial value of a state, which must fit one sample."""
    if initial.device.type == "meta" and device.type != "meta":
        raise DeviceError(f"{label}: initial {name} is on meta and has no values; load the neuron's values first")
    if initial.dim() > 0:
        initial = along_channels(initial, shape)
        _require_fit(f"{label}: initial {name}", initial, shape)
    return _cast(initial, device, dtype)


def given_state(
    label: str, name: str, given: Any, device: torch.device, dtype: torch.dtype, shape: tuple[int, ...]
) -> Tensor:
    """A carried state, which must have exactly the shape of the batch."""
    if given is None:
        raise StateError(f"{label}: the given state lacks '{name}'; pass every state of the neuron, or state=None")
    if not isinstance(given, Tensor) or not given.is_floating_point():
        what = given.dtype if isinstance(given, Tensor) else type(given).__name__
        raise StateError(f"{label}: state '{name}' is a {what}, but it must be a floating-point tensor")
    if tuple(given.shape) != tuple(shape):
        raise StateError(
            f"{label}: state '{name}' has shape {tuple(given.shape)}, but this batch needs {tuple(shape)}; "
            "start a new stream (or pass state=None) when the batch changes"
        )
    return _cast(given, device, dtype)


def parameter(label: str, name: str, value: Tensor, like: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """A parameter in the dtype of the run, broadcastable to one step of the input ``like``."""
    if value.device != like.device:
        raise DeviceError(
            f"{label}: {name} is on {value.device}, but the input on {like.device}; move the neuron with "
            f".to({str(like.device)!r}), or the input"
        )
    if value.dtype != dtype:
        value = value.to(dtype=dtype)
    if value.dim() > 0:
        value = along_channels(value, shape)
        _require_fit(f"{label}: {name}", value, shape)
    return value


def bounded(value: Tensor, low: float | None, high: float | None) -> Tensor:
    """``value`` kept between two bounds, either of which may be None, with a gradient that leads back inside.

    >>> bounded(torch.tensor([0.5, 2.0]), 1.0, None)
    tensor([1., 2.])
    """
    if torch.compiler.is_compiling():
        # torch.compile does not trace such a function: compiled, a value beyond its bound has the gradient zero.
        return value.clamp(low, high)
    return _Bounded.apply(value, low, high)  # type: ignore[no-untyped-call]


def inside(value: Tensor, low: float | None, high: float | None) -> bool:
    """Whether a learnt number lies within its bounds, where its gradient is its own; looked at where that is cheap.

    >>> inside(torch.tensor(2.0), 1.0, None), inside(torch.tensor([2.0]), 1.0, None)
    (True, False)
    """
    if low is None and high is None:
        return True
    if value.dim() > 0 or value.device.type != "cpu":
        return False
    number = value.item()
    return (low is None or number >= low) and (high is None or number <= high)


def along_channels(value: Tensor, shape: Sequence[int]) -> Tensor:
    """One value per channel lies along the first axis of a sample, which is the last of a flat one.

    Axes of size one before those of the sample are left out, as in broadcasting: ``[1, C, 1, 1]`` is ``[C, 1, 1]``.
    """
    if value.dim() == 1 and len(shape) > 2:
        return value.reshape(-1, *[1] * (len(shape) - 2))
    extra = max(value.dim() - (len(shape) - 1), 0)
    return value.reshape(value.shape[extra:]) if all(size == 1 for size in value.shape[:extra]) and extra else value


class _Bounded(torch.autograd.Function):
    """A value kept within its bounds, whose gradient still leads back inside.

    A clamp alone gives a value beyond its bound the gradient zero: it would stay there for good.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor, low: float | None, high: float | None) -> Tensor:
        return value.clamp(low, high)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        value, ctx.low, ctx.high = inputs
        ctx.save_for_backward(value)
        ctx.save_for_forward(value)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, None, None]:
        (value,) = ctx.saved_tensors
        grad = grads[0]
        if ctx.low is not None:
            grad = torch.where((value < ctx.low) & (grad > 0), 0.0, grad)
        if ctx.high is not None:
            grad = torch.where((value > ctx.high) & (grad < 0), 0.0, grad)
        return grad, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        (value,) = ctx.saved_tensors
        inside = torch.ones_like(value, dtype=torch.bool)
        if ctx.low is not None:
            inside &= value >= ctx.low
        if ctx.high is not None:
            inside &= value <= ctx.high
        return torch.where(inside, tangents[0], 0.0)


def _cast(value: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    return value if value.dtype == dtype and value.device == device else value.to(device=device, dtype=dtype)


def _require_fit(what: str, value: Tensor, shape: Sequence[int]) -> None:
    trailing = zip(reversed(value.shape), reversed(shape[1:]))
    if value.dim() >= len(shape) or not all(size == 1 or size == full for size, full in trailing):
        if value.numel() == 1:
            return
        raise ShapeError(
            f"{what} has shape {tuple(value.shape)}, which does not fit one sample of shape {tuple(shape[1:])}; "
            "give one value, one per channel, or one per neuron"
        )
