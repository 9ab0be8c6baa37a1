"""CSV and other text: one event a line, columns named by a header or by the caller."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.atomic import write_whole
from spikesim.datasets.checks import FIELDS, SensorSize
from spikesim.datasets.convert import field_of
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import Chunk, Format, Source
from spikesim.datasets.formats.npy import column_numbers
from spikesim.errors import EventFileError

_BLOCK = 2**20
_LONGEST_LINE = 2**16
_DELIMITERS = (";", "\t", ",")  # in this order: a decimal comma comes with semicolons
_BOM = b"\xef\xbb\xbf"
_SENSOR = re.compile(rb"#\s*sensor_size\W+(\d{1,5})\W+(\d{1,5})\W+([12])\s*$")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|[+-]?inf", re.IGNORECASE)
# Integers stay integers where they can: a float holds no time beyond 2**53.
_KINDS = (("i8", "i8"), ("i8", "f8"), ("f8", "i8"), ("f8", "f8"))


class _Shape(NamedTuple):
    """How lines are read: the delimiter (``None`` is any space) and where x, y, t and p are."""

    delimiter: str | None
    columns: tuple[int, ...]


def chunks(source: Source) -> Iterator[Chunk]:
    """Read the events of an open file."""
    shape: _Shape | None = None
    comments: list[bytes] = []
    kinds = _KINDS[0]
    for start, block in _blocks(source):
        starts, lines = _lines(block, start)
        if shape is None:
            comments += [line for _, line in zip(starts, lines, strict=True) if line.startswith(b"#")]
            source.sensor = source.sensor or _sensor(comments)
        kept = [i for i, line in enumerate(lines) if line and not line.startswith(b"#")]
        places, texts = [starts[i] for i in kept], [lines[i].decode("latin1") for i in kept]
        if not texts:
            continue
        if shape is None:
            shape, header = _shape(source, texts[0], comments)
            places, texts = places[header:], texts[header:]
            if not texts:
                continue
        good, table, kinds = _parsed(texts, shape, kinds)
        if good:
            yield Chunk(table["x"], table["y"], table["t"], table["p"], places.__getitem__)
        if good < len(texts):
            shown = texts[good] if len(texts[good]) <= 60 else texts[good][:60] + "..."
            raise source.damage(places[good], "a line that is no event", repr(shown))


def _blocks(source: Source) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines and the byte where each starts."""
    start, rest = 0, b""
    while block := source.read(_BLOCK):
        rest += block
        end = rest.rfind(b"\n") + 1
        if end:
            yield start, rest[:end]
            start, rest = start + end, rest[end:]
        if len(rest) > _LONGEST_LINE:
            raise source.damage(start, f"a line of more than {_LONGEST_LINE} bytes")
    if rest:
        yield start, rest


def _lines(block: bytes, start: int) -> tuple[list[int], list[bytes]]:
    lines = block.split(b"\n")
    ends = np.cumsum([len(line) + 1 for line in lines])
    starts = [start, *(start + ends[:-1]).tolist()]
    if start == 0 and lines[0].startswith(_BOM):
        lines[0] = lines[0][len(_BOM) :]
    return starts, [line.strip() for line in lines]


