"""What a file format is, the open file that its reader gets, and how damage is told."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.columns import Rounding, TimeUnit
from spikesim.datasets.events import Events
from spikesim.errors import EventFileError

HEAD_BYTES = 4096
"""How much of a file decides which format it is."""

CHUNK_BYTES = 2**21
"""How much of a file is decoded at a time."""

_AT_ONCE = 2**28


class Decoded(NamedTuple):
    """A part of a recording in its final form, but not checked.

    Attributes:
        data: events ``[N]`` of :data:`~spikesim.datasets.EVENT_DTYPE`.
        at: gives the byte where event i of the part starts.
    """

    data: NDArray[Any]
    at: Callable[[int], int]


class Chunk(NamedTuple):
    """A part of a recording as the file has it, before any check.

    Attributes:
        x: columns of any number type, ``[N]``; so are y, t and p.
        at: gives the byte where event i of the chunk starts.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    t: NDArray[Any]
    p: NDArray[Any]
    at: Callable[[int], int]


@dataclass(frozen=True)
class Loss:
    """What could not be read of a damaged file.

    Attributes:
        offset: the byte where the damage starts.
        bytes_lost: bytes of the file from there on.
        reason: what is wrong there.
    """

    offset: int
    bytes_lost: int
    reason: str

    def __str__(self) -> str:
        return f"{self.reason} at byte {self.offset}; {self.bytes_lost} bytes lost"


class Salvaged(NamedTuple):
    """The events before the damage, and the damage (``None`` for a whole file)."""

    events: Events
    loss: Loss | None


class DamageError(EventFileError):
    """A file is damaged from a byte on.

    Attributes:
        offset: that byte.
        reason: what is wrong there.
    """

    offset: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Options:
    """What a caller may say about a file that does not say it itself.

    Attributes:
        camera: whose address layout an AEDAT 2.0 file has: ``"dvs128"``, ``"davis240"`` or ``"davis346"``.
        columns: the order of the columns, such as ``"txyp"``.
        delimiter: what separates the columns of a text file; detected by default.
        topic: which messages of a ROS bag are the events.
        time_unit: the unit of the times.
        rounding: what happens to times between two microseconds.
    """

    camera: str | None = None
    columns: str | None = None
    delimiter: str | None = None
    topic: str | None = None
    time_unit: TimeUnit | None = None
    rounding: Rounding | None = None


