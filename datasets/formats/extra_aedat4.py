"""AEDAT 4 of DV (iniVation): packets of FlatBuffers, compressed; read by ``aedat``, written by ``dv-processing``.

Of several streams of events the one with the lowest number is read, as Tonic does; packets of other streams are
counted. After the header (its length is in bytes 14-17) each packet starts with the number of its stream and its size,
which is how damage is given its place.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spikesim.datasets.atomic import whole_file
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import Chunk, DamageError, Format, Source, evenly
from spikesim.datasets.formats.extras import library
from spikesim.errors import EventError, EventFileError

_MARK = b"#!AER-DAT4.0"
_LEAD = len(_MARK) + 2
_PACKET = struct.Struct("<iI")
_STORE = 10_000
_MOST_EACH, _MOST_ELSE = 17, 2**16  # bytes of an event that nothing compresses, and of headers and tables


def chunks(source: Source) -> Iterator[Chunk]:
    """Read the events of an open file."""
    aedat = library("aedat", "aedat4", f"{source.path}: reading AEDAT 4")
    try:
        decoder = aedat.Decoder(str(source.path))
        streams = decoder.id_to_stream()
    except BaseException as error:
        raise _damaged(source, 0, error) from error
    found = sorted(number for number, stream in streams.items() if stream["type"] == "events")
    if not found:
        kinds = ", ".join(stream["type"] for stream in streams.values()) or "nothing"
        raise EventFileError(f"{source.path}: holds no stream of events but {kinds}")
    stream = streams[found[0]]
    source.sensor = (int(stream["width"]), int(stream["height"]), 2)
    source.file.seek(_LEAD)
    place = _LEAD + 4 + int.from_bytes(source.read(4), "little")
    while True:
        try:
            packet = next(decoder, None)
        except BaseException as error:
            raise _damaged(source, place, error) from error
        if packet is None:
            return
        start, place = _passed(source, place, int(packet["stream_id"]))
        if packet["stream_id"] != found[0]:
            source.skip("packets of other streams")
            continue
        events = packet["events"]
        yield Chunk(events["x"], events["y"], events["t"], events["on"], evenly(start, 0))


def _passed(source: Source, place: int, stream: int) -> tuple[int, int]:
    """Where the packet of a stream starts that comes next, and where it ends."""
    while True:
        source.file.seek(place)
        head = source.read(_PACKET.size)
        if len(head) < _PACKET.size:
            return place, place
        number, size = _PACKET.unpack(head)
        start, place = place, place + _PACKET.size + size
        if number == stream:
            return start, place


def _damaged(source: Source, place: int, error: BaseException) -> DamageError:
    """What the decoder raises, as damage; a panic of its Rust code is no :class:`Exception`."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
    return source.damage(min(place, source.size), f"AEDAT 4 that cannot be decoded ({error})")


def looks_like(head: bytes, path: Path) -> bool:
    """Whether the file says that it is AEDAT 4."""
    del path
    return head.startswith(_MARK)


def write(path: Path, events: Events) -> None:
    """Write a recording as one stream of events."""
    dv: Any = library("dv_processing", "aedat4", "writing AEDAT 4")
    if not events.sorted:
        raise EventError(
            f"event {events.first_unsorted} is earlier than the one before it, which an AEDAT 4 file cannot hold; "
            "use events.in_time_order()"
        )
    width, height, _ = events.sensor_size
    # The library wants this ending.
    with whole_file(path, ".aedat4") as scratch:
        _take_room(scratch, _MOST_EACH * len(events) + _MOST_ELSE)
        config = dv.io.MonoCameraWriter.EventOnlyConfig("spikesim", (width, height))
        writer = dv.io.MonoCameraWriter(str(scratch), config)
        for first in range(0, len(events), _STORE):
            part = events.data[first : first + _STORE]
            store = dv.EventStore()
            columns = (part[name].tolist() for name in ("t", "x", "y"))
            for row in zip(*columns, (part["p"] != 0).tolist(), strict=True):
                store.push_back(*row)
            writer.writeEvents(store)
        del writer  # closes the file


def _take_room(scratch: Path, count: int) -> None:
    """Find out whether the file can be opened, and whether so many bytes fit; if not, the library ends the process."""
    with open(scratch, "wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, count)
            file.truncate(0)


AEDAT4 = Format("aedat4", "AEDAT 4 (iniVation DV)", (".aedat4",), looks_like, chunks, write, extra="aedat4")
