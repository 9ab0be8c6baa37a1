"""Prophesee's raw files: EVT 2.0, 2.1 and 3.0.

Header lines start with ``% `` and name the encoding (``% evt 3.0``, ``% format EVT3;height=720;width=1280``) and the
sensor (``% geometry 1280x720``). Events count from the first word that gives the time; external triggers are
counted. The halves of an EVT 2.1 word come in either order, which newer files state (``endianness=legacy`` has the
upper half first); where a file does not, the order that has words of time is taken.
Format: https://docs.prophesee.ai/stable/data/encoding_formats/index.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.formats import evt_kernels as kernels
from spikesim.datasets.formats.base import Chunk, Format, Source, picked
from spikesim.datasets.formats.header import read_lines

_STEP = 2**18  # words at a time: one of 16 bits can hold twelve events
_ENCODING = re.compile(rb"^% (?:evt\s+(\d)\.(\d)|format\s+EVT(\d)(\d?))", re.IGNORECASE)
_SIDE = re.compile(rb"\b(width|height)=(\d{1,5})\b")
_GEOMETRY = re.compile(rb"^% geometry\s+(\d{1,5})x(\d{1,5})")
_WORDS = {"evt2": np.dtype("<u4"), "evt21": np.dtype([("a", "<u4"), ("b", "<u4")]), "evt3": np.dtype("<u2")}
_EVENT_KINDS = 2  # types 0 and 1 of EVT 2 are events


def _header(source: Source) -> list[bytes]:
    lines = read_lines(source, b"% ", b"% end")
    sides = {found[1]: int(found[2]) for line in lines for found in _SIDE.finditer(line)}
    geometry = next((found for line in lines if (found := _GEOMETRY.match(line))), None)
    width, height = (
        (int(geometry[1]), int(geometry[2])) if geometry else (sides.get(b"width", 0), sides.get(b"height", 0))
    )
    sensor: SensorSize = (width, height, 2)
    source.sensor = sensor if 0 < width < 2**15 and 0 < height < 2**15 else None
    return lines


def chunks(source: Source, name: str) -> Iterator[Chunk]:
    """Read the events of an open file of one of the three encodings."""
    lines = _header(source)
    state = np.zeros(kernels.STATE, np.int64)
    size = _WORDS[name].itemsize
    upper_first = _upper_first(source, lines) if name == "evt21" else False
    for offset, words in source.records(_WORDS[name]):
        for first in range(0, len(words), _STEP):
            part = words[first : first + _STEP]
            room = _room(name, part, upper_first)
            columns = [np.empty(room, kind) for kind in ("u2", "u2", "i8", "u1", "i8")]
            if name == "evt21":
                heads, masks = (part["a"], part["b"]) if upper_first else (part["b"], part["a"])
                count = kernels.decode21(heads, masks, state, *columns)
            else:
                decode = kernels.decode2 if name == "evt2" else kernels.decode3
                count = decode(part, state, *columns)
            source.skip("events before the first time", room - count)
            source.skip("external triggers", int(state[kernels.TRIGGERS]))
            state[kernels.TRIGGERS] = 0
            if count:
                x, y, t, p, place = (column[:count] for column in columns)
                yield Chunk(x, y, t, p, picked(offset + first * size, size, place))


def _room(name: str, words: NDArray[Any], upper_first: bool) -> int:
    """How many events the words hold."""
    if name == "evt2":
        return int(np.count_nonzero((words >> 28) < _EVENT_KINDS))
    if name == "evt21":
        heads, masks = (words["a"], words["b"]) if upper_first else (words["b"], words["a"])
        return int(np.bitwise_count(masks[(heads >> 28) < _EVENT_KINDS]).sum(dtype=np.int64))
    kinds = words >> 12
    vectors = [
        np.bitwise_count(words[kinds == kind] & mask).sum(dtype=np.int64) for kind, mask in ((4, 0xFFF), (5, 0xFF))
    ]
    return int(np.count_nonzero(kinds == 2)) + int(sum(vectors))


def _upper_first(source: Source, lines: list[bytes]) -> bool:
    """Whether the upper half of a 64-bit word comes first."""
    said = [line for line in lines if b"endianness=" in line]
    if said:
        return b"endianness=legacy" in said[0]
    start = source.file.tell()
    words = np.frombuffer(source.read(2**16 // 8 * 8), np.uint8)
    halves = words[: len(words) // 8 * 8].view("<u4").reshape(-1, 2)
    source.file.seek(start)
    # The word of time has type 8 and nothing in its lower half. The vector of one event may look like that the other
    # way round; but time comes first.
    upper, lower = (np.flatnonzero((halves[:, k] >> 28 == 8) & (halves[:, 1 - k] == 0)) for k in (0, 1))
    if len(upper) == len(lower):
        return len(upper) == 0 or bool(upper[0] < lower[0])
    return len(upper) > len(lower)


def looks_like(head: bytes, path: Path, name: str) -> bool:
    """Whether the header names this encoding."""
    del path
    if not head.startswith(b"% "):
        return False
    for line in head.split(b"\n"):
        if not line.startswith(b"% "):
            break
        found = _ENCODING.match(line)
        if found:
            major, minor = found[1] or found[3], found[2] or found[4] or b"0"
            return name == f"evt{major.decode()}" + minor.decode().strip("0")
    return False


EVT2, EVT21, EVT3 = (
    Format(
        name,
        f"Prophesee raw, {about}",
        (".raw",),
        partial(looks_like, name=name),
        partial(chunks, name=name),
    )
    for name, about in (("evt2", "EVT 2.0"), ("evt21", "EVT 2.1"), ("evt3", "EVT 3.0"))
)
