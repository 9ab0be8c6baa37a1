"""What each constant of a profile is worth: its value, or many draws between low and high."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from spikesim.energy.figures import Figure
from spikesim.energy.means import Floats, Quantity
from spikesim.energy.profile import Profile
from spikesim.errors import PricingError

Distribution = Literal["triangular", "log-uniform"]


def central_prices(profile: Profile) -> dict[str, Quantity]:
    """Constant -> value in SI units."""
    return {name: figure.si for name, figure in profile.figures().items()}


def drawn_prices(profile: Profile, quantiles: Floats, distribution: Distribution) -> dict[str, Quantity]:
    """Constant -> draws ``[B]`` in SI units, one quantile for all constants of the profile.

    A source that is off for one of its figures is off for the others in the same direction, since process, voltage and
    method are common to them.

    Args:
        profile: the constants.
        quantiles: ``[B]``, in 0 to 1.
        distribution: "triangular" between low and high with its peak at the value, or "log-uniform".

    Raises:
        PricingError: log-uniform over a range that starts at zero.
    """
    return {name: _draw(name, figure, quantiles, distribution) for name, figure in profile.figures().items()}


def _draw(name: str, figure: Figure, u: Floats, distribution: Distribution) -> Quantity:
    low, mode, high = (figure.factor * value for value in (figure.low, figure.value, figure.high))
    if not figure.is_range:
        return mode
    if distribution == "log-uniform":
        if low == 0:
            raise PricingError(f"{name} ranges from 0, where a log-uniform distribution has no start; use 'triangular'")
        return low * (high / low) ** u
    span, rise = high - low, (mode - low) / (high - low)
    rising = low + np.sqrt(u * span * (mode - low))
    falling = high - np.sqrt((1 - u) * span * (high - mode))
    return np.where(u < rise, rising, falling)


def with_bits(prices: Mapping[str, Quantity], bits: int) -> dict[str, Quantity]:
    """The same with the price of a multiply-accumulate on an activation of a few bits, as ``mac@bits``.

    A product with a b-bit number is at most b additions of the shifted weight, so it costs no more than the profile's
    own multiply-accumulate and no more than b additions. Shifts are taken as free.

    Example:
        >>> from spikesim.energy.prices import with_bits
        >>> with_bits({"mac": 4.6, "synop": 0.9}, 3)["mac@3"]
        2.7
    """
    added = prices["synop"] if "synop" in prices else prices["add"]
    least = np.minimum(prices["mac"], bits * added)
    return {**prices, f"mac@{bits}": float(least) if np.ndim(least) == 0 else least}
