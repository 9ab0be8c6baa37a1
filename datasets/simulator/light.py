"""From the numbers of a picture to linear light, and from large pictures to small ones."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesim.datasets.simulator.photoreceptor import CODES, from_srgb, srgb_light
from spikesim.errors import ConfigError, EventError

Encoding = Literal["auto", "srgb", "linear"]
"""What the numbers of a picture mean; ``"auto"``: sRGB codes if they are uint8 or uint16, else linear light."""

LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of linear red, green and blue in the light of a pixel (ITU-R BT.709)."""


class Light(NamedTuple):
    """Frames as the kernels take them.

    Attributes:
        frames: codes (uint8) or linear light (float64), ``[F, H, W]``.
        table: linear light of each code ``[256]``, or nothing where ``frames`` holds light.
    """

    frames: NDArray[Any]
    table: NDArray[np.float64]

    def linear(self) -> NDArray[np.float64]:
        """The linear light of every pixel."""
        return self.table[self.frames] if self.table.size else self.frames


def check_frames(frames: ArrayLike, encoding: Encoding) -> NDArray[Any]:
    """Return frames as an array; refuse what is no movie.

    Args:
        frames: grey ``[F, H, W]`` or colour ``[F, H, W, 3]``.
        encoding: what the numbers mean.

    Raises:
        ConfigError: ``encoding`` is another word.
        EventError: another shape or dtype, or a value that is no intensity (names it).

    Example:
        >>> from spikesim.datasets.simulator.light import check_frames
        >>> check_frames([[[1.0, -1.0]]], "auto")
        Traceback (most recent call last):
        ...
        spikesim.errors.EventError: frame 0 has intensity -1.0 at x = 1, y = 0; expected 0 or more
    """
    if encoding not in ("auto", "srgb", "linear"):
        raise ConfigError(f'encoding is {encoding!r}; expected "auto", "srgb" or "linear"')
    try:
        movie = np.asarray(frames)
    except ValueError as error:  # a list of frames of several sizes
        raise EventError(f"frames are no array: {error}; expected frames of one size") from error
    if movie.dtype.kind not in "buif" or movie.dtype.itemsize > 8:
        raise EventError(f"frames have dtype {movie.dtype}; expected integers, booleans or floats up to 64 bits")
    if not (movie.ndim == 3 or (movie.ndim == 4 and movie.shape[3] == len(LUMA))):
        raise EventError(f"frames have shape {movie.shape}; expected [F, H, W], or [F, H, W, 3] in colour")
    if movie.size and movie.dtype.kind in "if":
        # Both comparisons are false for a NaN.
        good = float(movie.min()) >= 0 and float(movie.max()) < np.inf
        if not good:
            bad = ~(np.isfinite(movie) & (movie >= 0))
            f, y, x, *_ = np.unravel_index(int(np.argmax(bad)), movie.shape)
            value = movie.flat[int(np.argmax(bad))]
            raise EventError(f"frame {f} has intensity {value} at x = {x}, y = {y}; expected 0 or more")
    return movie


def as_light(movie: NDArray[Any], encoding: Encoding) -> Light:
    """Bring checked frames into the form that the kernels take.

    Args:
        movie: from :func:`check_frames`.
        encoding: what its numbers mean.

    Returns:
        Codes with their table for grey uint8, otherwise linear light; colours become the light that they give.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.simulator.light import as_light
        >>> as_light(np.full((1, 1, 1, 3), 255, np.uint8), "auto").frames.round(6).tolist()
        [[[1.0]]]
    """
    nothing = np.empty(0)
    if movie.dtype == np.uint8:
        table = np.arange(CODES) / (CODES - 1) if encoding == "linear" else srgb_light()
        return Light(np.ascontiguousarray(movie), table) if movie.ndim == 3 else Light(_luma(table[movie]), nothing)
    if movie.dtype == np.uint16:
        signal = movie / np.float64(np.iinfo(np.uint16).max)
        light = signal if encoding == "linear" else from_srgb(signal)
    else:
        light = movie.astype(np.float64)
        if encoding == "srgb":
            light = from_srgb(light)
    return Light(np.ascontiguousarray(light if movie.ndim == 3 else _luma(light)), nothing)


def _luma(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    red, green, blue = (weight * colours[..., k] for k, weight in enumerate(LUMA))
    return red + green + blue


def linear_picture(picture: ArrayLike, encoding: Encoding = "auto") -> NDArray[np.float64]:
    """Return the linear light of one picture.

    Args:
        picture: grey ``[H, W]`` or colour ``[H, W, 3]``.
        encoding: what the numbers mean.

    Returns:
        Linear light ``[H, W]``, white 1.

    Raises:
        EventError: another shape or dtype, or a value that is no intensity.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.simulator.light import linear_picture
        >>> linear_picture(np.array([[0, 255]], np.uint8)).tolist()
        [[0.0, 1.0]]
    """
    array = np.asarray(picture)
    if array.ndim not in (2, 3) or array.size == 0:
        raise EventError(f"the picture has shape {array.shape}; expected [H, W], or [H, W, 3] in colour, with pixels")
    return as_light(check_frames(array[None], encoding), encoding).linear()[0]


def resized(light: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """Bring pictures to another size: each new pixel is the mean of the area that it covers.

    Args:
        light: linear light ``[..., H, W]``.
        width: of the result.
        height: of the result.

    Returns:
        Linear light ``[..., height, width]``.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.simulator.light import resized
        >>> resized(np.array([[0.0, 3.0, 6.0]]), 2, 1).tolist()
        [[1.0, 5.0]]
    """
    return np.swapaxes(_mean_over(np.swapaxes(_mean_over(light, width), -1, -2), height), -1, -2)


def _mean_over(light: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Means over ``count`` equal parts of the last axis; a part may begin and end inside a pixel."""
    length = light.shape[-1]
    if length == count:
        return light
    sums = np.zeros((*light.shape[:-1], length + 1))
    np.cumsum(light, axis=-1, out=sums[..., 1:])
    edges = np.arange(count + 1) * (length / count)
    below = np.minimum(edges.astype(np.int64), length - 1)
    at = sums[..., below] + (edges - below) * light[..., below]
    return np.maximum(np.diff(at, axis=-1) * (count / length), 0.0)
