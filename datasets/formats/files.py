"""Read, salvage, step through and write any event file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.columns import Rounding, TimeUnit
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import HEAD_BYTES, Options, Salvaged, Source
from spikesim.datasets.formats.bin40 import NMNIST_SENSOR
from spikesim.datasets.formats.detect import FORMATS, named, recognised
from spikesim.datasets.formats.reading import Errors, Reader
from spikesim.errors import EventError, EventFileError


class ReadOptions(TypedDict, total=False):
    """What a caller may add for formats that do not say it themselves (see :class:`Options`)."""

    camera: str | None
    columns: str | None
    delimiter: str | None
    topic: str | None
    time_unit: TimeUnit | None
    rounding: Rounding | None


def _reader(source: Source, sensor_size: SensorSize | None, errors: Errors, format: str | None) -> Reader:
    layout = named(format) if format is not None else recognised(source.path, source.read(HEAD_BYTES))
    given = [name for name, value in vars(source.options).items() if value is not None]
    needless = [name for name in given if name not in layout.takes]
    if needless:
        raise EventError(f"{source.path}: {', '.join(needless)} means nothing for {layout.about}; leave it out")
    return Reader(source, layout, sensor_size, errors)


def read_events(
    path: str | os.PathLike[str],
    sensor_size: SensorSize | None = None,
    *,
    errors: Errors = "raise",
    format: str | None = None,
    **options: Unpack[ReadOptions],
) -> Events:
    """Read a recording of any known format.

    Args:
        path: the file.
        sensor_size: ``(W, H, P)`` where the file does not say it. Without it the smallest sensor that
            holds the events is taken, with a warning in the log.
        errors: ``"raise"``, or ``"salvage"`` to keep what comes before the damage and log the loss
            (:func:`salvage_events` returns it).
        format: a name of :data:`FORMATS` where the content does not tell.
        **options: ``camera=`` for AEDAT 2.0; ``columns=`` for plain arrays and text without a header
            (their order, such as ``"txyp"``); ``delimiter=`` for text; ``topic=`` for ROS bags;
            ``time_unit=`` and ``rounding=`` for arrays and text.

    Returns:
        The events, in the order of the file.

    Raises:
        EventFileError: the file cannot be read, is of no known format or is damaged (names the byte).
        EventError: an event is out of range (names the event, its field and its byte).

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import Events, read_events, write_events
        >>> events = Events.from_columns([3, 4], [5, 5], [10, 90], [1, 0], (34, 34, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_events(Path(folder) / "a.csv", events)
        ...     read_events(Path(folder) / "a.csv") == events
        True
    """
    with Source.open(path, Options(**options)) as source:
        return _reader(source, sensor_size, errors, format).whole()


def salvage_events(
    path: str | os.PathLike[str],
    sensor_size: SensorSize | None = None,
    *,
    format: str | None = None,
    **options: Unpack[ReadOptions],
) -> Salvaged:
    """Read what comes before the damage of a file, and say what is lost.

    Args:
        path: the file.
        sensor_size: as :func:`read_events`.
        format: as :func:`read_events`.
        **options: as :func:`read_events`.

    Returns:
        The events and the loss: offset, bytes lost and reason, or ``None`` for a whole file.

    Raises:
        EventFileError: the file cannot be opened, or is of no known format.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import Events, encode_bin, salvage_events
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "cut.bin"
        ...     _ = path.write_bytes(encode_bin(Events.from_columns([3, 4], [5, 5], [1, 2], [1, 0], (34, 34, 2)))[:-2])
        ...     events, loss = salvage_events(path, (34, 34, 2))
        >>> len(events), loss.offset, loss.bytes_lost
        (1, 5, 3)
    """
    with Source.open(path, Options(**options)) as source:
        reader = _reader(source, sensor_size, "salvage", format)
        events = reader.whole()
        return Salvaged(events, reader.loss)


def iter_events(
    path: str | os.PathLike[str],
    window: int | None = None,
    count: int | None = None,
    *,
    start: int | None = None,
    sensor_size: SensorSize | None = None,
    errors: Errors = "raise",
    format: str | None = None,
    **options: Unpack[ReadOptions],
) -> Iterator[Events]:
    """Read a recording window by window, for recordings larger than memory.

    At most one window and one chunk of the file (2 MB) are in memory. Window k of ``window=`` holds the
    events from ``start + k * window`` on and before the next one; windows without events are
    yielded too, up to the last event. Where neither the file nor ``sensor_size`` tells the sensor, the
    file is read twice.

    Args:
        path: the file.
        window: length of a window in microseconds, or
        count: number of events in a window; the last one holds the rest.
        start: where the first window begins, in microseconds; the first event's time by default.
        sensor_size: as :func:`read_events`.
        errors: as :func:`read_events`.
        format: as :func:`read_events`.
        **options: as :func:`read_events`.

    Yields:
        The windows, with the times of the file.

    Raises:
        EventError: an event is earlier than the one before it, out of range (names it), or more than a million windows
            after it.
        EventFileError: as :func:`read_events`; windows before the damage have been yielded by then.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import Events, iter_events, write_events
        >>> events = Events.from_columns([3, 4, 5], [5, 5, 5], [10, 15, 190], [1, 0, 1], (34, 34, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_events(Path(folder) / "a.dat", events)
        ...     [len(part) for part in iter_events(Path(folder) / "a.dat", window=50)]
        [2, 0, 0, 1]
    """
    size = count if window is None else window
    whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size >= 1
    if (window is None) == (count is None) or not whole:
        raise EventError(f"window is {window} and count {count}; expected one of them, a whole number from 1 on")
    if start is not None and (window is None or not isinstance(start, (int, np.integer))):
        raise EventError(
            f"start is {start!r}" + ("" if window else " without window") + "; expected microseconds, with window"
        )
    return _windows(path, window, count, start, sensor_size, errors, format, Options(**options))


def _windows(
    path: str | os.PathLike[str],
    window: int | None,
    count: int | None,
    start: int | None,
    sensor_size: SensorSize | None,
    errors: Errors,
    format: str | None,
    options: Options,
) -> Iterator[Events]:
    with Source.open(path, options) as source:
        yield from _reader(source, sensor_size, errors, format).windows(window, count, start)


def write_events(path: str | os.PathLike[str], events: Events, format: str | None = None) -> None:
    """Write a recording, whole or not at all.

    Args:
        path: the file; an existing one is replaced.
        events: what to write.
        format: a name of :data:`FORMATS`; by the ending of ``path`` by default (``.aedat`` is AEDAT 3.1).

    Raises:
        EventError: no format that can be written has this ending, or the format cannot hold an event
            (names it).
        EventFileError: the folder is missing, full or not writable; a file that was there is still there.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import Events, write_events
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "a.csv"
        ...     write_events(path, Events.from_columns([3], [5], [10], [1], (34, 34, 2)))
        ...     path.read_text().splitlines()
        ['# sensor_size: 34 34 2', 't,x,y,p', '10,3,5,1']
    """
    target = Path(path)
    if format is not None:
        layout = named(format)
    else:
        # AEDAT 3.1 holds more than AEDAT 2.0, which has the same ending.
        fitting = [one for one in FORMATS.values() if one.write and target.suffix.lower() in one.endings]
        if not fitting:
            endings = ", ".join(sorted({end for one in FORMATS.values() if one.write for end in one.endings}))
            raise EventError(
                f"{target}: no format is written as {target.suffix!r}; expected one of {endings}, or format="
            )
        layout = fitting[-1]
    if layout.write is None:
        raise EventError(f"{target}: {layout.about} is read but not written")
    try:
        layout.write(target, events)
    except EventError as error:
        raise EventError(f"{target}: {error}") from error
    except OSError as error:
        raise EventFileError(f"{target}: cannot be written ({error.strerror or error})") from error


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
    return read_events(path, sensor_size, format="bin40")


def write_bin(path: str | os.PathLike[str], events: Events) -> None:
    """Write a recording as a 40-bit ``.bin`` file, whole or not at all.

    Args:
        path: the file; an existing one is replaced.
        events: what to write. Times above 2**23 us get overflow records, which every reader of the
            format knows.

    Raises:
        EventError: the format cannot hold an event: x or y above 255, y = 240, t of 2**32 us or more,
            or events so far out of order that the overflow records cannot express it.
        EventFileError: the folder is missing, full or not writable.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import Events, write_bin
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_bin(Path(folder) / "a.bin", Events.from_columns([3], [5], [258], [1], (34, 34, 2)))
        ...     (Path(folder) / "a.bin").read_bytes().hex(" ")
        '03 05 80 01 02'
    """
    write_events(path, events, format="bin40")
