"""Surrogates of several pieces: triangles, boxes, leaky ramps and the constant.

As in ``smooth.py``, a derivative is finite for every finite ``u`` and NaN for NaN. Those with a leak keep it at
infinity; the others are 0 there.
"""

from __future__ import annotations

from dataclasses import dataclass

from spikesim.dynamics.ops import Value, absolute, exp, log, tanh
from spikesim.dynamics.surrogates.base import Shaped, Surrogate
from spikesim.dynamics.surrogates.pieces import choose, clipped, constant


@dataclass(frozen=True)
class Triangle(Shaped):
    """Triangle: ``max(0, 1 - |u|/width) / width`` (Bellec et al., NeurIPS 2018).

    Args:
        width: half of its base, and one over its peak. Even; the area is 1. The paper damps it:
            ``Triangle().scaled(0.3)``.

    >>> Triangle(width=2.0).derivative(1.0)
    0.25
    """

    width: float = 1.0

    def derivative(self, u: Value) -> Value:
        """Peak ``1/width`` at the threshold, zero beyond ``width``."""
        return (1 / self.width) * (1.0 - absolute(clipped(u * (1 / self.width), -1.0, 1.0)))

    def primitive(self, u: Value) -> Value:
        """Quadratic on either side of the threshold, from 0 to 1."""
        c = clipped(u * (1 / self.width), -1.0, 1.0)
        return 0.5 + c - 0.5 * c * absolute(c)


@dataclass(frozen=True)
class PiecewiseQuadratic(Shaped):
    """Triangle by its peak: ``alpha max(0, 1 - alpha |u|)`` (Esser et al., PNAS 2016).

    ``Triangle(1/alpha)`` under the name that the literature takes from its primitive.

    Args:
        alpha: the peak. Even; the area is 1.

    >>> PiecewiseQuadratic(alpha=2.0).derivative(0.25)
    1.0
    """

    alpha: float = 1.0

    def derivative(self, u: Value) -> Value:
        """Peak ``alpha`` at the threshold, zero beyond ``1/alpha``."""
        return self.alpha * (1.0 - absolute(clipped(self.alpha * u, -1.0, 1.0)))

    def primitive(self, u: Value) -> Value:
        """Quadratic on either side of the threshold, from 0 to 1."""
        c = clipped(self.alpha * u, -1.0, 1.0)
        return 0.5 + c - 0.5 * c * absolute(c)


@dataclass(frozen=True)
class Box(Shaped):
    """Box: ``1/width if |u| < width/2 else 0`` (Wu et al., Front. Neurosci. 2018, h1).

    Args:
        width: its whole width. Even; the area is 1.

    >>> Box(width=2.0).derivative(0.9), Box(width=2.0).derivative(1.1)
    (0.5, 0.0)
    """

    width: float = 1.0

    def derivative(self, u: Value) -> Value:
        """``1/width`` inside, zero outside and on the edge."""
        return choose(absolute(u) < self.width / 2, 1 / self.width, constant(u, 0.0))

    def primitive(self, u: Value) -> Value:
        """A ramp from 0 to 1 across the box."""
        return clipped(u * (1 / self.width) + 0.5, 0.0, 1.0)


@dataclass(frozen=True)
class PiecewiseLeakyReLU(Shaped):
    """Box with a leak: ``1/width if |u| < width/2 else leak`` (SpikingJelly, Fang et al., Sci. Adv. 2023).

    Args:
        width: whole width of the box.
        leak: the slope outside, also at infinity; 0 leaves ``Box``. Even; the area is infinite unless ``leak`` is 0.

    >>> PiecewiseLeakyReLU(width=2.0, leak=0.01).derivative(3.0)
    0.01
    """

    width: float = 2.0
    leak: float = 0.01
    may_be_zero = frozenset({"leak"})

    def derivative(self, u: Value) -> Value:
        """``1/width`` inside, ``leak`` outside and on the edge."""
        return choose(absolute(u) < self.width / 2, 1 / self.width, constant(u, self.leak))

    def primitive(self, u: Value) -> Value:
        """A ramp from 0 to 1 across the box, and one of slope ``leak`` on either side."""
        inside = clipped(u, -self.width / 2, self.width / 2)
        return 0.5 + inside * (1 / self.width) + self.leak * (u - inside)


@dataclass(frozen=True)
class LeakyReLU(Shaped):
    """Leaky ReLU: ``1 if u >= 0 else leak`` (leaky spike operator, Eshraghian et al., Proc. IEEE 2023).

    Args:
        leak: the slope below the threshold, also at minus infinity; may be 0. Not even; the area is infinite, and
            the derivative stays 1 at infinity.

    >>> LeakyReLU(leak=0.1).derivative(-3.0)
    0.1
    """

    leak: float = 0.1
    may_be_zero = frozenset({"leak"})

    def derivative(self, u: Value) -> Value:
        """1 where it fires, ``leak`` below."""
        return choose(u < 0.0, self.leak, constant(u, 1.0))

    def primitive(self, u: Value) -> Value:
        """The leaky ReLU itself."""
        return choose(u < 0.0, self.leak * u, u)


@dataclass(frozen=True)
class StraightThrough(Surrogate):
    """Straight-through estimator: ``1`` (Bengio et al., arXiv:1308.3432, 2013).

    A plain number, so that a kernel has nothing to keep for it: 1 at infinity and for NaN too. Even; the area is
    infinite.

    >>> StraightThrough().derivative(-3.0)
    1.0
    """

    def derivative(self, u: Value) -> Value:
        """1 everywhere."""
        return 1.0

    def primitive(self, u: Value) -> Value:
        """``u`` itself."""
        return u


@dataclass(frozen=True)
class S2NN(Shaped):
    """Sigmoid, then hyperbola: ``alpha s (1 - s) if u < 0 else beta / (1 + u)`` (Suetake et al., arXiv:2201.10879).

    Here ``s = sigmoid(alpha u)``.

    Args:
        alpha: steepness below the threshold.
        beta: the derivative at the threshold. Not even; the area is infinite, but the derivative falls to 0.

    >>> S2NN().derivative(0.0), S2NN().derivative(1.0)
    (1.0, 0.5)
    """

    alpha: float = 4.0
    beta: float = 1.0

    def derivative(self, u: Value) -> Value:
        """``beta`` at the threshold, just below it ``alpha/4``."""
        e = exp(-self.alpha * absolute(u))
        return choose(u < 0.0, self.alpha * e / ((1.0 + e) * (1.0 + e)), self.beta / (1.0 + absolute(u)))

    def primitive(self, u: Value) -> Value:
        """``sigmoid(alpha u)`` below the threshold, ``1/2 + beta log(1 + u)`` above."""
        below = 0.5 + 0.5 * tanh((0.5 * self.alpha) * u)
        return choose(u < 0.0, below, 0.5 + self.beta * log(1.0 + absolute(u)))
