"""Text headers before binary records, and the limits that writers share."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.formats.base import Source
from spikesim.errors import EventError

_LONGEST_HEADER = 2**22  # jAER dumps all preferences of a camera into it
_SIDE = re.compile(rb"^\W*(width|height)[\s:=]+(\d{1,5})\s*$", re.IGNORECASE)


def read_lines(source: Source, mark: bytes, end: bytes | None = None) -> list[bytes]:
    """Read the header lines of a file, which start with ``mark``, and stop at the first byte after them.

    A line that holds control bytes is no header: the first record may start with the mark by chance.

    Args:
        source: the file, at its start.
        mark: how each line starts.
        end: how the last line starts, where the format has such a line.

    Raises:
        DamageError: the file ends inside a line, or a line is endless.
    """
    lines: list[bytes] = []
    while source.file.tell() < _LONGEST_HEADER:
        start = source.file.tell()
        line = source.file.readline(2**16)
        text = line.rstrip(b"\r\n")
        if not line.startswith(mark) or any(c < 32 and c != 9 for c in text):
            source.file.seek(start)
            break
        if not line.endswith(b"\n"):
            raise source.damage(start, "truncated", "the header does not end")
        lines.append(text)
        if end is not None and line.startswith(end):
            break
    return lines


def named_sensor(lines: list[bytes]) -> SensorSize | None:
    """Return the sensor that header lines such as ``% Width 304`` name."""
    sides = {found[1].lower(): int(found[2]) for line in lines if (found := _SIDE.match(line))}
    width, height = sides.get(b"width", 0), sides.get(b"height", 0)
    return (width, height, 2) if 0 < width < 2**15 and 0 < height < 2**15 else None


def refuse_above(what: str, name: str, values: NDArray[Any], limit: int) -> None:
    """Refuse a recording that a format cannot hold.

    Args:
        what: the format, for the message.
        name: the field.
        values: its values.
        limit: the first that is too large.
    """
    bad = values >= limit
    if bad.any():
        first = int(np.argmax(bad))
        raise EventError(
            f"event {first} has {name} = {int(values[first])}, which {what} cannot hold; expected below {limit}: "
            + ("shift the recording to start at 0 (transforms.TimeAlignment) or cut it" if name == "t" else "crop it")
        )


def refuse_drops(what: str, times: NDArray[np.int64], half: int) -> None:
    """Refuse times that fall by more than half the range of a counter: readers take that for its overflow."""
    bad = np.diff(times) < -half
    if bad.any():
        first = int(np.argmax(bad)) + 1
        raise EventError(
            f"event {first} has t = {int(times[first])}, {int(times[first - 1] - times[first])} us before the event "
            f"before it, which {what} cannot hold; expected events in order of time: use events.in_time_order()"
        )
