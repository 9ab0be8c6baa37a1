"""NumPy's files: structured arrays, ``[N, 4]`` arrays with named columns, and archives of four columns.

Pickled objects are never loaded. An archive written here holds ``x``, ``y``, ``t`` and ``p`` as SpikingJelly's do, and
``sensor_size`` besides.
"""

from __future__ import annotations

import ast
import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.atomic import write_whole
from spikesim.datasets.checks import FIELDS, check_sensor_size
from spikesim.datasets.convert import field_of
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import CHUNK_BYTES, Chunk, Format, Source, evenly
from spikesim.errors import EventError, EventFileError

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 2**16
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


@dataclass(frozen=True)
class Table:
    """What the header of an array says, and the byte where its values start."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    by_column: bool
    start: int


def parse_header(file: IO[bytes]) -> Table | str:
    """Read the header of an array, or say what is wrong with it."""
    lead = file.read(8)
    if len(lead) < 8 or not lead.startswith(_MAGIC) or lead[6] not in (1, 2, 3):
        return "no header of a NumPy array"
    width = 2 if lead[6] == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    if length > _LONGEST_HEADER:
        return f"a header of {length} bytes"
    text = file.read(length)
    if len(text) < length:
        return "truncated: the header does not end"
    try:
        said = ast.literal_eval(text.decode("utf8" if lead[6] == 3 else "latin1").strip())
        dtype = np.lib.format.descr_to_dtype(said["descr"])
        shape, by_column = said["shape"], said["fortran_order"]
    except (ValueError, TypeError, KeyError, SyntaxError, IndexError, tokenize.TokenError, RecursionError, MemoryError):
        return "a header that makes no sense"
    sound = (
        isinstance(shape, tuple)
        and all(type(n) is int and 0 <= n < 2**48 for n in shape)
        and isinstance(by_column, bool)
    )
    if not sound or not shape or math.prod(shape[1:]) > 16 or dtype.itemsize == 0:
        return f"an array of shape {shape}"
    if dtype.hasobject:
        return "pickled objects, which are never loaded,"
    return Table(dtype, shape, by_column, 8 + width + length)


def table_of(source: Source) -> Table:
    """Read the header of an open ``.npy`` file."""
    table = parse_header(source.file)
    if isinstance(table, str):
        raise source.damage(0, table)
    return table


def rows(source: Source, table: Table) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the byte of the first row and the rows, some at a time; damage after what is whole."""
    total, width = table.shape[0], math.prod(table.shape[1:])
    size = table.dtype.itemsize
    there = max(0, source.size - table.start) // size  # whole values
    step = max(1, CHUNK_BYTES // (size * max(1, width)))
    by_column = table.by_column and width > 1
    whole = min(total, there // max(1, width))
    if by_column:
        # The last column is the one that a truncated file lacks.
        whole = min(total, max(0, there - (width - 1) * total))
    for first in range(0, whole, step):
        count = min(step, whole - first)
        if by_column:
            parts = []
            for column in range(width):
                source.file.seek(table.start + (column * total + first) * size)
                parts.append(np.frombuffer(source.read(count * size), table.dtype))
            part = np.stack(parts, axis=1)
        else:
            source.file.seek(table.start + first * width * size)
            part = np.frombuffer(source.read(count * width * size), table.dtype).reshape(count, *table.shape[1:])
        yield table.start + first * size * (1 if by_column else width), part
    if whole < total:
        offset = source.size if by_column else table.start + whole * width * size
        raise source.damage(min(offset, source.size), "truncated", f"{total - whole} of {total} rows are missing")


def chunks(source: Source) -> Iterator[Chunk]:
    """Read the events of an open ``.npy`` file."""
    table = table_of(source)
    names = _order(source, table.dtype, table.shape)
    by_column = table.by_column and table.dtype.names is None
    size = table.dtype.itemsize * (1 if by_column else math.prod(table.shape[1:]))
    for offset, part in rows(source, table):
        yield _chunk(part, names, offset, size)


def _order(source: Source, dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[str | int, ...]:
    """Where x, y, t and p are: field names, or numbers of columns."""
    columns = source.options.columns
    if dtype.names is not None:
        if columns is not None:
            raise EventError(f"{source.path}: has fields ({', '.join(dtype.names)}); leave columns= out")
        fields: Any = dtype.fields
        found = {field_of(name) or _title(fields[name]): name for name in reversed(dtype.names)}
        missing = [field for field in FIELDS if field not in found]
        if missing:
            raise EventFileError(
                f"{source.path}: has the fields {', '.join(dtype.names)}; {', '.join(missing)} missing"
            )
        picked = [found[field] for field in FIELDS]
        odd = [name for name in picked if dtype[name].base.kind not in "biuf" or dtype[name].shape not in ((), (1,))]
        if odd or math.prod(shape[1:]) != 1:
            raise EventFileError(
                f"{source.path}: an array of {dtype} and shape {shape}; expected one number in each field, [N]"
            )
        return tuple(picked)
    if dtype.kind not in "biuf" or len(shape) != 2:
        raise EventFileError(
            f"{source.path}: an array of {dtype} and shape {shape}; expected a structured one or numbers [N, 4]"
        )
    if columns is None:
        raise EventFileError(
            f"{source.path}: a plain array of shape {shape} does not say which column is which; pass columns=, for "
            'example columns="txyp"'
        )
    return column_numbers(source, columns, shape[1])


def column_numbers(source: Source, columns: str, width: int | None = None) -> tuple[int, ...]:
    """Return the number of the columns x, y, t and p, of an order such as ``"txyp"`` or ``"t,x,y,p,-"``."""
    names = [field_of(name) for name in (columns.split(",") if "," in columns else columns)]
    if any(names.count(field) != 1 for field in FIELDS) or (width is not None and len(names) != width):
        raise EventError(
            f"{source.path}: columns is {columns!r}; expected each of x, y, t and p once"
            + (f" and {width} columns, with - for those to leave out" if width is not None else "")
        )
    return tuple(names.index(field) for field in FIELDS)


def _title(field: Any) -> str | None:
    return field_of(field[2]) if len(field) > 2 and isinstance(field[2], str) else None


def _chunk(part: NDArray[Any], names: tuple[str | int, ...], offset: int, size: int) -> Chunk:
    flat = part.reshape(-1) if part.dtype.names is not None else part
    x, y, t, p = ((flat[name].reshape(-1) if isinstance(name, str) else flat[:, name]) for name in names)
    return Chunk(x, y, t, p, evenly(offset, size))


def looks_like(head: bytes, path: Path) -> bool:
    """Whether the file starts as NumPy's arrays do."""
    del path
    return head.startswith(_MAGIC)


def write(path: Path, events: Events) -> None:
    """Write a recording as a structured array; it does not say the sensor."""
    buffer = io.BytesIO()
    np.save(buffer, events.data, allow_pickle=False)
    write_whole(path, buffer.getvalue())


def npz_chunks(source: Source) -> Iterator[Chunk]:
    """Read the events of an open ``.npz`` file: four columns, or one table."""
    try:
        with zipfile.ZipFile(source.file) as archive:
            yield from _members(source, archive)
    except EventError:
        raise
    except _BROKEN_ZIP as error:
        raise source.damage(0, f"a broken archive ({error or type(error).__name__})") from error


def _members(source: Source, archive: zipfile.ZipFile) -> Iterator[Chunk]:
    entries = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    for info in entries.values():
        _verify(source, archive, info)
    size = entries.pop("sensor_size", None)
    if size is not None:
        source.sensor = check_sensor_size(_small(source, archive, size).tolist())
    found = {field_of(name): name for name in reversed(entries)}
    names = [found.get(field) for field in FIELDS]
    if None in names and len(entries) != 1:
        raise EventFileError(
            f"{source.path}: holds {', '.join(entries) or 'nothing'}; expected arrays x, y, t and p, or a single one"
        )
    infos = [next(iter(entries.values()))] if None in names else [entries[name or ""] for name in names]
    starts = [info.header_offset for info in infos]
    files = [archive.open(info) for info in infos]
    tables = [parse_header(file) for file in files]
    for table, start in zip(tables, starts, strict=True):
        if isinstance(table, str):
            raise source.damage(start, table)
        if table.by_column and math.prod(table.shape[1:]) > 1:
            raise EventFileError(f"{source.path}: an array in Fortran order; expected C order in an archive")
    sound = [table for table in tables if isinstance(table, Table)]
    if len(sound) == 4 and any(table.dtype.kind not in "biuf" or table.shape != sound[0].shape for table in sound):
        shapes = ", ".join(f"{table.dtype} {table.shape}" for table in sound)
        raise EventFileError(f"{source.path}: x, y, t and p are {shapes}; expected numbers, one for each event")
    if len(sound) == 4 and math.prod(sound[0].shape[1:]) != 1:
        raise EventFileError(f"{source.path}: columns of shape {sound[0].shape}; expected [N]")
    order = _order(source, sound[0].dtype, sound[0].shape) if len(sound) == 1 else ()
    left = sound[0].shape[0]
    while left > 0:
        count = min(left, max(1, CHUNK_BYTES // 64))
        parts = [
            _rows(source, file, table, start, count) for file, table, start in zip(files, sound, starts, strict=True)
        ]
        left -= count
        # Compressed bytes have no place of their own: damage is told by the member.
        at = evenly(starts[0], 0)
        yield _chunk(parts[0], order, starts[0], 0) if order else _columns(parts, at)


def _columns(parts: list[NDArray[Any]], at: Callable[[int], int]) -> Chunk:
    x, y, t, p = (part.reshape(-1) for part in parts)
    return Chunk(x, y, t, p, at)


def _verify(source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Read a member to its end, where its checksum is compared: no value of a damaged one is believed."""
    try:
        with archive.open(info) as file:
            while file.read(CHUNK_BYTES):
                pass
    except _BROKEN_ZIP as error:
        raise source.damage(info.header_offset, f"a broken member ({error})") from error


def _rows(source: Source, file: IO[bytes], table: Table, start: int, count: int) -> NDArray[Any]:
    width = math.prod(table.shape[1:])
    wanted = count * width * table.dtype.itemsize
    try:
        content = file.read(wanted)
    except _BROKEN_ZIP as error:
        raise source.damage(start, f"a broken member ({error})") from error
    if len(content) < wanted:
        raise source.damage(start, f"a member with {wanted - len(content)} bytes too few")
    return np.frombuffer(content, table.dtype).reshape(count, *table.shape[1:])


def _small(source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(info) as file:
        table = parse_header(file)
        if isinstance(table, str) or table.shape != (3,) or table.dtype.kind not in "iu":
            raise source.damage(info.header_offset, "a sensor_size that is not three integers")
        return _rows(source, file, table, info.header_offset, 3)


def npz_looks_like(head: bytes, path: Path) -> bool:
    """Whether the file is an archive whose first member is an array."""
    del path
    return head.startswith(b"PK\x03\x04") and b".npy" in head[:2048]


def npz_write(path: Path, events: Events) -> None:
    """Write a recording as four columns and the sensor size."""
    buffer = io.BytesIO()
    np.savez(buffer, sensor_size=np.array(events.sensor_size), **events.to_columns()._asdict())
    write_whole(path, buffer.getvalue())


_TAKES = ("columns", "time_unit", "rounding")
NPY = Format(
    "npy", "NumPy array (structured, or [N, 4] with columns=)", (".npy",), looks_like, chunks, write, takes=_TAKES
)
NPZ = Format("npz", "NumPy archive of x, y, t and p", (".npz",), npz_looks_like, npz_chunks, npz_write, takes=_TAKES)
