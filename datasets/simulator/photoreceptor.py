"""The kernels of the photoreceptor: from linear light to the signal that the pixel compares.

Light becomes the mapped intensity (logarithmic, linear below a level), and a first-order low-pass follows whose
cut-off rises with the light, as a photoreceptor's bandwidth does (Lichtsteiner et al. 2008,
https://doi.org/10.1109/JSSC.2007.914337). Between two frames the mapped intensity is a straight line and the
cut-off that of the mean light of both; the filter's answer to that line is exact.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

CODES = 256
"""Values that an 8-bit code has; what follows from one is looked up."""


class Receptor(NamedTuple):
    """What all pixels share, as the kernels want it.

    Attributes:
        offset: added to the light before the mapping.
        linear_below: light below which the mapping is a straight line; 0 for none.
        cutoff: pi times the cut-off at white, per microsecond; 0 for no filter.
        dark: share of the cut-off that is left in darkness.
        shot: rate of shot noise in darkness, per microsecond.
        shot_bright: share of it that is left at white.
        refractory: dead time in microseconds.
    """

    offset: float
    linear_below: float
    cutoff: float
    dark: float
    shot: float
    shot_bright: float
    refractory: float


@njit(cache=True, nogil=True, error_model="numpy")
def mapped(light: Any, receptor: Any) -> Any:
    """Natural logarithm of the light; below ``linear_below`` its tangent there, so that no slope jumps."""
    shifted = receptor.offset + light
    if shifted > receptor.linear_below:
        return np.log(shifted)
    return np.log(receptor.linear_below) + shifted / receptor.linear_below - 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def half_decay(light: Any, duration: Any, receptor: Any) -> Any:
    """What of the filter's past is left after half of ``duration`` (us) at this light.

    The decay over an interval is the product of the halves of its two frames, so that a half can be looked up.
    """
    return np.exp(-(receptor.cutoff * duration) * (receptor.dark + (1.0 - receptor.dark) * light))


@njit(cache=True, nogil=True, error_model="numpy")
def mapped_codes(lights: Any, receptor: Any) -> Any:
    """The mapped intensity ``[256]`` of every code."""
    table = np.empty(lights.size, np.float64)
    for code in range(lights.size):
        table[code] = mapped(lights[code], receptor)
    return table


@njit(cache=True, nogil=True, error_model="numpy")
def half_decays(lights: Any, duration: Any, receptor: Any, out: Any) -> None:
    """Fill ``out`` with :func:`half_decay` of each light."""
    for i in range(lights.size):
        out[i] = half_decay(lights[i], duration, receptor)


# The loops over a span of pixels are functions of their own: LLVM vectorises them there, and not inside the large
# kernel, where it cannot tell the arrays apart.


@njit(cache=True, nogil=True, error_model="numpy")
def look_up(codes: Any, table: Any, out: Any) -> None:
    """What a table says of each code."""
    for i in range(codes.size):
        out[i] = table[np.int64(codes[i])]


@njit(cache=True, nogil=True, error_model="numpy")
def copy(numbers: Any, out: Any) -> None:
    """Copy numbers, whatever their dtype."""
    for i in range(out.size):
        out[i] = numbers[i]


@njit(cache=True, nogil=True, error_model="numpy")
def map_light(lights: Any, lights_before: Any, before: Any, receptor: Any, out: Any) -> None:
    """The mapped intensity of each light; where it is what it was, so is the result, without another logarithm."""
    for i in range(lights.size):
        out[i] = before[i] if lights[i] == lights_before[i] else mapped(lights[i], receptor)


@njit(cache=True, nogil=True, error_model="numpy")
def low_pass(
    before: Any, after: Any, light_before: Any, light_after: Any, half_before: Any, half_after: Any,
    last: Any, duration: Any, receptor: Any, out: Any,
) -> None:  # fmt: skip
    """The filter's output at the end of an interval.

    The input goes from ``before`` to ``after``; ``last`` is the output at the start. With z the interval over the time
    constant: ``out = after - (after - before) (1 - e^-z) / z + (last - before) e^-z``.
    """
    rate = receptor.cutoff * duration
    for i in range(out.size):
        z = rate * (2.0 * receptor.dark + (1.0 - receptor.dark) * (light_before[i] + light_after[i]))
        left = half_before[i] * half_after[i]
        short = 1.0 - z * (0.5 - z / 6.0)  # where 1 - e^-z would lose its digits
        lag = short if z < 1e-4 else (1.0 - left) / z
        out[i] = after[i] - (after[i] - before[i]) * lag + (last[i] - before[i]) * left


def srgb_light() -> NDArray[np.float64]:
    """Linear light of the 256 codes of sRGB, black 0 and white 1 (IEC 61966-2-1).

    Example:
        >>> from spikesim.datasets.simulator.photoreceptor import srgb_light
        >>> srgb_light()[[0, 128, 255]].round(4).tolist()
        [0.0, 0.2159, 1.0]
    """
    return from_srgb(np.arange(CODES) / (CODES - 1))


def from_srgb(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light of an sRGB signal between 0 and 1 (IEC 61966-2-1).

    Args:
        signal: of any shape.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.simulator.photoreceptor import from_srgb
        >>> from_srgb(np.array([0.02, 0.5])).round(5).tolist()
        [0.00155, 0.21404]
    """
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
