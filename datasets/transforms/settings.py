"""What the settings of a transform may be, and the messages when they are not."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikesim.errors import ConfigError

LARGEST = 2**53
"""Up to here a float64 holds every whole number; in microseconds that is 285 years."""


def check_number(name: str, value: Any, least: float, most: float, expected: str) -> None:
    """Refuse what is no number from ``least`` to ``most``.

    >>> check_number("std", 3.0, 0, LARGEST, "0 or more microseconds")
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not least <= value <= most:
        raise ConfigError(f"{name} is {value!r}; expected {expected}")


def check_numbers(name: str, value: Any, least: float, most: float, expected: str) -> None:
    """Refuse what is neither such a number nor a range of them, the smaller one first.

    >>> check_numbers("delta", (3.0, 5), 0, LARGEST, "microseconds")
    """
    low, high = ends_of(name, value)
    check_number(name, low, least, most, expected)
    check_number(name, high, least, most, expected)
    if low > high:
        raise ConfigError(f"{name} is {value!r}; expected the range in ascending order, the smaller number first")


def ends_of(name: str, value: Any) -> tuple[Any, Any]:
    """Both ends of a range, or a single number twice.

    >>> ends_of("p", 3), ends_of("p", (1, 2))
    ((3, 3), (1, 2))
    """
    if not isinstance(value, (tuple, list)):
        return value, value
    if len(value) != 2:
        raise ConfigError(f"{name} is {value!r}; expected one number, or two in ascending order")
    return value[0], value[1]


def check_positive(name: str, value: float, unit: str) -> None:
    """Refuse what is not a positive number.

    >>> check_positive("filter_time", 3.0, "microseconds")
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < 2**62:
        raise ConfigError(f"{name} is {value!r}; expected a positive number of {unit}")


def check_whole(name: str, value: Any, least: int) -> None:
    """Refuse what is not a whole number of at least ``least``, or is so large that it must be a mistake.

    >>> check_whole("n_time_bins", 3, 1)
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value < 2**31:
        raise ConfigError(f"{name} is {value!r}; expected a whole number, {least} or more and below 2**31")


def check_probability(name: str, value: Any) -> None:
    """Refuse what is no probability.

    >>> check_probability("p", 0.5)
    """
    check_number(name, value, 0, 1, "a probability from 0 to 1")


def check_seed(value: Any) -> None:
    """Refuse what is no whole number.

    >>> check_seed(-3)
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ConfigError(f"seed is {value!r}; expected a whole number")