def _shape(source: Source, first: str, comments: list[bytes]) -> tuple[_Shape, int]:
    """Find delimiter and columns; also how many lines (0 or 1) the header has."""
    delimiter = source.options.delimiter
    if delimiter is None:
        delimiter = next((one for one in _DELIMITERS if one in first), None)
    elif delimiter.isspace() and delimiter != "\t":
        delimiter = None
    cells = [cell.strip().strip("\"'") for cell in first.split(delimiter)]
    header = not all(_NUMBER.fullmatch(cell) for cell in cells)
    if source.options.columns is not None:
        return _Shape(delimiter, column_numbers(source, source.options.columns)), int(header)
    names = [field_of(cell) for cell in cells]
    if not header:
        # numpy.savetxt writes its header as a comment
        for line in reversed(comments):
            said = [field_of(word) for word in re.split(r"[\s,;]+", line.decode("latin1").lstrip("# "))]
            if all(said.count(field) == 1 for field in FIELDS) and len(said) == len(cells):
                names = said
                break
    if any(names.count(field) != 1 for field in FIELDS):
        raise EventFileError(
            f"{source.path}: "
            + (
                f"the header {first[:80]!r} does not name"
                if header
                else "there is no header, so nothing says which are"
            )
            + " the columns x, y, t and p; pass columns=, for example columns='txyp' (with - for columns to leave out)"
        )
    return _Shape(delimiter, tuple(names.index(field) for field in FIELDS)), int(header)


def _parsed(texts: list[str], shape: _Shape, kinds: tuple[str, str]) -> tuple[int, Any, tuple[str, str]]:
    """Read lines up to the first that is no event: how many, their columns, and the types that worked."""
    for pair in (kinds, *(pair for pair in _KINDS if pair != kinds)):
        table = _try(texts, shape, pair)
        if table is not None:
            return len(texts), table, pair
    # Halve until the first bad line is found.
    low, high = 0, len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        if any(_try(texts[low:middle], shape, pair) is not None for pair in _KINDS):
            low = middle
        else:
            high = middle
    if not low:
        return 0, None, kinds
    good, table, pair = _parsed(texts[:low], shape, kinds)
    return good, table, pair


def _try(texts: list[str], shape: _Shape, kinds: tuple[str, str]) -> NDArray[Any] | None:
    place, time = kinds
    dtype = np.dtype([("x", place), ("y", place), ("t", time), ("p", place)])
    try:
        return np.loadtxt(
            texts, dtype, comments=None, delimiter=shape.delimiter, usecols=shape.columns, ndmin=1, quotechar='"'
        )
    except (ValueError, OverflowError, IndexError):
        return None


def _sensor(comments: list[bytes]) -> SensorSize | None:
    found = next((match for line in comments if (match := _SENSOR.match(line))), None)
    size = tuple(int(side) for side in found.groups()) if found else (0, 0, 0)
    return (size[0], size[1], size[2]) if 0 < size[0] < 2**15 and 0 < size[1] < 2**15 else None


def looks_like(head: bytes, path: Path) -> bool:
    """Whether the first lines are text with at least four cells of numbers, or a header that names events."""
    del path
    if b"\0" in head or any(byte < 9 or 13 < byte < 32 or byte > 126 for byte in head.removeprefix(_BOM)):
        return False
    lines = [line.strip() for line in head.removeprefix(_BOM).decode("latin1").split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        return head.startswith(b"#")
    cells = [cell.strip("\"'") for cell in re.split(r"[\s,;]+", lines[0])]
    named = {field_of(cell) for cell in cells} >= set(FIELDS)
    return named or (len(cells) >= 4 and all(_NUMBER.fullmatch(cell) for cell in cells))


def write(path: Path, events: Events) -> None:
    """Write a recording with a comment that names the sensor, and a header."""
    separator = {".tsv": "\t", ".txt": " "}.get(path.suffix.lower(), ",")
    buffer = io.StringIO()
    buffer.write("# sensor_size: {} {} {}\n".format(*events.sensor_size))
    buffer.write(separator.join(("t", "x", "y", "p")) + "\n")
    rows = zip(*(events.data[name].tolist() for name in "txyp"), strict=True)
    buffer.writelines(separator.join(map(str, row)) + "\n" for row in rows)
    write_whole(path, buffer.getvalue().encode("ascii"))


CSV = Format(
    "csv",
    "text, one event a line",
    (".csv", ".txt", ".tsv"),
    looks_like,
    chunks,
    write,
    sure=False,
    takes=("columns", "delimiter", "time_unit", "rounding"),
)
