"""Stretches of time cut out of a recording, and what follows moved up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from spikesim.datasets.records import copied
from spikesim.datasets.transforms.base import Applied, EventTransform
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.drops import Range, check_range, drawn
from spikesim.datasets.transforms.settings import check_whole
from spikesim.datasets.transforms.stream import Stream


@njit(cache=True, nogil=True)
def _delete(data: Any, begins: Any, length: Any, close: Any, out: Any) -> Any:
    """Copy the events outside of stretches that begin at ascending times and do not overlap; give how many."""
    place = 0
    for i in range(len(data)):
        t, before, inside = np.int64(data[i]["t"]), 0, False
        for k in range(len(begins)):
            if t >= begins[k] + length:
                before += 1
            elif t >= begins[k]:
                inside = True
        if not inside:
            out[place] = data[i]
            if close:
                out[place]["t"] = t - before * length
            place += 1
    return place


@dataclass(frozen=True)
class TemporalDelete(EventTransform):
    """Cut random stretches of time out of a recording; what comes after them moves up, so that it gets shorter.

    The stretches are equally long, together ``duration_ratio`` of the recording, and do not overlap.
    :class:`spikesim.datasets.transforms.DropEventByTime` leaves a pause instead, in one place.
    The idea is that of deleting frames of a video; there is no paper with constants, so the defaults are ours.

    Args:
        duration_ratio: share of the duration that goes, or a range from which it is drawn for each recording.
        pieces: in how many stretches.
        close: whether what comes after moves up; else there are pauses.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: no share, or no whole number of pieces.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import TemporalDelete
        >>> events = Events.from_columns([0] * 100, [0] * 100, range(9000, 9100), [1] * 100, (34, 34, 2))
        >>> shorter = TemporalDelete(0.3, pieces=3)(events)
        >>> len(shorter), int(shorter.t[0]), shorter.duration_us
        (70, 9000, 69)
    """

    duration_ratio: Range = 0.2
    pieces: int = 1
    close: bool = True
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("time",)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range("duration_ratio", self.duration_ratio)
        check_whole("pieces", self.pieces, 1)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`TemporalDelete`."""
        data, ratio = stream.data, drawn(self.duration_ratio, draw)
        if len(data) == 0:
            return Applied(data, (0,))
        first = int(data["t"].min())
        span = int(data["t"].max()) + 1 - first
        length = int(span * ratio) // self.pieces
        # Places among what stays; each stretch before moves the later ones on by its length.
        gaps = np.sort(draw.integers(0, span - length * self.pieces + 1, self.pieces))
        begins = first + gaps + length * np.arange(self.pieces)
        out = np.empty(len(data), data.dtype)
        kept = _delete(data, begins, length, self.close, out)
        return Applied(copied(out[:kept]), (len(data) - kept,))
