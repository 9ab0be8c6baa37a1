"""What NIR has and torch has not: elementwise gains; and the package itself, which is an extra."""

from __future__ import annotations

import importlib
import math
from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor, nn

from spikesim.errors import ConfigError, ConversionError


def library() -> Any:
    """The package ``nir``, or which extra brings it.

    Raises:
        ConversionError: it is not installed.

    Example:
        >>> from spikesim.converters.nir_modules import library
        >>> callable(library)
        True
    """
    try:
        return importlib.import_module("nir")
    except ImportError as error:
        raise ConversionError("NIR graphs need the package nir: pip install 'spikesim[nir]'") from error


def seconds(dt: Any) -> float:
    """The length of a step, if it is one.

    Raises:
        ConfigError: it is no positive number.

    Example:
        >>> from spikesim.converters.nir_modules import seconds
        >>> seconds(1e-3)
        0.001
    """
    number = not isinstance(dt, bool) and isinstance(dt, (Real, np.floating))
    value = float(dt) if number else math.nan
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"dt is {dt!r}, but it must be the seconds of one time step, for example 1e-3")
    return value


class Scale(nn.Module):
    """``y = scale x``, elementwise: NIR's Scale.

    Args:
        scale: one value, or one per element of a sample.

    Shape:
        ``[N, ...] -> [N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.nir_modules import Scale
        >>> Scale(torch.tensor([2.0, 3.0]))(torch.ones(1, 2)).tolist()
        [[2.0, 3.0]]
    """

    scale: Tensor

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``x``."""
        return x * self.scale


class Drive(Scale):
    """``y = scale x + offset``: what a NIR neuron's resistance, input weight and leak potential come to.

    Args:
        scale: one value, or one per element of a sample.
        offset: the same, or None for nothing.

    Shape:
        ``[N, ...] -> [N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.nir_modules import Drive
        >>> Drive(torch.tensor(2.0), torch.tensor(1.0))(torch.ones(1, 2)).tolist()
        [[3.0, 3.0]]
    """

    offset: Tensor | None

    def __init__(self, scale: Tensor, offset: Tensor | None = None) -> None:
        super().__init__(scale)
        self.register_buffer("offset", offset)

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift ``x``."""
        y = super().forward(x)
        return y if self.offset is None else y + self.offset
