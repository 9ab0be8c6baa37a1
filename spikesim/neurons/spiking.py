"""What every firing neuron shares: spike, reset and surrogate as three separate choices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from torch import Tensor

from spikesim.dynamics import ATan, Neuron, Surrogate, detach, spike
from spikesim.errors import ConfigError

Reset = Literal["subtract", "zero", "none"]


class SpikingNeuron(Neuron):
    """A neuron that fires when its potential reaches a threshold.

    Args:
        surrogate: surrogate gradient of the spike; ``ATan()`` if None.
        reset: "subtract" the threshold (soft), to "zero" (hard), or "none".
        detach_reset: keep the gradient from flowing through the reset.
        strict: fire on ``>`` instead of ``>=``.
        initial: initial potential by state name.
        learnable: names of the parameters to be trained.
        **values: parameters by name.

    Raises:
        ConfigError: an unknown reset, or a surrogate that is none.

    >>> from spikesim.neurons import IF
    >>> IF(reset="hard")
    Traceback (most recent call last):
    ...
    spikesim.errors.ConfigError: reset is 'hard', but it must be one of subtract, zero, none
    """

    def __init__(
        self,
        *,
        surrogate: Surrogate | None = None,
        reset: Reset = "subtract",
        detach_reset: bool = False,
        strict: bool = False,
        initial: Mapping[str, float | Tensor] | None = None,
        learnable: Iterable[str] = (),
        **values: float | Tensor,
    ) -> None:
        super().__init__(initial=initial, learnable=learnable, **values)
        if reset not in get_args(Reset):
            raise ConfigError(f"reset is {reset!r}, but it must be one of {', '.join(get_args(Reset))}")
        surrogate = ATan() if surrogate is None else surrogate
        if not isinstance(surrogate, Surrogate):
            raise ConfigError(
                f"surrogate is a {type(surrogate).__name__}, but it must be a spikesim surrogate, e.g. ATan()"
            )
        self.surrogate = surrogate
        self.reset_rule = reset
        self.detach_reset = detach_reset
        self.strict = strict

    def fire(self, u: Any, threshold: Any) -> Any:
        """1 where the potential ``u`` reaches the threshold."""
        return spike(u - threshold, self.surrogate, strict=self.strict)

    def reset(self, u: Any, s: Any, threshold: Any) -> Any:
        """The potential after the spikes ``s``."""
        if self.reset_rule == "none":
            return u
        if self.detach_reset:
            s = detach(s)
        return u - s * threshold if self.reset_rule == "subtract" else u * (1.0 - s)

    def extra_repr(self) -> str:
        """Parameters and the flags that change the equations."""
        flags = [f"reset={self.reset_rule!r}", f"surrogate={self.surrogate}"]
        flags += [f"{f}=True" for f in ("detach_reset", "strict") if getattr(self, f)]
        return ", ".join([super().extra_repr(), *flags])
