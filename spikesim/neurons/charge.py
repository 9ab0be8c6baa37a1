"""The leaky charge that several families share, in one order of operations."""

from __future__ import annotations

from typing import Any


def leaky_charge(x: Any, v: Any, tau: Any, scale_input: bool) -> Any:
    """One Euler step of ``tau dv/dt = -v + x`` with dt = 1, the input scaled by 1/tau or not.

    >>> leaky_charge(1.0, 0.5, 2.0, scale_input=True), leaky_charge(1.0, 0.5, 2.0, scale_input=False)
    (0.75, 1.25)
    """
    return v + (x - v) / tau if scale_input else v - v / tau + x
