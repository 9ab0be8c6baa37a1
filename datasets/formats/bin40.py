"""The 40-bit ``.bin`` format of N-MNIST and N-Caltech101: five bytes an event.

Bytes 0 and 1 hold x and y, the top bit of byte 2 the polarity, and the other 23 bits the time in
microseconds, most significant byte first. A record with y = 240 is no event: it adds 8192 us to
every time after it, which is how a recording longer than 2**23 us (8.39 s) is written.
Format: Orchard et al. 2015, https://doi.org/10.3389/fnins.2015.00437.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.atomic import write_whole
from spikesim.datasets.checks import SensorSize
from spikesim.datasets.convert import EVENT_DTYPE
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import Decoded, Format, Source, marked
from spikesim.datasets.formats.words import five_bytes, room
from spikesim.errors import EventError

NMNIST_SENSOR: SensorSize = (34, 34, 2)
"""Sensor size of N-MNIST: width, height, polarities."""

_RECORD = np.dtype((np.uint8, 5))
_OVERFLOW_ROW = 240
_OVERFLOW_US = 2**13
_FIELD_US = 2**23  # first time that does not fit the 23 bits
_LARGEST_US = 2**32  # other readers, Tonic's among them, keep the time in 32 bits


def chunks(source: Source) -> Iterator[Decoded]:
    """Read the events of an open file."""
    added = 0
    for offset, records in source.records(_RECORD):
        data = room(len(records))
        count, added = five_bytes(records.reshape(-1), added, data)
        source.skip("overflow records", len(records) - count)
        yield Decoded(data[:count], marked(offset, records, lambda records: records[:, 1] != _OVERFLOW_ROW))


def looks_like(head: bytes, path: Path) -> bool:
    """Whether the first records are in order of time, as the files of a camera are."""
    del path
    data = room(len(head) // 5)
    count, _ = five_bytes(np.frombuffer(head, np.uint8, len(data) * 5), 0, data)
    t = data["t"][:count]
    falls = int(np.count_nonzero(t[1:] < t[:-1]))
    # Damaged or slightly unordered files are still files of this format.
    return len(head) > 0 and falls <= max(1, 0.05 * max(count - 1, 0))


def write(path: Path, events: Events) -> None:
    """Write a recording."""
    write_whole(path, encode_bin(events))


def encode_bin(events: Events) -> bytes:
    """Return the bytes of a 40-bit ``.bin`` file.

    Args:
        events: the recording.

    Returns:
        Five bytes for each event and each overflow record.

    Raises:
        EventError: as :func:`~spikesim.datasets.write_bin`.

    Example:
        >>> from spikesim.datasets import Events, encode_bin
        >>> encode_bin(Events.from_columns([3], [5], [258], [1], (34, 34, 2))).hex(" ")
        '03 05 80 01 02'
    """
    x, y, t = events.x, events.y, events.t
    _refuse(x > 255, "x", x, "at most 255")
    _refuse((y > 255) | (y == _OVERFLOW_ROW), "y", y, f"at most 255 and not {_OVERFLOW_ROW}")
    _refuse(
        t >= _LARGEST_US,
        "t",
        t,
        "below 2**32 us: shift the recording to start at 0 (transforms.TimeAlignment) or cut it",
    )
    # Overflow records needed before each event; they only ever add up.
    before = np.maximum.accumulate(np.maximum(0, -((_FIELD_US - 1 - t) // _OVERFLOW_US)))
    low = t - before * _OVERFLOW_US
    _refuse(low < 0, "t", t, "events in order of time: use events.in_time_order()")
    records = np.zeros((len(events) + (int(before[-1]) if len(events) else 0), 5), np.uint8)
    records[:, 1] = _OVERFLOW_ROW
    row = np.arange(len(events)) + before
    records[row, 0] = x
    records[row, 1] = y
    records[row, 2] = (events.p.astype(np.int64) << 7) | (low >> 16)
    records[row, 3] = (low >> 8) & 0xFF
    records[row, 4] = low & 0xFF
    return records.tobytes()


def _refuse(bad: NDArray[np.bool_], name: str, values: NDArray[Any], expected: str) -> None:
    if bad.any():
        first = int(np.argmax(bad))
        raise EventError(
            f"event {first} has {name} = {int(values[first])}, which a 40-bit .bin file cannot hold; "
            f"expected {expected}"
        )


def at_once(content: bytes, sensor_size: SensorSize) -> tuple[NDArray[Any], bool] | None:
    """Decode a file of plain records, all inside the sensor, in one pass."""
    count, rest = divmod(len(content), 5)
    if rest:
        return None
    data = np.empty(count, EVENT_DTYPE)
    order = _decode(np.frombuffer(content, np.uint8), sensor_size[0], sensor_size[1], data)
    return None if order < 0 else (data, order > 0)


@njit(cache=True, nogil=True)
def _decode(content: Any, width: Any, height: Any, data: Any) -> Any:
    """Fill ``data``; gives 1 if it is in order of time, 0 if not, -1 if a record is no event of this sensor."""
    order, before = 1, np.int64(0)
    for i in range(len(data)):
        x, y, high = np.int64(content[5 * i]), np.int64(content[5 * i + 1]), np.int64(content[5 * i + 2])
        if x >= width or y >= height or y == _OVERFLOW_ROW:
            return -1
        t = (high & 0x7F) << 16 | np.int64(content[5 * i + 3]) << 8 | np.int64(content[5 * i + 4])
        event = data[i]
        event["x"], event["y"], event["t"], event["p"] = x, y, t, high >> 7
        if t < before:
            order = 0
        before = t
    return order


BIN40 = Format(
    "bin40",
    "40-bit ATIS records (N-MNIST, N-Caltech101)",
    (".bin", ".bs2"),
    looks_like,
    chunks,
    write,
    sure=False,
    at_once=at_once,
)
