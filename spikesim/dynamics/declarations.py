"""What a neuron declares about itself: its state, its parameters and what it emits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from spikesim.errors import ConfigError

SpikeKind = Literal["binary", "signed", "graded", "analog"]


@dataclass(frozen=True)
class State:
    """One variable that a neuron carries from step to step.

    Args:
        init: value before the first step, in the unit of the variable.

    >>> State(init=0.5).init
    0.5
    """

    init: float = 0.0


@dataclass(frozen=True)
class Param:
    """One constant of a neuron's equations; a learnable one is kept within its bounds.

    Args:
        default: value that a new neuron starts with.
        min: smallest legal value, inclusive; None for no bound.
        max: largest legal value, inclusive; None for no bound.
        learnable: whether it is an ``nn.Parameter`` unless the neuron says otherwise.
        per: "layer" (one value), "channel" (one value per channel: axis 1 of the folded tensor, the
            last axis of ``[T, N, F]``) or "neuron" (one value per neuron): a learnable one must be given so.

    >>> Param(2.0, min=1.0).check("tau", 0.5)
    Traceback (most recent call last):
    ...
    spikesim.errors.ConfigError: tau is 0.5, but it must be at least 1.0
    """

    default: float
    min: float | None = None
    max: float | None = None
    learnable: bool = False
    per: Literal["layer", "channel", "neuron"] = "layer"

    def check(self, name: str, value: float | Tensor) -> None:
        """Raise ``ConfigError`` unless every value is finite and within the declared bounds."""
        values = constant(name, value)
        if values.device.type == "meta" or values.numel() == 0:
            return
        if self.min is not None and values.min() < self.min:
            raise ConfigError(f"{name} is {values.min():g}, but it must be at least {self.min}")
        if self.max is not None and values.max() > self.max:
            raise ConfigError(f"{name} is {values.max():g}, but it must be at most {self.max}")


def constant(name: str, value: object) -> Tensor:
    """A copy of ``value`` as a tensor of the default dtype.

    Raises:
        ConfigError: it is no number or tensor of numbers, or not finite.

    >>> constant("tau", 2)
    tensor(2.)
    """
    try:
        if isinstance(value, Tensor) and value.is_complex():
            raise TypeError
        tensor = torch.as_tensor(value, dtype=torch.get_default_dtype()).detach().clone()
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(f"{name} is {value!r}, but it must be a number or a tensor of numbers") from None
    if tensor.device.type != "meta" and not tensor.isfinite().all():
        raise ConfigError(f"{name} is {value}, but it must be finite")
    return tensor


@dataclass(frozen=True)
class SpikeType:
    """What a neuron sends along its edges; energy counts follow it and assert it at run time.

    Args:
        kind: "binary" {0, 1}, "signed" {-1, 0, 1}, "graded" (integers of ``bits`` bits; "signed" too where it has
            more than one) or "analog".
        bits: width of a graded spike, or of a signed one without its sign.
        scale: constant by which every value is multiplied, to be folded into the next weight.

    >>> SpikeType("binary").is_spike, SpikeType("analog").is_spike
    (True, False)
    """

    kind: SpikeKind
    bits: int = 1
    scale: float = 1.0

    @property
    def is_spike(self) -> bool:
        """Whether downstream layers receive events (additions) rather than analog values."""
        return self.kind != "analog"
