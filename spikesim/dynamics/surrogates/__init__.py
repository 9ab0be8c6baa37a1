"""Surrogate gradients: each is one equation, the derivative that replaces the Dirac pulse of a spike.

:func:`surrogate` makes one of any function; :class:`Surrogate` says what all of them can do.

>>> from spikesim.neurons import LIF
>>> LIF(surrogate=Triangle(width=0.5)).surrogate
Triangle(width=0.5)
"""

from spikesim.dynamics.surrogates.base import Surrogate
from spikesim.dynamics.surrogates.catalogue import CATALOGUE, Description, by_name, describe
from spikesim.dynamics.surrogates.custom import surrogate
from spikesim.dynamics.surrogates.piecewise import (
    S2NN,
    Box,
    LeakyReLU,
    PiecewiseLeakyReLU,
    PiecewiseQuadratic,
    StraightThrough,
    Triangle,
)
from spikesim.dynamics.surrogates.smooth import (
    ATan,
    Erf,
    Exponential,
    FastSigmoid,
    Gaussian,
    MultiGaussian,
    Sigmoid,
    SuperSpike,
)

__all__ = [
    "CATALOGUE",
    "S2NN",
    "ATan",
    "Box",
    "Description",
    "Erf",
    "Exponential",
    "FastSigmoid",
    "Gaussian",
    "LeakyReLU",
    "MultiGaussian",
    "PiecewiseLeakyReLU",
    "PiecewiseQuadratic",
    "Sigmoid",
    "StraightThrough",
    "SuperSpike",
    "Surrogate",
    "Triangle",
    "by_name",
    "describe",
    "surrogate",
]
