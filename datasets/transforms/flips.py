"""Mirrors of a recording: in space, in time and in polarity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.records import copied
from spikesim.datasets.transforms.base import Applied, EventTransform, outside
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.settings import check_probability
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError, EventError


@njit(cache=True, nogil=True)
def _mirror(values: Any, side: Any) -> Any:
    for i in range(len(values)):
        value = np.int64(values[i])
        if not (0 <= value < side):
            return i
        values[i] = side - 1 - value
    return -1


@njit(cache=True, nogil=True)
def _change(p: Any, chosen: Any) -> None:
    for i in range(len(p)):
        p[i] = (p[i] != 0) != chosen[i]


@njit(cache=True, nogil=True)
def _play_backward(data: Any, end: Any, change: Any, out: Any) -> None:
    n = len(data)
    for i in range(n):
        out[n - 1 - i] = data[i]
        out[n - 1 - i]["t"] = end - np.int64(data[i]["t"])
        out[n - 1 - i]["p"] = (data[i]["p"] != 0) != change


def mirrored(stream: Stream, field: Literal["x", "y"], what: str) -> NDArray[Any]:
    """A copy of the events with one coordinate counted from the other side.

    Args:
        stream: the events.
        field: which coordinate.
        what: name of the transform, for the message.
    """
    data = copied(stream.data)
    bad = int(_mirror(data[field], stream.size[0 if field == "x" else 1]))
    if bad >= 0:
        raise outside(stream.data, bad, stream.size, what)
    return data


@dataclass(frozen=True)
class RandomFlipLR(EventTransform):
    """Mirror left and right, with a probability.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        p: probability for the whole recording.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: ``p`` is no probability.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import RandomFlipLR
        >>> RandomFlipLR(p=1.0)(Events.from_columns([3], [5], [10], [1], (34, 34, 2))).x.tolist()
        [30]
    """

    sensor_size: SensorSize | None = None
    p: float = 0.5
    seed: int | None = None
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_probability("p", self.p)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See the class."""
        return Applied(mirrored(stream, "x", "RandomFlipLR") if draw.chance(self.p) else stream.data)


@dataclass(frozen=True)
class RandomFlipUD(RandomFlipLR):
    """Mirror up and down, with a probability; see :class:`RandomFlipLR`.

    >>> from spikesim.datasets import Events
    >>> from spikesim.datasets.transforms import RandomFlipUD
    >>> RandomFlipUD(p=1.0)(Events.from_columns([3], [5], [10], [1], (34, 34, 2))).y.tolist()
    [28]
    """

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See the class."""
        return Applied(mirrored(stream, "y", "RandomFlipUD") if draw.chance(self.p) else stream.data)


@dataclass(frozen=True)
class RandomFlipPolarity(EventTransform):
    """Change the polarity of each event with a probability, or of all of them together.

    Tonic documents the first and does the second.

    Args:
        p: the probability.
        per: "event" or "recording".
        seed: where no pipeline gives one.

    Raises:
        ConfigError: ``p`` is no probability, or another word.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import RandomFlipPolarity
        >>> RandomFlipPolarity(p=1.0)(Events.from_columns([3], [5], [10], [1], (34, 34, 2))).p.tolist()
        [0]
    """

    p: float = 0.5
    per: Literal["event", "recording"] = "event"
    seed: int | None = None
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_probability("p", self.p)
        if self.per not in ("event", "recording"):
            raise ConfigError(f'per is {self.per!r}; expected "event" or "recording"')

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`RandomFlipPolarity`."""
        if self.per == "event":
            chosen = draw.uniform(len(stream.data)) < self.p
        else:
            chosen = np.full(len(stream.data), draw.chance(self.p))
        data = copied(stream.data)
        _change(data["p"], chosen)
        return Applied(data)


@dataclass(frozen=True)
class RandomTimeReversal(EventTransform):
    """Play a recording backward, with a probability: what got brighter now gets darker.

    An event at time t moves to ``t_last - t``: the recording then begins at 0, as in Tonic, and is in order of time.
    Frames ``[T, P, ...]`` are turned along T, and along P with the polarities.

    Args:
        p: probability for the whole recording.
        flip_polarities: exchange the polarities, too.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: ``p`` is no probability.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import RandomTimeReversal
        >>> events = Events.from_columns([3, 4, 20], [5, 5, 9], [10, 250, 300], [1, 0, 1], (34, 34, 2))
        >>> reversed_ = RandomTimeReversal(p=1.0)(events)
        >>> reversed_.t.tolist(), reversed_.x.tolist(), reversed_.p.tolist()
        ([0, 50, 290], [20, 4, 3], [0, 1, 0])
    """

    p: float = 0.5
    flip_polarities: bool = True
    seed: int | None = None
    random: ClassVar[bool] = True
    rasters: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_probability("p", self.p)

    def apply_raster(self, raster: NDArray[Any], draw: Draw) -> NDArray[Any]:
        """See :class:`RandomTimeReversal`."""
        if raster.ndim not in (3, 4):
            raise EventError(f"frames are of shape {raster.shape}; expected [T, P, X] or [T, P, H, W]")
        if not draw.chance(self.p):
            return raster
        return raster[::-1, ::-1].copy() if self.flip_polarities else raster[::-1].copy()

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`RandomTimeReversal`."""
        if not draw.chance(self.p) or len(stream.data) == 0:
            return Applied(stream.data)
        # An array of its own: a view with a negative stride is nothing that torch takes.
        data = np.empty(len(stream.data), stream.data.dtype)
        _play_backward(stream.data, int(stream.data["t"].max()), self.flip_polarities, data)
        return Applied(data)


@dataclass(frozen=True)
class MergePolarities(EventTransform):
    """Make every event one of polarity 0, for models that only see that something changed.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import MergePolarities
        >>> MergePolarities()(Events.from_columns([3, 4], [5, 5], [10, 20], [1, 0], (34, 34, 2))).p.tolist()
        [0, 0]
    """

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`MergePolarities`."""
        data = copied(stream.data)
        data["p"] = 0
        return Applied(data)
