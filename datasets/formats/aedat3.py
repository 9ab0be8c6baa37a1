"""AEDAT 3.1 of cAER: packets of events of one type, little-endian.

A packet has a header of 28 bytes: type, source, size of an event, position of its time, overflow of the time,
capacity, number of events, number of valid ones. Packets of polarity events are read, those of any other type
(frames, IMU, special) are skipped by their size and counted. A polarity event is a word with the valid bit in
bit 0, the polarity in 1, y in 2-16 and x in 17-31, and the time in microseconds; the overflow of
the packet supplies bits 31 and up. The origin is the upper left pixel.
Format: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-3.1.html
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikesim.datasets.atomic import write_whole
from spikesim.datasets.checks import SensorSize
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import DamageError, Decoded, Format, Source
from spikesim.datasets.formats.header import named_sensor, read_lines, refuse_above
from spikesim.datasets.formats.words import Word, based_words, room, words_of
from spikesim.errors import EventFileError

_HEAD = np.dtype(
    [("kind", "<u2"), ("source", "<u2")]
    + [(name, "<u4") for name in ("size", "time_at", "overflow", "capacity", "number", "valid")]
)
_HEAD_WORDS = struct.Struct("<HHIIIIII")
_EVENT = np.dtype([("data", "<u4"), ("t", "<u4")])
_BITS = Word((17, 15), (2, 15), (1, 1), marks=1, event=1).bits()
_POLARITY = 1
_KINDS = {0: "special", 2: "frame", 3: "IMU6", 4: "IMU9", 5: "sample", 6: "ear", 7: "configuration"}
_MARK, _END = b"#!AER-DAT3.1", b"#!END-HEADER"
_PACKET = 2**13
_SENSORS: tuple[tuple[bytes, SensorSize], ...] = (
    (b"DVS128", (128, 128, 2)),
    (b"DAVIS128", (128, 128, 2)),
    (b"DAVIS208", (208, 192, 2)),
    (b"DAVIS240", (240, 180, 2)),
    (b"DAVIS346", (346, 260, 2)),
    (b"DAVIS640", (640, 480, 2)),
)


class _Part(NamedTuple):
    """Events of one packet: the byte where they start, their bytes, and what the overflow adds to their times."""

    offset: int
    content: bytes
    base: int


def chunks(source: Source) -> Iterator[Decoded]:
    """Read the polarity events of an open file; count the packets of other types."""
    lines = read_lines(source, b"#", _END)
    if not lines or not lines[-1].startswith(_END):
        raise source.damage(source.file.tell(), "the header does not end (no #!END-HEADER)")
    source.sensor = named_sensor(lines) or _sensor(lines)
    layout = next((line for line in lines if line.startswith(b"#Format:")), b"#Format: RAW").split(b":", 1)[1].strip()
    if layout != b"RAW":
        raise EventFileError(f"{source.path}: packets of format {layout.decode(errors='replace')}; expected RAW")
    held: list[_Part] = []
    damage: DamageError | None = None
    parts = _parts(source)
    more = True
    while more:
        try:
            part = next(parts, None)
        except DamageError as error:
            part, damage = None, error
        more = part is not None
        if part is not None:
            held.append(part)
        # Cameras write packets of some hundred events; decoding them one by one would be slow.
        if held and (not more or source.file.tell() - held[0].offset >= source.step):
            yield from _events(source, held)
            held = []
    if damage is not None:
        raise damage


def _parts(source: Source) -> Iterator[_Part]:
    """Yield the polarity packets of an open file, large ones in parts; damage after what is whole."""
    while source.file.tell() < source.size:
        start = source.file.tell()
        head = source.read(_HEAD.itemsize)
        if len(head) < _HEAD.itemsize:
            detail = f"{len(head)} of the {_HEAD.itemsize} bytes of a packet header are there"
            raise source.damage(start, "truncated", detail)
        kind, _, size, time_at, overflow, capacity, number, valid = _HEAD_WORDS.unpack(head)
        if number > capacity or valid > number:
            raise source.damage(start, "a packet header that contradicts itself")
        if kind != _POLARITY:
            _skip(source, start, kind, size * number)
            continue
        if size != _EVENT.itemsize or time_at != 4:
            raise source.damage(start, f"polarity events of {size} bytes", "expected 8, with the time at 4")
        left = number * size
        while left:
            offset = source.file.tell()
            wanted = min(left, max(1, source.step // size) * size)
            content = source.read(wanted)
            whole = len(content) // size * size
            if whole:
                yield _Part(offset, content[:whole], overflow << 31)
            if len(content) < wanted:
                detail = f"{(left - whole) // size} more events are announced"
                raise source.damage(offset + whole, "truncated", detail)
            left -= wanted


def _events(source: Source, parts: list[_Part]) -> Iterator[Decoded]:
    """Decode parts of packets at once."""
    records = np.frombuffer(b"".join(part.content for part in parts), _EVENT)
    ends = np.cumsum([len(part.content) // 8 for part in parts])
    bases = np.array([part.base for part in parts], np.int64)
    data = room(len(records))
    # Bit 31 of a time would be a sign; it belongs to the overflow and is never set in a sound file.
    count, bad = based_words(*words_of(records), ends, bases, _BITS, data)
    source.skip("events marked invalid", (len(records) if bad < 0 else bad) - count)

    def place(record: int) -> int:
        k = int(np.searchsorted(ends, record, "right"))
        return parts[k].offset + 8 * (record - (int(ends[k - 1]) if k else 0))

    yield Decoded(data[:count], lambda i: place(int(np.flatnonzero(records["data"] & 1)[i])))
    if bad >= 0:
        raise source.damage(place(bad), "a negative time")


def _skip(source: Source, start: int, kind: int, count: int) -> None:
    if source.file.tell() + count > source.size:
        raise source.damage(start, "truncated", f"a packet of type {kind} announces {count} bytes")
    source.file.seek(count, 1)
    source.skip(f"packets of type {_KINDS.get(kind, kind)}")


def _sensor(lines: list[bytes]) -> SensorSize | None:
    """The sensor of the first source that the header names; re-logged files mark the original with a minus."""
    sources = [line.upper() for line in lines if re.match(rb"^#-?Source \d+:", line)]
    return next((size for line in sources for name, size in _SENSORS if name in line), None)


def looks_like(head: bytes, path: Path) -> bool:
    """Whether the file says that it is AEDAT 3.1."""
    del path
    return head.startswith(_MARK)


def write(path: Path, events: Events) -> None:
    """Write a recording in packets of polarity events."""
    refuse_above("an AEDAT 3.1 file", "t", events.t, 2**62)
    width, height, _ = events.sensor_size
    head = [
        _MARK.decode(),
        "#Format: RAW",
        "#Source 1: spikesim",
        "#Start-Time: 1970-01-01 00:00:00 (TZ+0000)",  # unknown, but the format wants one
        f"#Width: {width}",
        f"#Height: {height}",
        _END.decode(),
    ]
    parts = ["".join(f"{line}\r\n" for line in head).encode()]
    turns = events.t >> 31
    records = np.empty(len(events), _EVENT)
    records["data"] = (
        (events.x.astype(np.uint32) << 17) | (events.y.astype(np.uint32) << 2) | (events.p.astype(np.uint32) << 1) | 1
    )
    records["t"] = events.t & (2**31 - 1)
    # A packet holds times of one overflow.
    cuts = np.union1d(np.arange(0, len(events), _PACKET), np.flatnonzero(np.diff(turns)) + 1)
    for first, end in pairwise([*cuts.tolist(), len(events)]):
        number = end - first
        packet = np.array([(_POLARITY, 1, 8, 4, int(turns[first]), number, number, number)], _HEAD)
        parts += [packet.tobytes(), records[first:end].tobytes()]
    write_whole(path, b"".join(parts))


AEDAT3 = Format("aedat3", "AEDAT 3.1 (polarity packets)", (".aedat", ".aedat3"), looks_like, chunks, write)
