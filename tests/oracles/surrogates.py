"""Every surrogate as its paper writes it, in float64, one number at a time; and integration by Gauss's rule."""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from spikesim.dynamics import surrogate


def _normal(u, mean, width):
    return math.exp(-((u - mean) ** 2) / (2 * width**2)) / (width * math.sqrt(2 * math.pi))


def _logistic(u):
    return 1 / (1 + math.exp(-u)) if u > 0 else math.exp(u) / (1 + math.exp(u))


@dataclass(frozen=True)
class Textbook:
    """Derivative at u with the surrogate's constants; area under it; where it bends or jumps; its two tails."""

    derivative: object
    area: object
    bends: object = field(default=lambda **_: [])
    even: bool = True
    tails: object = field(default=lambda **_: (0.0, 0.0))


TEXTBOOK = {
    "ATan": Textbook(lambda u, alpha: alpha / 2 / (1 + (math.pi / 2 * alpha * u) ** 2), lambda alpha: 1),
    "Sigmoid": Textbook(lambda u, alpha: alpha * _logistic(alpha * u) * _logistic(-alpha * u), lambda alpha: 1),
    "FastSigmoid": Textbook(
        lambda u, slope: 1 / (1 + slope * abs(u)) ** 2, lambda slope: 2 / slope, bends=lambda slope: [0]
    ),
    "Triangle": Textbook(
        lambda u, width: max(0, 1 - abs(u) / width) / width,
        lambda width: 1,
        bends=lambda width: [-width, 0, width],
    ),
    "Box": Textbook(
        lambda u, width: 1 / width if abs(u) < width / 2 else 0,
        lambda width: 1,
        bends=lambda width: [-width / 2, width / 2],
    ),
    "Gaussian": Textbook(lambda u, width: _normal(u, 0, width), lambda width: 1),
    "MultiGaussian": Textbook(
        lambda u, width, height, scale: (
            (1 + height) * _normal(u, 0, width)
            - height * _normal(u, width, scale * width)
            - height * _normal(u, -width, scale * width)
        ),
        lambda width, height, scale: 1 - height,
    ),
    "Erf": Textbook(lambda u, alpha: alpha / math.sqrt(math.pi) * math.exp(-((alpha * u) ** 2)), lambda alpha: 1),
    "Exponential": Textbook(
        lambda u, alpha: alpha / 2 * math.exp(-alpha * abs(u)), lambda alpha: 1, bends=lambda alpha: [0]
    ),
    "PiecewiseQuadratic": Textbook(
        lambda u, alpha: max(0, alpha - alpha**2 * abs(u)),
        lambda alpha: 1,
        bends=lambda alpha: [-1 / alpha, 0, 1 / alpha],
    ),
    "PiecewiseLeakyReLU": Textbook(
        lambda u, width, leak: 1 / width if abs(u) < width / 2 else leak,
        lambda width, leak: math.inf,
        bends=lambda width, leak: [-width / 2, width / 2],
        tails=lambda width, leak: (leak, leak),
    ),
    "LeakyReLU": Textbook(
        lambda u, leak: 1 if u >= 0 else leak,
        lambda leak: math.inf,
        bends=lambda leak: [0],
        even=False,
        tails=lambda leak: (leak, 1.0),
    ),
    "StraightThrough": Textbook(lambda u: 1, lambda: math.inf, tails=lambda: (1.0, 1.0)),
    "S2NN": Textbook(
        lambda u, alpha, beta: alpha * _logistic(alpha * u) * _logistic(-alpha * u) if u < 0 else beta / (1 + u),
        lambda alpha, beta: math.inf,
        bends=lambda alpha, beta: [0],
        even=False,
    ),
}


def integral(function, a, b, bends, pieces=60):
    """Integral of a function of one number from a to b, smooth between its bends."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    borders = sorted({a, b, *(x for x in bends if a < x < b)})
    total = 0.0
    for low, high in pairwise(borders):
        edges = np.linspace(low, high, pieces + 1)
        for left, right in pairwise(edges):
            middle, half = (left + right) / 2, (right - left) / 2
            total += half * sum(w * function(middle + half * x) for x, w in zip(nodes, weights))
    return total


def bump(u):
    """A custom surrogate with a name that another process can look up."""
    return 1.0 / (1.0 + u * u)


@surrogate
def decorated(u):
    """The same as a decorator leaves it: the name leads to the surrogate, not to the function."""
    return 1.0 / (1.0 + u * u)
