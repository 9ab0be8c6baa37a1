"""What the settings of a transform may be, and the messages when they are not."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikesim.errors import ConfigError


def check_positive(name: str, value: float, unit: str) -> None:
    """Refuse what is not a positive number.

    >>> check_positive("filter_time", 3.0, "microseconds")
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < 2**62:
        raise ConfigError(f"{name} is {value!r}; expected a positive number of {unit}")


def check_whole(name: str, value: Any, least: int) -> None:
    """Refuse what is not a whole number of at least ``least``.

    >>> check_whole("n_time_bins", 3, 1)
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ConfigError(f"{name} is {value!r}; expected a whole number, {least} or more")


def check_probability(name: str, value: Any) -> None:
    """Refuse what is no probability.

    >>> check_probability("p", 0.5)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
        raise ConfigError(f"{name} is {value!r}; expected a probability from 0 to 1")


def check_seed(value: Any) -> None:
    """Refuse what is no whole number.

    >>> check_seed(-3)
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ConfigError(f"seed is {value!r}; expected a whole number")
