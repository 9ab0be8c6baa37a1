"""Numbers for people: energies with SI prefixes, counts in thousands and millions."""

from __future__ import annotations

import math

_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))


def format_energy(joules: float) -> str:
    """Write an energy with an SI prefix and four significant figures.

    Args:
        joules: the energy in joules.

    Example:
        >>> from spikesim.energy import format_energy
        >>> format_energy(4.6e-12), format_energy(1.8e-6), format_energy(0.0)
        ('4.600 pJ', '1.800 µJ', '0 J')
    """
    if joules == 0 or not math.isfinite(joules):
        return f"{joules:g} J"
    factor, unit = one_unit(joules)
    value = joules / factor
    digits = max(0, 3 - math.floor(math.log10(max(abs(value), 1.0))))
    return f"{value:.{digits}f} {unit}"


def one_unit(joules: float) -> tuple[float, str]:
    """The unit in which an energy has one to three digits before the point, for a column of a table.

    Args:
        joules: the largest energy of the column.

    Returns:
        Joules per unit, and the unit's name.

    Example:
        >>> from spikesim.energy.units import one_unit
        >>> one_unit(3.2e-8), one_unit(0.0)
        ((1e-09, 'nJ'), (1.0, 'J'))
    """
    if joules == 0 or not math.isfinite(joules):
        return 1.0, "J"
    # The margin keeps 999.99 from being printed as 1000 of the smaller prefix.
    factor, prefix = next((p for p in _PREFIXES if abs(joules) >= p[0] * 0.99995), _PREFIXES[-1])
    return factor, f"{prefix}J"


def format_count(count: float) -> str:
    """Write a count with four significant figures and k, M, G or T for thousands.

    Example:
        >>> from spikesim.energy.units import format_count
        >>> format_count(27504), format_count(12.25), format_count(999), format_count(247.31e6)
        ('27.50k', '12.2', '999', '247.3M')
    """
    for factor, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= factor * 0.99995:
            value = count / factor
            return f"{value:.{3 - math.floor(math.log10(max(value, 1.0)))}f}{suffix}"
    return f"{count:.0f}" if float(count).is_integer() else f"{count:.1f}"
