"""Prophesee DAT (Gen1, N-CARS): eight bytes an event.

Header lines start with ``%``; then one byte names the type of the records and one their size. A record
is two little-endian words: the time in microseconds, and x in bits 0-13, y in 14-27 and the
polarity in 28-31. Types 0 (change detection, as N-CARS has it) and 12 (CD events) share this layout. Before
version 2 of the format x had 9 bits, y 8 and the polarity 1; such files say ``% Version 1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spikesim.datasets.atomic import write_whole
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import Decoded, Format, Source, evenly
from spikesim.datasets.formats.header import named_sensor, read_lines, refuse_above, refuse_drops
from spikesim.datasets.formats.words import Word, room, timed_words, words_of

_RECORD = np.dtype([("t", "<u4"), ("data", "<u4")])
_TYPES = (0, 12)
_RAW = re.compile(rb"^% *(evt|format EVT|camera_integrator_name|plugin_name)", re.IGNORECASE)
_VERSION = re.compile(rb"^%\s*Version\s+(\d+)")


def chunks(source: Source) -> Iterator[Decoded]:
    """Read the events of an open file."""
    lines = read_lines(source, b"%")
    source.sensor = named_sensor(lines)
    versions = [int(found[1]) for line in lines if (found := _VERSION.match(line))]
    start = source.file.tell()
    kind = source.read(2)
    if len(kind) < 2:
        raise source.damage(start, "truncated", "the type and size of the records are missing")
    if kind[0] not in _TYPES or kind[1] != _RECORD.itemsize:
        raise source.damage(
            start, f"records of type {kind[0]} and {kind[1]} bytes", "expected type 0 or 12, and 8 bytes"
        )
    layout = Word((0, 14), (14, 14), (28, 4)) if not versions or versions[0] >= 2 else Word((0, 9), (9, 8), (17, 1))
    bits, state = layout.bits(), (-1, 0)
    for offset, records in source.records(_RECORD):
        data = room(len(records))
        _, state = timed_words(*words_of(records), 0, bits, state, data)
        yield Decoded(data, evenly(offset, 8))


def looks_like(head: bytes, path: Path) -> bool:
    """Whether the file starts with lines of text as DAT's header has them, and then a type and the size 8."""
    del path
    if not head.startswith(b"% "):
        return False
    rest, raw = head, False
    while rest.startswith(b"%"):
        line, _, after = rest.partition(b"\n")
        # A 40-bit file may begin with the bytes of "% ".
        if any(byte < 32 and byte not in b"\t\r" for byte in line):
            return False
        raw = raw or bool(_RAW.match(line))
        rest = after
    if raw:  # Prophesee's raw files have such lines, and so have files converted from them
        return len(rest) >= 2 and rest[0] in _TYPES and rest[1] == _RECORD.itemsize
    return len(rest) < 2 or (rest[0] < 64 and rest[1] == 8)


def write(path: Path, events: Events) -> None:
    """Write a recording as type 12, version 2."""
    refuse_above("a DAT file", "x", events.x, 2**14)
    refuse_above("a DAT file", "y", events.y, 2**14)
    refuse_above("a DAT file", "t", events.t, 2**32)
    refuse_drops("a DAT file", events.t, 2**31)
    width, height, _ = events.sensor_size
    head = f"% Data file containing CD events.\n% Version 2\n% Width {width}\n% Height {height}\n"
    records = np.empty(len(events), _RECORD)
    records["t"] = events.t
    records["data"] = (
        events.x.astype(np.uint32) | (events.y.astype(np.uint32) << 14) | (events.p.astype(np.uint32) << 28)
    )
    write_whole(path, head.encode() + bytes([12, 8]) + records.tobytes())


DAT = Format("dat", "Prophesee DAT, types 0 and 12 (Gen1, N-CARS)", (".dat",), looks_like, chunks, write)
