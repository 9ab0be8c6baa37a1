"""NumPy's archives: four columns, or one table of a kind that :mod:`~spikesim.datasets.formats.npy` reads.

An archive written here holds ``x``, ``y``, ``t`` and ``p`` as SpikingJelly's do, and ``sensor_size`` besides. No value
of a member is believed before its checksum is right. Salvaged are the members that are whole, also where the directory
at the end of the file is lost, and of a member that the file ends in what comes before.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.atomic import write_whole
from spikesim.datasets.checks import FIELDS, check_sensor_size
from spikesim.datasets.convert import field_of
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import Chunk, DamageError, Format, Source, evenly
from spikesim.datasets.formats.npy import TAKES, Table, chunk_of, order_of_columns, parse_header
from spikesim.datasets.formats.zipped import found_members
from spikesim.errors import EventError, EventFileError

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
_SIZE = "sensor_size"


class _Member(NamedTuple):
    """An array of the archive.

    Attributes:
        start: byte of the file where it begins.
        table: what its header says.
        rows: how many there are to be read.
        file: open after the header.
    """

    start: int
    table: Table
    rows: int
    file: IO[bytes]


def chunks(source: Source) -> Iterator[Chunk]:
    """Read the events of an open file."""
    begun = False
    try:
        for chunk in _sound(source):
            begun = True
            yield chunk
    except DamageError as damage:
        if not source.salvage or begun:
            raise
        yield from _salvaged(source, damage)


def _sound(source: Source) -> Iterator[Chunk]:
    """The events of an archive all of whose members are whole."""
    try:
        with zipfile.ZipFile(source.file) as archive:
            members = {
                info.filename.removesuffix(".npy"): _member(
                    source, info.header_offset, _verified(source, archive, info)
                )
                for info in archive.infolist()
            }
            yield from _events(source, members)
    except EventError:
        raise
    except _BROKEN as error:
        raise source.damage(0, f"a broken archive ({error or type(error).__name__})") from error


def _verified(source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """Read a member to its end, where its checksum is compared; keep it where all of the recording is wanted."""
    try:
        if source.whole:
            return io.BytesIO(archive.read(info))
        with archive.open(info) as file:
            while file.read(source.step):
                pass
        return archive.open(info)
    except _BROKEN as error:
        raise source.damage(info.header_offset, f"a broken member ({error})") from error


def _salvaged(source: Source, damage: DamageError) -> Iterator[Chunk]:
    """The events of the members that are whole, and of the one that the file ends in; then the damage."""
    members = {}
    places, end = [], 0
    for found in found_members(source.file, source.size):
        end = min(found.end, source.size)
        try:
            member = _member(source, found.start, io.BytesIO(found.content))
        except DamageError:
            places.append(found.start)
            continue
        row = math.prod(member.table.shape[1:]) * member.table.dtype.itemsize
        there = (len(found.content) - member.table.start) // row if row else 0
        if found.end > source.size:
            lost = len(found.content) - member.table.start - there * row
            places.append(source.size - lost if found.stored else found.start)
        members[found.name.removesuffix(".npy")] = member._replace(rows=min(member.rows, there))
    if {field_of(name) for name in members} >= set(FIELDS) or len(members) - (_SIZE in members) == 1:
        yield from _events(source, members)
    # If all members are whole it is the directory behind them.
    raise source.damage(min(places, default=end), damage.reason) from damage


def _member(source: Source, start: int, file: IO[bytes]) -> _Member:
    table = parse_header(file)
    if isinstance(table, str):
        raise source.damage(start, table)
    if table.by_column and math.prod(table.shape[1:]) > 1:
        raise EventFileError(f"{source.path}: an array in Fortran order; expected C order in an archive")
    return _Member(start, table, table.shape[0], file)


def _events(source: Source, members: dict[str, _Member]) -> Iterator[Chunk]:
    """Yield the events of four columns, or of one table."""
    size = members.pop(_SIZE, None)
    if size is not None:
        if size.table.shape != (3,) or size.table.dtype.kind not in "iu" or size.rows < 3:
            raise source.damage(size.start, "a sensor_size that is not three integers")
        source.sensor = check_sensor_size(_read(source, size, 3).tolist())
    found = {field_of(name): name for name in reversed(members)}
    names = [found.get(field) for field in FIELDS]
    if None in names and len(members) != 1:
        raise EventFileError(
            f"{source.path}: holds {', '.join(members) or 'nothing'}; expected arrays x, y, t and p, or a single one"
        )
    used = list(members.values()) if None in names else [members[name or ""] for name in names]
    tables = [member.table for member in used]
    if len(used) == 4 and any(t.dtype.kind not in "biuf" or t.shape != tables[0].shape for t in tables):
        shapes = ", ".join(f"{table.dtype} {table.shape}" for table in tables)
        raise EventFileError(f"{source.path}: x, y, t and p are {shapes}; expected numbers, one for each event")
    if len(used) == 4 and math.prod(tables[0].shape[1:]) != 1:
        raise EventFileError(f"{source.path}: columns of shape {tables[0].shape}; expected [N]")
    order = order_of_columns(source, tables[0].dtype, tables[0].shape) if len(used) == 1 else ()
    left = min(member.rows for member in used)
    while left > 0:
        count = left if source.step >= source.size else min(left, max(1, source.step // 64))
        left -= count
        parts = [_read(source, member, count) for member in used]
        # Compressed bytes have no place of their own: damage is told by the member.
        if order:
            yield chunk_of(parts[0], order, used[0].start, 0)
        else:
            x, y, t, p = (part.reshape(-1) for part in parts)
            yield Chunk(x, y, t, p, evenly(used[0].start, 0))


def _read(source: Source, member: _Member, count: int) -> NDArray[Any]:
    table = member.table
    wanted = count * math.prod(table.shape[1:]) * table.dtype.itemsize
    content: bytes | memoryview
    try:
        if isinstance(member.file, io.BytesIO):  # without another copy
            place = member.file.tell()
            content = member.file.getbuffer()[place : place + wanted]
            member.file.seek(wanted, 1)
        else:
            content = member.file.read(wanted)
    except _BROKEN as error:
        raise source.damage(member.start, f"a broken member ({error})") from error
    if len(content) < wanted:
        raise source.damage(member.start, f"a member with {wanted - len(content)} bytes too few")
    return np.frombuffer(content, table.dtype).reshape(count, *table.shape[1:])


def looks_like(head: bytes, path: Path) -> bool:
    """Whether the file is an archive whose first member is an array."""
    del path
    return head.startswith(b"PK\x03\x04") and b".npy" in head[:2048]


def write(path: Path, events: Events) -> None:
    """Write a recording as four columns and the sensor size."""
    buffer = io.BytesIO()
    np.savez(buffer, sensor_size=np.array(events.sensor_size), **events.to_columns()._asdict())
    write_whole(path, buffer.getvalue())


NPZ = Format("npz", "NumPy archive of x, y, t and p", (".npz",), looks_like, chunks, write, takes=TAKES)
