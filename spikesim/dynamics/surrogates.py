"""Surrogate gradients: each is one equation, the derivative that replaces the Dirac pulse of a spike.

``primitive`` is its integral: the smoothed step that the derivative belongs to. It is needed only by
checks, which differentiate a network of smoothed steps numerically.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from spikesim.dynamics.ops import Value, absolute, atan, clip, erf, exp, sigmoid, where
from spikesim.errors import ConfigError


class Surrogate:
    """Base of every surrogate gradient; a subclass writes ``derivative``.

    >>> class Quadratic(Surrogate):
    ...     def derivative(self, u):
    ...         return 1.0 / (1.0 + u * u)
    >>> Quadratic().derivative(1.0)
    0.5
    """

    smooth = False

    def derivative(self, u: Value) -> Value:
        """Surrogate of d spike / d u at ``u`` (potential minus threshold)."""
        raise TypeError(f"{type(self).__name__} must define derivative(u)")

    def primitive(self, u: Value) -> Value:
        """Integral of ``derivative``: the smoothed step."""
        raise TypeError(
            f"{type(self).__name__} defines no primitive(u), the integral of its derivative, which this check needs"
        )

    def stretched(self, width: Value) -> Surrogate:
        """This surrogate stretched along u by ``width``, area kept."""
        return _Stretched(self, width)

    def smoothed(self) -> Surrogate:
        """A surrogate whose forward is the smoothed step itself, so that gradients can be checked."""
        return _Smoothed(self)


@dataclass(frozen=True)
class _Stretched(Surrogate):
    base: Surrogate
    width: Value

    def derivative(self, u: Value) -> Value:
        return self.base.derivative(u / self.width) / self.width

    def primitive(self, u: Value) -> Value:
        return self.base.primitive(u / self.width)


@dataclass(frozen=True)
class _Smoothed(Surrogate):
    base: Surrogate
    smooth = True

    def derivative(self, u: Value) -> Value:
        return self.base.derivative(u)

    def primitive(self, u: Value) -> Value:
        return self.base.primitive(u)


class _Positive:
    """Check that every constant of a surrogate is a positive, finite number."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{type(self).__name__}: {name} is {value}, but it must be positive and finite")


@dataclass(frozen=True)
class ATan(_Positive, Surrogate):
    """Arc tangent: ``(alpha/2) / (1 + (pi/2 alpha u)^2)`` (Fang et al., ICCV 2021).

    >>> ATan(alpha=2.0).derivative(0.0)
    1.0
    """

    alpha: float = 2.0

    def derivative(self, u: Value) -> Value:
        """Peak ``alpha/2`` at the threshold."""
        z = (math.pi / 2 * self.alpha) * u
        return (self.alpha / 2) / (1.0 + z * z)

    def primitive(self, u: Value) -> Value:
        """``atan(pi/2 alpha u) / pi + 1/2``."""
        return atan((math.pi / 2 * self.alpha) * u) * (1 / math.pi) + 0.5


@dataclass(frozen=True)
class FastSigmoid(_Positive, Surrogate):
    """Fast sigmoid: ``1 / (1 + slope |u|)^2`` (SuperSpike, Zenke & Ganguli, Neural Comput. 2018).

    >>> FastSigmoid(slope=1.0).derivative(1.0)
    0.25
    """

    slope: float = 25.0

    def derivative(self, u: Value) -> Value:
        """Peak 1 at the threshold."""
        z = 1.0 + self.slope * absolute(u)
        return 1.0 / (z * z)

    def primitive(self, u: Value) -> Value:
        """``u / (1 + slope |u|)``."""
        return u / (1.0 + self.slope * absolute(u))


@dataclass(frozen=True)
class Triangle(_Positive, Surrogate):
    """Triangle of unit area: ``max(0, 1 - |u|/width) / width`` (Bellec et al., NeurIPS 2018).

    >>> Triangle(width=2.0).derivative(1.0)
    0.25
    """

    width: float = 1.0

    def derivative(self, u: Value) -> Value:
        """Peak ``1/width`` at the threshold, zero beyond ``width``."""
        return (1 / self.width) * (1.0 - absolute(_clip(u * (1 / self.width))))

    def primitive(self, u: Value) -> Value:
        """Quadratic on either side of the threshold, from 0 to 1."""
        c = _clip(u * (1 / self.width))
        return 0.5 + c - 0.5 * c * absolute(c)


@dataclass(frozen=True)
class Box(_Positive, Surrogate):
    """Box of unit area: ``1/width`` where ``|u| < width/2`` (Wu et al., Front. Neurosci. 2018).

    >>> Box(width=2.0).derivative(0.9), Box(width=2.0).derivative(1.1)
    (0.5, 0.0)
    """

    width: float = 1.0

    def derivative(self, u: Value) -> Value:
        """``1/width`` inside, zero outside and on the edge."""
        inside = absolute(u) < self.width / 2
        return (1 / self.width if inside else 0.0) if isinstance(inside, bool) else where(inside, 1 / self.width, 0.0)

    def primitive(self, u: Value) -> Value:
        """A ramp from 0 to 1 across the box."""
        return clip(u * (1 / self.width) + 0.5, 0.0, 1.0)


@dataclass(frozen=True)
class Sigmoid(_Positive, Surrogate):
    """Derivative of the logistic function: ``alpha s (1 - s)``, ``s = sigmoid(alpha u)``.

    >>> Sigmoid(alpha=4.0).derivative(0.0)
    1.0
    """

    alpha: float = 4.0

    def derivative(self, u: Value) -> Value:
        """Peak ``alpha/4`` at the threshold."""
        s = sigmoid(self.alpha * u)
        return self.alpha * (s * (1.0 - s))

    def primitive(self, u: Value) -> Value:
        """``sigmoid(alpha u)``."""
        return sigmoid(self.alpha * u)


@dataclass(frozen=True)
class Gaussian(_Positive, Surrogate):
    """Normal density of standard deviation ``width`` (Yin et al., Nat. Mach. Intell. 2021).

    >>> round(Gaussian(width=0.5).derivative(0.0), 4)
    0.7979
    """

    width: float = 0.5

    def derivative(self, u: Value) -> Value:
        """Peak ``1 / (width sqrt(2 pi))`` at the threshold."""
        return (1 / (self.width * math.sqrt(2 * math.pi))) * exp((-0.5 / self.width**2) * (u * u))

    def primitive(self, u: Value) -> Value:
        """Normal distribution function."""
        return 0.5 + 0.5 * erf(u * (1 / (self.width * math.sqrt(2))))


def _clip(u: Value) -> Value:
    return max(-1.0, min(1.0, u)) if isinstance(u, float) else clip(u, -1.0, 1.0)
