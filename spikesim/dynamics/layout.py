"""How the tensors of a kernel call lie in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from spikesim.dynamics.launch import Extent
from spikesim.dynamics.pool import empty

# rows: dense [T*N, ...]; steps: [T, N, ...] in any strides over dense samples; constant: one [N, ...] for every step
Form = Literal["rows", "steps", "constant"]


def memory_format(x: Tensor) -> torch.memory_format:
    """The format whose storage order is sample, then everything else, without gaps.

    >>> memory_format(torch.zeros(2, 3, 4, 5))
    torch.contiguous_format
    """
    if x.is_contiguous():
        return torch.contiguous_format
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    if x.dim() == 5 and x.is_contiguous(memory_format=torch.channels_last_3d):
        return torch.channels_last_3d
    return torch.contiguous_format


def dense(value: Tensor, layout: torch.memory_format) -> Tensor:
    """One value per neuron in a layout; single values have none.

    >>> dense(torch.zeros(2, 3, 4, 5), torch.channels_last).stride()
    (60, 1, 15, 3)
    """
    value = value.resolve_neg()
    return value if value.numel() == 1 else value.contiguous(memory_format=layout)


def readable(x: Tensor, form: str) -> Tensor:
    """An input as kernels take it in its form; a copy only where it does not lie so.

    >>> readable(torch.zeros(1).expand(6, 4), "rows").stride()
    (4, 1)
    """
    x = x.resolve_neg()
    if form == "steps":
        return x if x.is_contiguous() or strided(x) else x.contiguous()
    return x.contiguous(memory_format=memory_format(x))


def maker_like(x: Tensor, form: str) -> Callable[[int, torch.dtype], Tensor]:
    """A function that makes an uninitialised tensor of some rows, laid out as the samples of ``x``.

    >>> maker_like(torch.zeros(3, 2, 4), "steps")(6, torch.float64).shape
    torch.Size([6, 4])
    """
    sample = tuple(x.shape[2:] if form == "steps" else x.shape[1:])
    layout = torch.contiguous_format if form == "steps" else memory_format(x)
    return lambda rows, dtype: empty(x, (rows, *sample), dtype, layout)


def samples_of(x: Tensor, timesteps: int, form: str) -> int:
    """N.

    >>> samples_of(torch.zeros(6, 4), 3, "rows")
    2
    """
    if form == "rows":
        return x.shape[0] // timesteps
    return x.shape[1] if form == "steps" else x.shape[0]


def extent(x: Tensor, timesteps: int, form: str, samples: int, by_sample: bool) -> Extent:
    """Sizes of a call, and strides of its input.

    Args:
        x: input of the given form.
        timesteps: T.
        form: see :data:`Form`.
        samples: N.
        by_sample: whether blocks must keep to one sample.
    """
    if form == "steps" and not x.is_contiguous():
        per_sample = x[0, 0].numel() if x.numel() else 0
        return Extent(timesteps, samples, per_sample, x.stride(0), x.stride(1))
    neurons = x.numel() // (1 if form == "constant" else timesteps)
    per_sample = neurons // max(samples, 1)
    time_stride = 0 if form == "constant" else neurons
    if by_sample:
        return Extent(timesteps, samples, per_sample, time_stride, per_sample)
    return Extent(timesteps, 1, neurons, time_stride, 0)


def strided(x: Tensor) -> bool:
    """Whether a ``[T, N, ...]`` tensor that is not contiguous can be read in place: its samples are dense and long.

    >>> strided(torch.zeros(8, 5, 300).transpose(0, 1)), strided(torch.zeros(5, 300, 8).movedim(-1, 0))
    (True, False)
    """
    if x.is_contiguous() or x.dim() < 3 or x.numel() == 0:
        return False
    expected = 1
    for size, stride in zip(reversed(x.shape[2:]), reversed(x.stride()[2:])):
        if size != 1 and stride != expected:
            return False
        expected *= size
    # Blocks keep to one sample: short ones are cheaper to copy than to visit.
    return expected >= 256
