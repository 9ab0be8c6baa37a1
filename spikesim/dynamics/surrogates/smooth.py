"""Surrogates of one formula: heavy-tailed, exponential and Gaussian.

Each is written so that nothing overflows on the way: exponentials are of negative numbers only, and an infinite
square ends in a quotient or an exponential that is 0. So a derivative is finite for every finite ``u``, 0 at
infinity, and NaN for NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from spikesim.dynamics.ops import Value, absolute, atan, erf, exp, sign, tanh
from spikesim.dynamics.surrogates.base import Shaped


@dataclass(frozen=True)
class ATan(Shaped):
    """Arc tangent: ``(alpha/2) / (1 + (pi/2 alpha u)^2)`` (Fang et al., ICCV 2021).

    Args:
        alpha: twice the peak. Even; the area is 1.

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
class Sigmoid(Shaped):
    """Logistic: ``alpha s (1 - s) with s = sigmoid(alpha u)`` (Wu et al., Front. Neurosci. 2018, h3).

    Args:
        alpha: four times the peak. Even; the area is 1.

    >>> Sigmoid(alpha=4.0).derivative(0.0)
    1.0
    """

    alpha: float = 4.0

    def derivative(self, u: Value) -> Value:
        """Peak ``alpha/4`` at the threshold; the same on both sides, so written with ``exp(-alpha |u|)``."""
        e = exp(-self.alpha * absolute(u))
        return self.alpha * e / ((1.0 + e) * (1.0 + e))

    def primitive(self, u: Value) -> Value:
        """``sigmoid(alpha u)``, as a tanh, which cannot overflow."""
        return 0.5 + 0.5 * tanh((0.5 * self.alpha) * u)


@dataclass(frozen=True)
class FastSigmoid(Shaped):
    """Fast sigmoid: ``1 / (1 + slope |u|)^2`` (SuperSpike, Zenke & Ganguli, Neural Comput. 2018).

    Args:
        slope: the beta of the paper. Even; the area is ``2/slope``, and the smoothed step runs from ``-1/slope``
            to ``1/slope``.

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


SuperSpike = FastSigmoid
"""The same object under the name of the paper that introduced it."""


@dataclass(frozen=True)
class Exponential(Shaped):
    """Two-sided exponential: ``(alpha/2) exp(-alpha |u|)`` (SLAYER, Shrestha & Orchard, NeurIPS 2018).

    Args:
        alpha: twice the peak, and the rate of the decay. Even; the area is 1.

    >>> Exponential(alpha=2.0).derivative(0.0)
    1.0
    """

    alpha: float = 2.0

    def derivative(self, u: Value) -> Value:
        """Peak ``alpha/2`` at the threshold."""
        return (self.alpha / 2) * exp(-self.alpha * absolute(u))

    def primitive(self, u: Value) -> Value:
        """The distribution function of the Laplace density, from 0 to 1."""
        return 0.5 + 0.5 * sign(u) * (1.0 - exp(-self.alpha * absolute(u)))


@dataclass(frozen=True)
class Gaussian(Shaped):
    """Normal density: ``exp(-u^2 / (2 width^2)) / (width sqrt(2 pi))`` (Yin et al., Nat. Mach. Intell. 2021).

    Args:
        width: the standard deviation. Even; the area is 1.

    >>> round(Gaussian(width=0.5).derivative(0.0), 4)
    0.7979
    """

    width: float = 0.5

    def derivative(self, u: Value) -> Value:
        """Peak ``1 / (width sqrt(2 pi))`` at the threshold."""
        return _normal(u, self.width)

    def primitive(self, u: Value) -> Value:
        """Normal distribution function."""
        return _normal_integral(u, self.width)


@dataclass(frozen=True)
class Erf(Shaped):
    """Error function: ``alpha / sqrt(pi) exp(-(alpha u)^2)`` (Wu et al., Front. Neurosci. 2018, h4).

    Args:
        alpha: its steepness; ``Gaussian(width)`` is the same curve with ``width = 1 / (alpha sqrt(2))``. Even; the
            area is 1.

    >>> round(Erf(alpha=2.0).derivative(0.0), 4)
    1.1284
    """

    alpha: float = 2.0

    def derivative(self, u: Value) -> Value:
        """Peak ``alpha / sqrt(pi)`` at the threshold."""
        z = self.alpha * u
        return (self.alpha / math.sqrt(math.pi)) * exp(-(z * z))

    def primitive(self, u: Value) -> Value:
        """``(1 + erf(alpha u)) / 2``."""
        return 0.5 + 0.5 * erf(self.alpha * u)


@dataclass(frozen=True)
class MultiGaussian(Shaped):
    """Three Gaussians: ``(1+h) N(u; 0, w) - h N(u; w, s w) - h N(u; -w, s w)`` (Yin et al., Nat. Mach. Intell. 2021).

    Negative on both sides, so that a potential far from the threshold is pushed back. Even; the area is
    ``1 - height``. The authors' code halves it: ``MultiGaussian().scaled(0.5)``.

    Args:
        width: w, the standard deviation of the middle one, and how far the others lie from the threshold.
        height: h, the weight of the negative ones.
        scale: s, how many times wider they are.

    >>> round(MultiGaussian().derivative(0.0), 4)
    0.8782
    """

    width: float = 0.5
    height: float = 0.15
    scale: float = 6.0

    def derivative(self, u: Value) -> Value:
        """Highest at the threshold, negative from about two widths on."""
        w, h, wide = self.width, self.height, self.scale * self.width
        return (1.0 + h) * _normal(u, w) - h * (_normal(u - w, wide) + _normal(u + w, wide))

    def primitive(self, u: Value) -> Value:
        """From 0 over a hill and a valley to ``1 - height``."""
        w, h, wide = self.width, self.height, self.scale * self.width
        sides = _normal_integral(u - w, wide) + _normal_integral(u + w, wide)
        return (1.0 + h) * _normal_integral(u, w) - h * sides


def _normal(u: Value, width: float) -> Value:
    z = u * (1 / width)
    return (1 / (width * math.sqrt(2 * math.pi))) * exp(-0.5 * (z * z))


def _normal_integral(u: Value, width: float) -> Value:
    return 0.5 + 0.5 * erf(u * (1 / (width * math.sqrt(2))))
