"""What every firing neuron shares: spike, reset and surrogate as separate choices, and rest after a spike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal, get_args

from torch import Tensor

from spikesim.dynamics import ATan, Neuron, Param, State, Surrogate, absolute, detach, spike, where
from spikesim.dynamics.checks import names_of
from spikesim.errors import ConfigError

Reset = Literal["subtract", "zero", "value", "none"]

_LEFT = "refractory_left"  # the state that counts the steps of rest still to come


class SpikingNeuron(Neuron):
    """A neuron that fires when its potential reaches a threshold.

    Args:
        surrogate: surrogate gradient of the spike; ``ATan()`` if None.
        reset: "subtract" the threshold (soft), to "zero" (hard), to "value", or "none".
        reset_value: potential after a spike, where ``reset="value"``.
        detach_reset: keep the gradient from flowing through the reset.
        strict: fire on ``>`` instead of ``>=``.
        refractory: time steps of rest after a spike. The neuron is silent, its potential stands still,
            and its other states (currents, adaptation) go on.
        width: factor by which the surrogate is stretched along the potential, its area kept: a number, or a
            tensor of one per channel or neuron. It never changes a spike and is not learnt.
        initial: initial potential by state name.
        learnable: names of the parameters to be trained.
        **values: parameters by name.

    Raises:
        ConfigError: a flag that does not exist or does not fit the others; the message says which do.

    >>> from spikesim.neurons import IF
    >>> IF(reset="hard")
    Traceback (most recent call last):
    ...
    spikesim.errors.ConfigError: reset is 'hard', but it must be one of subtract, zero, value, none
    >>> import torch
    >>> IF(refractory=2)(torch.ones(7, 1)).flatten()
    tensor([1., 0., 0., 1., 0., 0., 1.])
    """

    potentials: ClassVar[tuple[str, ...]] = ("v",)  # states that stand still while the neuron rests
    resets: ClassVar[tuple[str, ...]] = get_args(Reset)  # the resets that make sense for the family
    resets_to: ClassVar[str | None] = None  # parameter that holds the potential after a spike, if one does
    unused: ClassVar[tuple[str, ...]] = ()  # of surrogate, strict and width, those that the equations do not use

    # Set for the length of one step by `_flagged`, which `step` knows nothing of.
    _resting: Any = None
    _width: Any = None

    def __init__(
        self,
        *,
        surrogate: Surrogate | None = None,
        reset: Reset = "subtract",
        reset_value: float | None = None,
        detach_reset: bool = False,
        strict: bool = False,
        refractory: int = 0,
        width: float | Tensor | None = None,
        initial: Mapping[str, float | Tensor] | None = None,
        learnable: Iterable[str] = (),
        **values: float | Tensor,
    ) -> None:
        self._check_reset(reset, reset_value)
        for flag, given in (("surrogate", surrogate is not None), ("strict", strict), ("width", width is not None)):
            if given and flag in self.unused:
                raise ConfigError(f"{type(self).__name__} does not use {flag}: it rounds where others fire")
        if not isinstance(refractory, int) or isinstance(refractory, bool) or refractory < 0:
            raise ConfigError(f"refractory is {refractory!r}, but it must be a whole number of time steps, 0 or more")
        if refractory:
            self.states = {**self.states, _LEFT: State()}
        if width is not None:
            self.params = {**self.params, "width": Param(1.0, min=1e-6)}
            values["width"] = width
        learnable = names_of(f"{type(self).__name__}: learnable", learnable)
        if width is not None and "width" in learnable:
            raise ConfigError("width cannot be learnt: spikes do not depend on it, so it has no gradient")
        super().__init__(initial=initial, learnable=learnable, **values)
        self.surrogate = ATan() if surrogate is None else surrogate
        self.reset_value = reset_value
        self.reset_rule = reset
        self.detach_reset = detach_reset
        self.strict = strict
        self._refractory = refractory

    def _check_reset(self, reset: str, value: float | None) -> None:
        if reset not in self.resets:
            raise ConfigError(f"reset is {reset!r}, but it must be one of {', '.join(self.resets)}")
        wanted = reset == "value" and self.resets_to is None
        if wanted and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ConfigError(
                f"reset_value is {value!r}, but reset='value' needs a number, the potential after a spike"
            )
        if value is not None and not wanted:
            remedy = f"set {self.resets_to}" if self.resets_to else "choose reset='value'"
            raise ConfigError(f"reset_value is {value!r}, but reset={reset!r} does not use it; {remedy}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("reset", "fire"):
            raise ConfigError(f"{type(self).__name__}.{name} is a method; the flag of the reset is `reset_rule`")
        if name == "refractory":
            raise ConfigError(f"refractory brings a state of its own; build a new {type(self).__name__} with it")
        if name == "width" and "width" not in self.params:
            raise ConfigError(f"this {type(self).__name__} was built without a width; build a new one with it")
        if name == "surrogate" and not isinstance(value, Surrogate):
            raise ConfigError(
                f"surrogate is a {type(value).__name__}, but it must be a spikesim surrogate, e.g. ATan()"
            )
        if name == "reset_rule":
            self._check_reset(value, self.__dict__.get("reset_value"))
        super().__setattr__(name, value)

    @property
    def refractory(self) -> int:
        """Time steps of rest after a spike; fixed when the neuron is built, as it brings a state."""
        return self._refractory

    def equations(self) -> Callable[..., tuple[Any, dict[str, Any]]]:
        """The step with what the flags `refractory` and `width` add to it."""
        return self._flagged if self._refractory or "width" in self.params else self.step

    def _flagged(self, x: Any, **values: Any) -> tuple[Any, dict[str, Any]]:
        width, left = values.pop("width", None), values.pop(_LEFT, None)
        resting = None if left is None else left > 0.0
        # Past nn.Module and the recording of changed flags: these two are arguments of `fire`, not settings.
        object.__setattr__(self, "_resting", resting)
        object.__setattr__(self, "_width", width)
        try:
            s, new = self.step(x, **values)
        finally:
            object.__setattr__(self, "_resting", None)
            object.__setattr__(self, "_width", None)
        if left is not None:
            held = {k: where(resting, values[k], new[k]) for k in self.potentials}
            rest = float(self._refractory * self.substeps)
            count = where(absolute(s) > 0.0, rest, where(resting, left - 1.0, 0.0))
            new = {**new, **held, _LEFT: count}
        return s, new

    def fire(self, u: Any, threshold: Any, *, strict: bool | None = None) -> Any:
        """1 where the potential ``u`` reaches the threshold and the neuron does not rest."""
        strict = self.strict if strict is None else strict
        return self.hush(spike(u - threshold, self.surrogate, strict=strict, width=self._width))

    def crossing(self, before: Any, after: Any, threshold: Any) -> Any:
        """1 where the potential passes the threshold from below, for models that fire without a reset."""
        below = before <= threshold if self.strict else before < threshold
        return self.fire(after, threshold) * where(below, 1.0, 0.0)

    def hush(self, emission: Any) -> Any:
        """What is emitted, or nothing while the neuron rests; `fire` does it for spikes."""
        return emission if self._resting is None else where(self._resting, 0.0, emission)

    def reset(self, u: Any, s: Any, threshold: Any, to: Any = None) -> Any:
        """The potential after the spikes ``s``; a "value" is ``to``, or else ``reset_value``."""
        if self.reset_rule == "none":
            return u
        if self.detach_reset:
            s = detach(s)
        if self.reset_rule == "subtract":
            return u - s * threshold
        held = u * (1.0 - s)
        if self.reset_rule == "zero":
            return held
        return held + s * (self.reset_value if to is None else to)

    def extra_repr(self) -> str:
        """Parameters and the flags that change the equations."""
        flags = [f"reset={self.reset_rule!r}", f"surrogate={self.surrogate}"]
        flags += [f"reset_value={self.reset_value:g}"] if self.reset_value is not None else []
        flags += [f"refractory={self._refractory}"] if self._refractory else []
        flags += [f"{f}=True" for f in ("detach_reset", "strict") if getattr(self, f)]
        return ", ".join([super().extra_repr(), *flags])
