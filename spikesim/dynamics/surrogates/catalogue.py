"""The surrogates that come with the package, by name."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import NamedTuple

from spikesim.dynamics.surrogates.base import Shaped, Surrogate
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
from spikesim.errors import ConfigError

CATALOGUE: dict[str, type[Surrogate]] = {
    kind.__name__: kind
    for kind in (
        ATan,
        Sigmoid,
        FastSigmoid,
        Triangle,
        Box,
        Gaussian,
        MultiGaussian,
        Erf,
        Exponential,
        PiecewiseQuadratic,
        PiecewiseLeakyReLU,
        LeakyReLU,
        StraightThrough,
        S2NN,
    )
}
_ALIASES: dict[str, type[Surrogate]] = {"SuperSpike": SuperSpike}
# Each docstring begins with "What it is: ``equation`` (source)."
_SUMMARY = re.compile(r"[^:]+: ``(?P<equation>.+?)`` \((?P<source>.+)\)\.")


class Description(NamedTuple):
    """One line of ``spikesim surrogates list``."""

    name: str
    equation: str
    parameters: str
    source: str


def describe(kind: type[Surrogate]) -> Description:
    """Name, equation, parameters with defaults, and source of a surrogate of the catalogue.

    >>> describe(ATan)
    Description(name='ATan', equation='(alpha/2) / (1 + (pi/2 alpha u)^2)', parameters='alpha=2',
    source='Fang et al., ICCV 2021')
    """
    summary = _SUMMARY.match(inspect.getdoc(kind) or "")  # python -OO leaves no docstrings
    equation, source = summary.group("equation", "source") if summary else ("", "")
    names = [name for name, found in (CATALOGUE | _ALIASES).items() if found is kind]
    parameters = ", ".join(f"{name}={value:g}" for name, value in vars(kind()).items())
    return Description(", ".join(names), equation, parameters, source)


def by_name(text: str) -> Surrogate:
    """The surrogate that ``text`` names, with its parameters if they differ from the defaults.

    Args:
        text: ``NAME`` or ``NAME:parameter=value,...``; upper and lower case are the same.

    Raises:
        ConfigError: an unknown name or parameter, or a value out of range.

    >>> by_name("atan"), by_name("MultiGaussian:width=0.3,scale=4")
    (ATan(alpha=2.0), MultiGaussian(width=0.3, height=0.15, scale=4.0))
    """
    name, _, settings = text.partition(":")
    kinds = {known.lower(): kind for known, kind in (CATALOGUE | _ALIASES).items()}
    kind = kinds.get(name.strip().lower())
    if kind is None:
        known = ", ".join(sorted([*CATALOGUE, *_ALIASES], key=str.lower))
        raise ConfigError(f"no surrogate is called '{name}'; known are {known}")
    return kind(**_parsed(text, kind, settings))


def _parsed(text: str, kind: type[Surrogate], settings: str) -> dict[str, float]:
    fields = [f.name for f in dataclasses.fields(kind)] if issubclass(kind, Shaped) else []  # type: ignore[arg-type]
    values: dict[str, float] = {}
    for setting in settings.split(",") if settings else []:
        key, _, value = (part.strip() for part in setting.partition("="))
        if key not in fields:
            takes = f"takes {', '.join(fields)}" if fields else "has no parameters"
            raise ConfigError(f"'{text}' sets '{key}', but {kind.__name__} {takes}; write e.g. ATan:alpha=4")
        try:
            values[key] = float(value)
        except ValueError:
            raise ConfigError(f"'{text}' sets {key} to '{value}', but it must be a number") from None
    return values