@dataclass
class Source:
    """An open file, and what its reader finds out about it on the way.

    Attributes:
        path: the file.
        file: it, open for reading.
        size: its bytes.
        options: what the caller says about it.
        sensor: the sensor that the file names, once its header is read.
        skipped: how many records of which kind are no events.
        whole: whether all of the recording is wanted at once.
        salvage: whether what comes before damage is wanted.
    """

    path: Path
    file: BinaryIO
    size: int
    options: Options = field(default_factory=Options)
    whole: bool = False
    salvage: bool = False
    sensor: SensorSize | None = None
    skipped: dict[str, int] = field(default_factory=dict)

    @classmethod
    def open(cls, path: str | os.PathLike[str], options: Options | None = None) -> Self:
        """Open a file for reading; a failure is an :class:`EventFileError`."""
        # A Path made of a Path is parsed anew, which takes longer than to read a small file.
        place = path if isinstance(path, Path) else Path(path)
        try:
            file = open(place, "rb")  # noqa: SIM115 - the caller closes it
        except OSError as error:
            raise EventFileError(f"{path}: cannot be read ({error.strerror or error})") from error
        except ValueError as error:  # a name with a null character in it
            raise EventFileError(f"{str(path)!r}: cannot be read ({error}); expected the name of a file") from error
        return cls(place, file, os.fstat(file.fileno()).st_size, options or Options())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    @property
    def step(self) -> int:
        """How many bytes are decoded at a time: all of a recording that is wanted at once, if it is not large."""
        return max(self.size, 1) if self.whole and self.size <= _AT_ONCE else CHUNK_BYTES

    def rewind(self) -> None:
        """Go back to the first byte."""
        self.file.seek(0)
        self.sensor = None
        self.skipped.clear()

    def read(self, count: int) -> bytes:
        """Return the next bytes, fewer only at the end of the file."""
        try:
            return self.file.read(count)
        except OSError as error:
            raise self.damage(self.file.tell(), f"cannot be read ({error.strerror or error})") from error

    def skip(self, kind: str, count: int = 1) -> None:
        """Count records that are no events."""
        if count:
            self.skipped[kind] = self.skipped.get(kind, 0) + int(count)

    def damage(self, offset: int, reason: str, detail: str = "") -> DamageError:
        """Return the error for damage at a byte."""
        error = DamageError(
            f"{self.path}: {reason} at byte {offset}{detail and ': '}{detail}. Copy or unpack the file again, or read "
            'what comes before with errors="salvage"'
        )
        error.offset, error.reason = offset, reason
        return error

    def records(self, dtype: np.dtype[Any], count: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """Read records of one size, a bounded number at a time, up to the end of the file or ``count``.

        Args:
            dtype: one record.
            count: how many there are to be; to the end of the file by default.

        Yields:
            The byte where the first record starts, and the records.

        Raises:
            DamageError: the file ends inside a record, or before ``count``; after what is whole.
        """
        size = dtype.itemsize
        left = count
        while left is None or left > 0:
            offset = self.file.tell()
            step = max(1, self.step // size)
            wanted = step if left is None else min(step, left)
            content = self.read(wanted * size)
            whole = len(content) // size
            if whole:
                yield offset, np.frombuffer(content, dtype, whole)
            rest = len(content) - whole * size
            if rest:
                detail = f"{rest} of the {size} bytes of an event are there"
                raise self.damage(offset + whole * size, "truncated", detail)
            if left is None and whole < wanted:
                return
            if not content:
                raise self.damage(offset, "truncated", f"{left} more events are announced")
            left = None if left is None else left - whole


def evenly(offset: int, size: int) -> Callable[[int], int]:
    """Where event i starts, for records of one size from a byte on."""
    return lambda i: offset + i * size


def picked(offset: int, size: int, kept: NDArray[np.intp]) -> Callable[[int], int]:
    """Where event i starts, if only the records ``kept`` are events."""
    return lambda i: offset + int(kept[i]) * size


def marked(
    offset: int, records: NDArray[Any], are_events: Callable[[NDArray[Any]], NDArray[np.bool_]]
) -> Callable[[int], int]:
    """The same, found out only when it is asked for."""
    size = records.itemsize * math.prod(records.shape[1:])
    return lambda i: offset + int(np.flatnonzero(are_events(records))[i]) * size


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: what ``format=`` calls it.
        about: what it is, in a few words.
        endings: usual endings of such files, with the dot.
        recognise: whether the first :data:`HEAD_BYTES` of a file (and the file) look like it.
        chunks: reads an open file in parts of bounded size.
        at_once: decodes the content of a whole small file for a sensor, and tells whether it is in order of time; gives
            ``None`` where anything is odd, so that the reader in parts says what. For speed only.
        write: writes a recording, or ``None``.
        sure: whether content alone decides; otherwise the ending must agree.
        takes: the :class:`Options` that mean something for it.
        extra: the extra to install for it, or ``None``.
    """

    name: str
    about: str
    endings: tuple[str, ...]
    recognise: Callable[[bytes, Path], bool]
    chunks: Callable[[Source], Iterator[Chunk | Decoded]]
    write: Callable[[Path, Events], None] | None = None
    sure: bool = True
    takes: tuple[str, ...] = ()
    extra: str | None = None
    at_once: Callable[[bytes, SensorSize], tuple[NDArray[Any], bool] | None] | None = None
