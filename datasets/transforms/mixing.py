"""What transforms share that make one recording of two: which events go, which come, and what the label is then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.records import in_order, joined, kept_of
from spikesim.datasets.transforms.base import outside
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.frames import count_events
from spikesim.datasets.transforms.labels import MixedLabel
from spikesim.datasets.transforms.settings import check_positive, check_whole
from spikesim.datasets.transforms.slices import time_bins
from spikesim.datasets.transforms.stream import Stream, like, stream_of
from spikesim.errors import ConfigError, EventError

Weigh = Literal["share", "count", "volume", "distance"]
Align = Literal["start", "duration", "none"]
_WEIGHS = ("share", "count", "volume", "distance")
_ALIGNS = ("start", "duration", "none")


class Box(NamedTuple):
    """The space that two recordings fill: the sensor and a span of time.

    Attributes:
        size: of the sensor.
        start: first microsecond.
        length: microseconds, 1 or more.
    """

    size: SensorSize
    start: int
    length: int


class Region(NamedTuple):
    """The part of the space where the second recording replaces the first.

    Attributes:
        holds: gives which events lie in it, bool ``[N]``.
        volume: its share of the space, 0 to 1.
    """

    holds: Callable[[NDArray[Any]], NDArray[np.bool_]]
    volume: float


class Mixed(NamedTuple):
    """A recording mixed from two, and what became of their events.

    Attributes:
        result: events in the form in which the first recording came.
        label: of both, with the weight of the first.
        kept: events of the first and of the second that the result holds.
        dropped: events of the first and of the second that it does not.
    """

    result: Any
    label: MixedLabel
    kept: tuple[int, int]
    dropped: tuple[int, int]


def drawn_beta(alpha: float, draw: Draw) -> float:
    """One number of the distribution Beta(alpha, alpha), as a quotient of gamma numbers (Marsaglia and Tsang 2000).

    >>> from spikesim.datasets.transforms.draw import Draw
    >>> 0 <= drawn_beta(1.0, Draw(0)) <= 1
    True
    """
    first, second = _log_gamma(alpha, draw), _log_gamma(alpha, draw)
    return float(1 / (1 + np.exp(np.clip(second - first, -700, 700))))


def _log_gamma(alpha: float, draw: Draw) -> float:
    # Below 1 the method does not hold; there a number of alpha + 1 is brought down. Tiny alphas need logarithms.
    down = np.log(1 - draw.number()) / alpha if alpha < 1 else 0.0
    d = (alpha + 1 if alpha < 1 else alpha) - 1 / 3
    while True:
        x, u = float(draw.normal(1)[0]), 1 - draw.number()
        v = (1 + x / np.sqrt(9 * d)) ** 3
        if v > 0 and np.log(u) < 0.5 * x * x + d - d * v + d * np.log(v):
            return float(np.log(d * v) + down)


@dataclass(frozen=True)
class EventMixer:
    """Base of what mixes two recordings: inside a random region the events of the second replace those of the first.

    How much of the space the region takes is drawn from Beta(alpha, alpha). The weight of the label is found after
    mixing, by one of four rules:

    - "share": each recording counts by the share of its own events that is left, so that the busier one does not take
      the whole label. With a of the first left and b of the second, the first weighs a / (a + b).
    - "count": by the number of events in the result.
    - "volume": by the space, the rule of CutMix for images; a region without events then still weighs.
    - "distance": by how near the result is to either: ``d_b**2 / (d_a**2 + d_b**2)``, d the mean squared difference of
      frames that are averaged over 3 x 3 pixels.

    If a rule has nothing to go by (no events at all), the volume decides.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        alpha: of the distribution of volumes; 1 makes all as likely.
        weigh: "share", "count", "volume" or "distance".
        align: "start" moves the second recording in time so that both begin together; "duration" also stretches it to
            the duration of the first; "none" leaves times as they are.
        bins: frames that "distance" compares.
        seed: where none is given in the call.
    """

    sensor_size: SensorSize | None = None
    alpha: float = 1.0
    weigh: Weigh = "share"
    align: Align = "start"
    bins: int = 10
    seed: int | None = None

    def __post_init__(self) -> None:
        check_positive("alpha", self.alpha, "the Beta distribution")
        check_whole("bins", self.bins, 1)
        if self.weigh not in _WEIGHS:
            raise ConfigError(f"weigh is {self.weigh!r}; expected one of {', '.join(_WEIGHS)}")
        if self.align not in _ALIGNS:
            raise ConfigError(f"align is {self.align!r}; expected one of {', '.join(_ALIGNS)}")

    def region(self, box: Box, volume: float, draw: Draw) -> Region:
        """A random region of about this volume.

        Args:
            box: the space.
            volume: share of it.
            draw: random numbers of this call.
        """
        raise NotImplementedError

    def __call__(
        self, first: tuple[Any, Any], second: tuple[Any, Any], seed: int | None = None, place: int = 0
    ) -> Mixed:
        """Mix two samples.

        Args:
            first: its events and its label.
            second: its events and its label.
            seed: for mixers that have none of their own.
            place: in a row of random steps, so that equal ones draw differently.

        Raises:
            EventError: two sensor sizes, or an event outside the sensor.
        """
        what = type(self).__name__
        a, b = (stream_of(events, self.sensor_size, what) for events, _ in (first, second))
        size = _common_size(a, b, what)
        calls = self.__dict__.get("_calls", 0)
        self.__dict__["_calls"] = calls + 1
        draw = Draw.for_call(self.seed if self.seed is not None else seed, place, calls)
        old, new = a.data, _aligned(a.data, b.data, self.align, what)
        box = _box(old, new, size)
        found = self.region(box, drawn_beta(self.alpha, draw), draw)
        left, come = kept_of(old, ~found.holds(old)), kept_of(new, found.holds(new))
        # Of the same time, the events of the first recording come first.
        result = in_order(joined(left, come))
        weight = self._weight(old, new, result, (len(left), len(come)), found.volume, box)
        label = MixedLabel(first[1], second[1], weight)
        made = like(Stream(result, size, a.checked and b.checked, a.flat), first[0])
        return Mixed(made, label, (len(left), len(come)), (len(old) - len(left), len(new) - len(come)))

    def _weight(
        self, old: NDArray[Any], new: NDArray[Any], result: Any, kept: tuple[int, int], volume: float, box: Box
    ) -> float:
        parts: tuple[float, float] = (0.0, 0.0)
        if self.weigh == "count":
            parts = kept
        elif self.weigh == "share":
            parts = kept[0] / max(len(old), 1), kept[1] / max(len(new), 1)
        elif self.weigh == "distance":
            frames = [_blurred(data, box, self.bins) for data in (old, new, result)]
            far = [float(((one - frames[2]) ** 2).mean()) ** 2 for one in frames[:2]]
            parts = far[1], far[0]
        total = sum(parts)
        return parts[0] / total if total > 0 else 1 - volume


def _common_size(a: Stream, b: Stream, what: str) -> SensorSize:
    known = [stream.sensor_size for stream in (a, b) if stream.sensor_size is not None]
    if len(known) == 2 and known[0] != known[1]:
        raise EventError(f"{what} was given recordings of the sensors {known[0]} and {known[1]}; crop them to one size")
    both = [max(one, other) for one, other in zip(a.size, b.size)]
    size = known[0] if known else (both[0], both[1], both[2])
    for stream in (a, b):
        x, y = stream.data["x"], stream.data["y"]
        if not stream.checked and len(x):
            bad = (x < 0) | (x >= size[0]) | (y < 0) | (y >= size[1])
            if bad.any():
                raise outside(stream.data, int(np.argmax(bad)), size, what)
    return size


def _aligned(old: NDArray[Any], new: NDArray[Any], align: Align, what: str) -> NDArray[Any]:
    """The second recording in the dtype and, if asked for, the time of the first."""
    t = new["t"].astype(np.int64)
    if align != "none" and len(old) and len(new):
        start = int(old["t"].min())
        t -= t.min()
        if align == "duration":
            t = t * (int(old["t"].max()) - start) // max(int(t.max()), 1)
        t += start
    moved = np.zeros(len(new), old.dtype)
    moved["t"] = t
    for name in ("x", "y", "p"):
        moved[name] = new[name]
    for name, meant in (("t", t), ("x", new["x"]), ("y", new["y"])):
        if (moved[name] != meant).any():
            raise EventError(
                f"{what}: {name} of the second recording does not fit {old.dtype[name]}, in which the first has it; "
                "give both in one dtype"
            )
    return moved


def _box(old: NDArray[Any], new: NDArray[Any], size: SensorSize) -> Box:
    ends = [(int(data["t"].min()), int(data["t"].max()) + 1) for data in (old, new) if len(data)]
    start = min((first for first, _ in ends), default=0)
    return Box(size, start, max((last for _, last in ends), default=start + 1) - start)


def _blurred(data: NDArray[Any], box: Box, bins: int) -> NDArray[np.float64]:
    """Counts ``[T, P, H, W]``, each the mean of 3 x 3 pixels, with nothing beyond the edge."""
    data, (width, height, polarities) = in_order(data), box.size
    t = data["t"].astype(np.int64, copy=False)
    starts, ends = time_bins(t, bins, "exact", 0.0, box.start, box.start + box.length)
    frames = np.zeros((bins, polarities, height + 2, width + 2))
    count_events(data, starts, ends, np.inf, frames[:, :, 1:-1, 1:-1])
    rows = frames[:, :, :-2] + frames[:, :, 1:-1] + frames[:, :, 2:]
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9
