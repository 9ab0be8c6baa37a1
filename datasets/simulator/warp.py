"""A picture drawn at moving places: enlarged, shifted and turned, by bilinear interpolation."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.errors import ConfigError

Border = Literal["black", "edge", "reflect", "wrap"]
"""What lies beyond a picture: nothing, its last pixels, its mirror image, or itself again."""

_PAD: dict[str, Any] = {"black": "constant", "edge": "edge", "reflect": "symmetric", "wrap": "wrap"}
_LARGEST_PIXELS = 2**28


@njit(cache=True, nogil=True, error_model="numpy")
def _places(
    y: Any, zoom: Any, origin: Any, shift: Any, turn: Any, margin: Any, rows: Any, columns: Any, first: Any, right: Any,
    down: Any,
) -> None:  # fmt: skip
    """For each pixel of a row: the upper left of its four neighbours in the bordered picture, and their weights."""
    cosine, sine = turn[0], turn[1]
    below = y + 0.5 - origin[1] - shift[1]
    for x in range(first.size):
        beside = x + 0.5 - origin[0] - shift[0]
        at_x = (cosine * beside + sine * below) / zoom - 0.5
        at_y = (cosine * below - sine * beside) / zoom - 0.5
        left, top = np.floor(at_x), np.floor(at_y)
        # Wholly outside, both neighbours must be border.
        right[x] = at_x - left if left >= -margin else 0.0
        down[x] = at_y - top if top >= -margin else 0.0
        column = min(max(left + margin, 0.0), columns - 2.0)
        row = min(max(top + margin, 0.0), rows - 2.0)
        first[x] = np.int64(row * columns + column)


@njit(cache=True, nogil=True, error_model="numpy")
def _blend(bordered: Any, columns: Any, first: Any, right: Any, down: Any, out: Any) -> None:
    """Bilinear interpolation at the places of a row."""
    for x in range(out.size):
        at = first[x]
        upper = (1.0 - right[x]) * bordered[at] + right[x] * bordered[at + 1]
        lower = (1.0 - right[x]) * bordered[at + columns] + right[x] * bordered[at + columns + 1]
        out[x] = (1.0 - down[x]) * upper + down[x] * lower


@njit(cache=True, nogil=True, error_model="numpy")
def _drawn(bordered: Any, margin: Any, zoom: Any, origin: Any, shifts: Any, turns: Any, height: Any, width: Any) -> Any:
    """Frames ``[F, height, width]`` of a picture with ``margin`` pixels of border before it and one more behind it."""
    rows, columns = bordered.shape
    flat = bordered.reshape(-1)
    frames = np.empty((len(shifts), height, width), np.float64)
    first, right, down = np.empty(width, np.int64), np.empty(width), np.empty(width)
    for f in range(len(shifts)):
        for y in range(height):
            _places(y, zoom, origin, shifts[f], turns[f], margin, rows, columns, first, right, down)
            _blend(flat, columns, first, right, down, frames[f, y])
    return frames


def draw(
    picture: NDArray[np.float64],
    zoom: float,
    origin: tuple[float, float],
    shifts: NDArray[np.float64],
    turns: NDArray[np.float64],
    size: tuple[int, int],
    border: Border = "black",
) -> NDArray[np.float64]:
    """Return the frames of a picture on its way.

    Args:
        picture: linear light ``[h, w]``.
        zoom: pixels of the frames for each of the picture's.
        origin: upper left corner of the picture (x, y) in pixels of the frames.
        shifts: of that corner in each frame, (x, y), ``[F, 2]``.
        turns: cosine and sine of the angle about that corner in each frame, ``[F, 2]``; positive from x towards y.
        size: width and height of the frames.
        border: what lies beyond the picture.

    Returns:
        Linear light ``[F, H, W]``.

    Raises:
        ConfigError: the border would be too large to keep.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.simulator.warp import draw
        >>> straight = np.array([[1.0, 0.0]] * 2)
        >>> draw(np.array([[1.0, 2.0]]), 1.0, (0, 0), np.array([[0.0, 0], [0.5, 0]]), straight, (3, 1)).tolist()
        [[[1.0, 2.0, 0.0]], [[0.5, 1.5, 1.0]]]
    """
    margin = 1
    if border in ("reflect", "wrap"):
        shifts, margin = _folded(picture, zoom, origin, shifts, turns, size, 2 if border == "reflect" else 1)
    sides = [length + 2 * margin + 1 for length in picture.shape]
    if sides[0] * sides[1] > _LARGEST_PIXELS:
        raise ConfigError(
            f"a {sides[1]} x {sides[0]} picture would be needed to fill the border; expected a smaller picture or "
            'sensor, or border="edge"'
        )
    bordered = np.pad(picture, (margin, margin + 1), mode=_PAD[border])
    return _drawn(bordered, margin, float(zoom), np.array(origin, np.float64), shifts, turns, size[1], size[0])


def _folded(
    picture: NDArray[np.float64],
    zoom: float,
    origin: tuple[float, float],
    shifts: NDArray[np.float64],
    turns: NDArray[np.float64],
    size: tuple[int, int],
    repeats: int,
) -> tuple[NDArray[np.float64], int]:
    """Shifts less whole periods of an endless picture, and the border that the frames then need."""
    period = repeats * np.array(picture.shape[::-1], np.float64)
    ahead = turns * [1.0, -1.0]  # the turn back
    start = _turned(-(np.asarray(origin) + shifts), ahead) / zoom
    whole = np.floor(start / period)
    shifts = shifts + zoom * _turned(whole * period, turns)
    farthest = float(np.hypot(*size)) / zoom + float(period.max())
    return shifts, int(np.ceil(farthest)) + 2


def _turned(places: NDArray[np.float64], turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places (x, y) ``[F, 2]`` turned about the origin."""
    x, y = places[:, 0], places[:, 1]
    cosine, sine = turns[:, 0], turns[:, 1]
    return np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=1)


def about(centre: tuple[float, float], angles: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what :func:`draw` wants for turns about another point than the corner.

    Args:
        centre: the point (x, y), from the corner of the unturned picture, in pixels of the frames.
        angles: in radians, ``[F]``.

    Returns:
        Shifts of the corner and turns, both ``[F, 2]``.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.simulator.warp import about
        >>> about((2.0, 1.0), np.array([np.pi]))[0].round(6).tolist()
        [[4.0, 2.0]]
    """
    turns = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    middle = np.broadcast_to(np.asarray(centre, np.float64), turns.shape)
    return middle - _turned(middle, turns), turns
