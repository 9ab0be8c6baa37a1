"""NumPy's arrays: structured ones, and ``[N, 4]`` with named columns. Pickled objects are never loaded."""

from __future__ import annotations

import ast
import io
import math
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.atomic import write_whole
from spikesim.datasets.checks import FIELDS
from spikesim.datasets.convert import EVENT_DTYPE, field_of
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import Chunk, Decoded, Format, Source, evenly
from spikesim.errors import EventError, EventFileError

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 2**16


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
    step = max(1, source.step // (size * max(1, width)))
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


def chunks(source: Source) -> Iterator[Chunk | Decoded]:
    """Read the events of an open ``.npy`` file."""
    table = table_of(source)
    names = order_of_columns(source, table.dtype, table.shape)
    by_column = table.by_column and table.dtype.names is None
    size = table.dtype.itemsize * (1 if by_column else math.prod(table.shape[1:]))
    for offset, part in rows(source, table):
        if part.dtype == EVENT_DTYPE and part.ndim == 1 and not _unit_given(source):
            yield Decoded(part, evenly(offset, size))
        else:
            yield chunk_of(part, names, offset, size)


def _unit_given(source: Source) -> bool:
    return source.options.time_unit is not None or source.options.rounding is not None


def order_of_columns(source: Source, dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[str | int, ...]:
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


def chunk_of(part: NDArray[Any], names: tuple[str | int, ...], offset: int, size: int) -> Chunk:
    """Columns of rows, from what :func:`order_of_columns` says."""
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


TAKES = ("columns", "time_unit", "rounding")
NPY = Format(
    "npy", "NumPy array (structured, or [N, 4] with columns=)", (".npy",), looks_like, chunks, write, takes=TAKES
)
