"""Encoders: from a static sample ``[N, ...]`` to a sequence ``[T, N, ...]``."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from spikesim.errors import ConfigError, TimestepsError


def check_timesteps(name: str, timesteps: object) -> int:
    """T, if it is a whole number of at least 1."""
    if not isinstance(timesteps, int) or isinstance(timesteps, bool):
        raise TimestepsError(f"{name}: timesteps is {timesteps!r}, but it must be a whole number")
    if timesteps < 1:
        raise TimestepsError(f"{name}: timesteps is {timesteps}, but it must be at least 1")
    return timesteps


def positive(name: str, value: float) -> float:
    """The value, if it is a finite number above 0."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise ConfigError(f"{name} is {value!r}, but it must be a positive number")
    return float(value)


class Constant(nn.Module):
    """Present the same analog input at every step ("direct coding").

    The layers before the first neuron would then compute the same T times. With ``hoist`` they run
    once on ``[N, ...]`` and the first neuron repeats their result, at no copy; this also costs their
    energy once. It needs every path from the input to pass a neuron before it meets another path that
    has passed one.

    Args:
        timesteps: T, at least 1.
        hoist: compute the layers before the first neuron once; else repeat the input.
        finite: refuse NaN and infinity, which neurons would turn into silence; a pass over the input.

    Shape:
        ``[N, ...] -> [T, N, ...]``, a tensor or each of a tuple, list or dict.

    Raises:
        TimestepsError: ``timesteps`` is less than 1.
        ShapeError: with ``finite``, an input holds NaN or infinity.

    >>> import torch
    >>> Constant(4)(torch.ones(2, 3)).shape
    torch.Size([4, 2, 3])
    """

    timesteps: int

    def __init__(self, timesteps: int, hoist: bool = True, finite: bool = False) -> None:
        super().__init__()
        self.timesteps = check_timesteps("Constant", timesteps)
        self.hoist, self.finite = hoist, finite

    def extra_repr(self) -> str:
        """Constructor arguments in the module's printed form."""
        return f"timesteps={self.timesteps}, hoist={self.hoist}"

    def forward(self, x: Any) -> Any:
        """Repeat ``x`` along a new first axis, without copying."""
        return pytree.tree_map(lambda leaf: torch.as_tensor(leaf).expand(self.timesteps, *leaf.shape), x)
