"""What a surrogate gradient is, and what can be made of one: stretched, scaled, smoothed."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

from spikesim.dynamics.ops import Value, detach
from spikesim.dynamics.surrogates.pieces import is_number
from spikesim.errors import ConfigError, TraceError

SMALLEST, LARGEST = 1e-30, 1e30  # a constant, and one over it, must be finite in float32 too


class Surrogate:
    """Base of every surrogate gradient; a subclass writes ``derivative``.

    The derivative stands in for the Dirac pulse of a spike in the backward pass; the spike itself stays a hard
    step. ``primitive``, its integral, is the smoothed step that it belongs to. Only checks need it, which
    differentiate a network of smoothed steps numerically.

    >>> class Quadratic(Surrogate):
    ...     def derivative(self, u):
    ...         return 1.0 / (1.0 + u * u)
    >>> Quadratic().derivative(1.0)
    0.5
    """

    @property
    def smooth(self) -> bool:
        """Whether a spike emits the smoothed step instead of the hard one."""
        return False

    def derivative(self, u: Value) -> Value:
        """Surrogate of d spike / d u at ``u`` (potential minus threshold).

        Args:
            u: a number, a tensor, or a proxy while a step is recorded.

        Raises:
            TraceError: the subclass does not define it.
        """
        raise TraceError(f"{type(self).__name__} defines no derivative(u); write it with the functions of ops")

    def primitive(self, u: Value) -> Value:
        """Integral of ``derivative``: the smoothed step.

        Raises:
            TraceError: the surrogate does not define it.
        """
        raise TraceError(
            f"{type(self).__name__} defines no primitive(u), the integral of its derivative, which this check needs"
        )

    def stretched(self, width: Value) -> Surrogate:
        """This surrogate ``width`` times as wide and 1/``width`` times as high: its area is kept.

        Args:
            width: positive; a number, or a value of the step, such as a parameter sigma or a function of the
                potential. No gradient flows through it.

        Raises:
            ConfigError: a number that is not positive and finite.

        >>> from spikesim.dynamics import ATan
        >>> ATan(alpha=2.0).stretched(2.0).derivative(1.0) == ATan(alpha=1.0).derivative(1.0)
        True
        """
        return _Stretched(self, checked("stretched: width", width) if is_number(width) else width)

    def scaled(self, factor: float) -> Surrogate:
        """This surrogate ``factor`` times as high, e.g. damped by 0.3 (Bellec et al., NeurIPS 2018).

        Raises:
            ConfigError: ``factor`` is not positive and finite.

        >>> from spikesim.dynamics import Triangle
        >>> Triangle().scaled(0.3).derivative(0.0)
        0.3
        """
        return _Scaled(self, checked("scaled: factor", factor))

    def smoothed(self) -> Surrogate:
        """A surrogate whose forward is the smoothed step itself, so that gradients can be checked.

        >>> from spikesim.dynamics import ATan
        >>> ATan().smoothed().primitive(0.0)
        0.5
        """
        return _Smoothed(self)


class Shaped(Surrogate):
    """Base of the surrogates with constants, which are checked when one is built."""

    may_be_zero: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (name in self.may_be_zero and isinstance(value, Real) and value == 0):
                value = checked(f"{type(self).__name__}: {name}", value)
            object.__setattr__(self, name, float(value))  # the way round a frozen dataclass


def checked(what: str, value: object) -> float:
    """The number ``value``, if it is positive and finite, also in float32.

    Raises:
        ConfigError: it is not.

    >>> checked("ATan: alpha", 2)
    2.0
    >>> checked("ATan: alpha", -2)
    Traceback (most recent call last):
    ...
    spikesim.errors.ConfigError: ATan: alpha is -2, but it must be positive and finite (a number from 1e-30 to 1e+30)
    """
    if not isinstance(value, Real):
        raise ConfigError(
            f"{what} is a {type(value).__name__}, but it must be a plain number; "
            "for a width that is a parameter or follows the potential, use spike(..., width=...)"
        )
    number: Any = value  # Real knows no comparison with float
    if not SMALLEST <= number <= LARGEST:
        raise ConfigError(
            f"{what} is {value}, but it must be positive and finite (a number from {SMALLEST:g} to {LARGEST:g})"
        )
    return float(number)


@dataclass(frozen=True)
class _Stretched(Surrogate):
    base: Surrogate
    width: Value

    @property
    def smooth(self) -> bool:
        return self.base.smooth

    def derivative(self, u: Value) -> Value:
        return self.base.derivative(u / self.width) / self.width

    def primitive(self, u: Value) -> Value:
        # Detached, so that the smoothed step has the gradient of the surrogate: one to u alone.
        return self.base.primitive(u / (self.width if is_number(self.width) else detach(self.width)))


@dataclass(frozen=True)
class _Scaled(Surrogate):
    base: Surrogate
    factor: float

    @property
    def smooth(self) -> bool:
        return self.base.smooth

    def derivative(self, u: Value) -> Value:
        return self.factor * self.base.derivative(u)

    def primitive(self, u: Value) -> Value:
        return self.factor * self.base.primitive(u)


@dataclass(frozen=True)
class _Smoothed(Surrogate):
    base: Surrogate

    @property
    def smooth(self) -> bool:
        return True

    def derivative(self, u: Value) -> Value:
        return self.base.derivative(u)

    def primitive(self, u: Value) -> Value:
        return self.base.primitive(u)
