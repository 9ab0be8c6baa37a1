"""Recordings as clouds of points: a fixed number of events, far apart or near to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.records import in_order
from spikesim.datasets.transforms.base import Applied, EventTransform
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.drops import random_subset
from spikesim.datasets.transforms.settings import check_whole
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError, ShapeError


@njit(cache=True, nogil=True)
def _farthest(points: Any, chosen: Any, near: Any) -> None:
    near[:] = np.inf
    at = chosen[0]
    for k in range(1, len(chosen)):
        best, farthest = -1.0, 0
        for i in range(len(points)):
            d = 0.0
            for c in range(points.shape[1]):
                gap = points[i, c] - points[at, c]
                d += gap * gap
            if d < near[i]:
                near[i] = d
            if near[i] > best:
                best, farthest = near[i], i
        at = farthest
        chosen[k] = at


def farthest_points(points: NDArray[Any], count: int, first: int = 0) -> NDArray[np.int64]:
    """Indices of ``count`` points, each the farthest from those chosen before; the lowest index among equals.

    Source: Eldar et al., IEEE Trans. Image Processing 6:1305 (1997). Takes N x count distances.

    Args:
        points: ``[N, D]``, finite.
        count: from 1 to N.
        first: index of the point to begin with.

    Raises:
        ShapeError: no such points, or more wanted than there are.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.transforms import farthest_points
        >>> farthest_points(np.array([[0.0], [1.0], [5.0], [9.0]]), 3).tolist()
        [0, 3, 2]
    """
    _check_points(points)
    if not 1 <= count <= len(points) or not 0 <= first < len(points):
        raise ShapeError(f"{count} points from number {first} on are wanted, but there are {len(points)}")
    chosen = np.full(count, first, np.int64)
    _farthest(np.ascontiguousarray(points, np.float64), chosen, np.empty(len(points)))
    return chosen


@njit(cache=True, nogil=True)
def _nearest(points: Any, queries: Any, found: Any, distances: Any) -> None:
    k = found.shape[1]
    for q in range(len(queries)):
        held = 0
        for i in range(len(points)):
            d = 0.0
            for c in range(points.shape[1]):
                gap = points[i, c] - queries[q, c]
                d += gap * gap
            if held == k and d >= distances[q, k - 1]:
                continue
            place = min(held, k - 1)
            while place > 0 and distances[q, place - 1] > d:
                distances[q, place] = distances[q, place - 1]
                found[q, place] = found[q, place - 1]
                place -= 1
            distances[q, place] = d
            found[q, place] = i
            held = min(held + 1, k)


def nearest_points(points: NDArray[Any], queries: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Indices of the k points nearest to each query, nearest first; the lowest index among equals.

    Args:
        points: ``[N, D]``, finite.
        queries: ``[M, D]``.
        k: from 1 to N.

    Returns:
        ``[M, k]``.

    Raises:
        ShapeError: no such points, or more wanted than there are.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets.transforms import nearest_points
        >>> nearest_points(np.array([[0.0], [1.0], [5.0]]), np.array([[4.0]]), 2).tolist()
        [[2, 1]]
    """
    _check_points(points)
    _check_points(queries)
    if points.shape[1] != queries.shape[1] or not 1 <= k <= len(points):
        raise ShapeError(f"{k} neighbours of {queries.shape} are wanted among points {points.shape}")
    found = np.empty((len(queries), k), np.int64)
    near = np.ascontiguousarray(points, np.float64), np.ascontiguousarray(queries, np.float64)
    _nearest(*near, found, np.full(found.shape, np.inf))
    return found


def _check_points(points: NDArray[Any]) -> None:
    if points.ndim != 2 or points.dtype.kind not in "iuf" or not np.isfinite(points).all():
        raise ShapeError(f"points are {points.dtype} {points.shape}; expected finite numbers [N, D]")


@dataclass(frozen=True)
class SamplePoints(EventTransform):
    """Take a fixed number of events, in order of time; a recording with fewer repeats some.

    Args:
        n: how many.
        how: "random": every set as likely; "uniform": evenly over the order of events; "farthest": far from each
            other in x, y and time, all scaled to the same range.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: ``n`` is not 1 or more, or another word.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import SamplePoints
        >>> events = Events.from_columns(range(9), [0] * 9, range(9), [1] * 9, (34, 34, 2))
        >>> SamplePoints(3, how="uniform")(events).t.tolist()
        [0, 3, 6]
    """

    n: int
    how: Literal["random", "uniform", "farthest"] = "random"
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("not sampled",)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("n", self.n, 1)
        if self.how not in ("random", "uniform", "farthest"):
            raise ConfigError(f'how is {self.how!r}; expected "random", "uniform" or "farthest"')

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`SamplePoints`; an empty recording stays empty, as there is nothing to repeat."""
        data = in_order(stream.data)
        count = len(data)
        if count == 0:
            return Applied(data, (0,))
        if count <= self.n:
            times = np.full(count, self.n // count)
            times += random_subset(count, self.n % count, draw)
            return Applied(data.take(np.repeat(np.arange(count), times)), (0,), self.n - count)
        if self.how == "uniform":
            index = np.arange(self.n) * count // self.n
        elif self.how == "random":
            index = np.flatnonzero(random_subset(count, self.n, draw))
        else:
            index = np.sort(farthest_points(_scaled(data), self.n, int(draw.integers(0, count, 1)[0])))
        return Applied(data.take(index), (count - self.n,))


def _scaled(data: NDArray[Any]) -> NDArray[np.float64]:
    columns = np.stack([data[name].astype(np.float64) for name in ("x", "y", "t")], 1)
    columns -= columns.min(0)
    return columns / np.maximum(columns.max(0), 1)
