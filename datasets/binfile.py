"""The 40-bit ``.bin`` format of N-MNIST and N-Caltech101: five bytes an event.

Bytes 0 and 1 hold x and y, the top bit of byte 2 the polarity, and the other 23 bits the time in
microseconds, most significant byte first. A record with y = 240 is no event: it adds 8192 us to
every time after it, which is how a recording longer than 2**23 us (8.39 s) is written.
Format: Orchard et al. 2015, https://doi.org/10.3389/fnins.2015.00437.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.atomic import write_whole
from spikesim.datasets.checks import SensorSize
from spikesim.datasets.events import Events
from spikesim.errors import EventError, EventFileError

logger = logging.getLogger(__name__)

NMNIST_SENSOR: SensorSize = (34, 34, 2)
"""Sensor size of N-MNIST: width, height, polarities."""

_RECORD_BYTES = 5
_OVERFLOW_ROW = 240
_OVERFLOW_US = 2**13
_FIELD_US = 2**23  # first time that does not fit the 23 bits
_LARGEST_US = 2**32  # other readers, Tonic's among them, keep the time in 32 bits


def read_bin(path: str | os.PathLike[str], sensor_size: SensorSize = NMNIST_SENSOR) -> Events:
    """Read a 40-bit ``.bin`` recording.

    Args:
        path: the file.
        sensor_size: ``(W, H, P)`` of the camera; N-MNIST's by default.

    Returns:
        The events, times in microseconds. A file of no bytes is a recording without events.

    Raises:
        EventFileError: the file cannot be read, or ends inside a record (names the byte).
        EventError: an event lies outside the sensor (names the file and the event).

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import Events, read_bin, write_bin
        >>> events = Events.from_columns([3, 4], [5, 5], [10, 9_000_000], [1, 0], (34, 34, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_bin(Path(folder) / "two.bin", events)
        ...     read_bin(Path(folder) / "two.bin") == events
        True
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise EventFileError(f"{path}: cannot be read ({error.strerror or error})") from error
    left = len(content) % _RECORD_BYTES
    if left:
        raise EventFileError(
            f"{path}: truncated at byte {len(content) - left}: {left} of the {_RECORD_BYTES} bytes of an "
            "event are there. Copy or unpack the file again"
        )
    x, y, t, p = _decode(np.frombuffer(content, np.uint8).reshape(-1, _RECORD_BYTES))
    try:
        events = Events.from_columns(x, y, t, p, sensor_size)
    except EventError as error:
        raise EventError(f"{path}: {error}") from error
    if not events.sorted:
        logger.warning("%s: event %s is earlier than the one before it", path, events.first_unsorted)
    return events


def write_bin(path: str | os.PathLike[str], events: Events) -> None:
    """Write a recording as a 40-bit ``.bin`` file, whole or not at all.

    Args:
        path: the file; an existing one is replaced.
        events: what to write. Times above 2**23 us get overflow records, which every reader of the
            format knows.

    Raises:
        EventError: the format cannot hold an event: x or y above 255, y = 240, t of 2**32 us or more,
            or events so far out of order that the overflow records cannot express it.
        OSError: the folder is missing or not writable.

    Example:
        See :func:`read_bin`.
    """
    try:
        content = encode_bin(events)
    except EventError as error:
        raise EventError(f"{path}: {error}") from error
    write_whole(path, content)


def encode_bin(events: Events) -> bytes:
    """Return the bytes of a 40-bit ``.bin`` file.

    Args:
        events: the recording.

    Returns:
        Five bytes for each event and each overflow record.

    Raises:
        EventError: as :func:`write_bin`.

    Example:
        >>> from spikesim.datasets import Events, encode_bin
        >>> encode_bin(Events.from_columns([3], [5], [258], [1], (34, 34, 2))).hex(" ")
        '03 05 80 01 02'
    """
    x, y, t = events.x, events.y, events.t
    _refuse(x > 255, "x", x, "at most 255")
    _refuse((y > 255) | (y == _OVERFLOW_ROW), "y", y, f"at most 255 and not {_OVERFLOW_ROW}")
    _refuse(t >= _LARGEST_US, "t", t, "below 2**32 us: shift the recording to start at 0 or cut it")
    # Overflow records needed before each event; they only ever add up.
    before = np.maximum.accumulate(np.maximum(0, -((_FIELD_US - 1 - t) // _OVERFLOW_US)))
    low = t - before * _OVERFLOW_US
    _refuse(low < 0, "t", t, "events in order of time: use events.in_time_order()")
    records = np.zeros((len(events) + (int(before[-1]) if len(events) else 0), _RECORD_BYTES), np.uint8)
    records[:, 1] = _OVERFLOW_ROW
    row = np.arange(len(events)) + before
    records[row, 0] = x
    records[row, 1] = y
    records[row, 2] = (events.p.astype(np.int64) << 7) | (low >> 16)
    records[row, 3] = (low >> 8) & 0xFF
    records[row, 4] = low & 0xFF
    return records.tobytes()


def _decode(records: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Columns x, y, t and p of ``[N, 5]`` records."""
    wide = records.astype(np.int64)
    t = ((wide[:, 2] & 0x7F) << 16) | (wide[:, 3] << 8) | wide[:, 4]
    overflow = records[:, 1] == _OVERFLOW_ROW
    if overflow.any():
        t += np.cumsum(overflow) * _OVERFLOW_US
        kept = ~overflow
        return wide[kept, 0], wide[kept, 1], t[kept], wide[kept, 2] >> 7
    return wide[:, 0], wide[:, 1], t, wide[:, 2] >> 7


def _refuse(bad: NDArray[np.bool_], name: str, values: NDArray[Any], expected: str) -> None:
    if bad.any():
        first = int(np.argmax(bad))
        raise EventError(
            f"event {first} has {name} = {int(values[first])}, which a 40-bit .bin file cannot hold; "
            f"expected {expected}"
        )
