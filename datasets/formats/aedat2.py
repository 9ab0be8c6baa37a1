"""AEDAT 2.0 of jAER: eight bytes an event, big-endian address and time in microseconds.

What an address means depends on the camera, which newer files name in their header (``# AEChip:``):

======================  =====  =====  ========  =====================================
camera                  x      y      polarity  no events
======================  =====  =====  ========  =====================================
``dvs128`` (128x128)    1-7    8-14   0         bit 15: external
``davis240`` (240x180)  12-21  22-30  11        bit 31: frames and IMU; bit 10: external
``davis346`` (346x260)  12-21  22-30  11        as davis240
======================  =====  =====  ========  =====================================

A polarity of 1 is ON (brighter), as iniVation documents it; the origin is the lower left pixel, so row 0 is the
bottom of the picture. Times count on where the 32 bits overflow.
Format: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-2.0.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikesim.datasets.atomic import write_whole
from spikesim.datasets.checks import SensorSize
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import Decoded, Format, Source, marked
from spikesim.datasets.formats.header import named_sensor, read_lines, refuse_above, refuse_drops
from spikesim.datasets.formats.words import Word, room, timed_words, words_of
from spikesim.errors import EventFileError

_RECORD = np.dtype([("address", ">u4"), ("t", ">u4")])
_MARK = b"#!AER-DAT2.0"
_END = b"#End Of ASCII Header"


class Layout(NamedTuple):
    """Where an address holds what: first bit and number of bits; ``other`` marks what is no event."""

    sensor: SensorSize
    x: tuple[int, int]
    y: tuple[int, int]
    p: int
    other: int


LAYOUTS = {
    "dvs128": Layout((128, 128, 2), (1, 7), (8, 7), 0, 1 << 15),
    "davis240": Layout((240, 180, 2), (12, 10), (22, 9), 11, 1 << 31 | 1 << 10),
    "davis346": Layout((346, 260, 2), (12, 10), (22, 9), 11, 1 << 31 | 1 << 10),
}


def chunks(source: Source) -> Iterator[Decoded]:
    """Read the polarity events of an open file; count frames, IMU samples and external events."""
    lines = read_lines(source, b"#", _END)
    layout = LAYOUTS[_camera(source, lines)]
    source.sensor = named_sensor(lines) or layout.sensor
    bits, state = Word(layout.x, layout.y, (layout.p, 1), layout.other).bits(), (-1, 0)
    for offset, records in source.records(_RECORD):
        data = room(len(records))
        count, state = timed_words(*words_of(records), 1, bits, state, data)
        source.skip("records that are no polarity events", len(records) - count)
        yield Decoded(data[:count], marked(offset, records, lambda records: (records["address"] & layout.other) == 0))


def _camera(source: Source, lines: list[bytes]) -> str:
    """Which layout the addresses have: as the caller says, else as the header says."""
    asked = source.options.camera
    if asked is not None:
        if asked.lower() not in LAYOUTS:
            raise EventFileError(f"{source.path}: camera is {asked!r}; expected one of {', '.join(LAYOUTS)}")
        return asked.lower()
    chips = [line.lower() for line in lines if b"aechip" in line.lower() or b"hardwareinterface" in line.lower()]
    # The class of the chip says more than the name of the interface: both DAVIS share one interface.
    for line in sorted(chips, key=lambda line: b"aechip" not in line):
        for name in LAYOUTS:
            if name.encode() in line:
                return name
    raise EventFileError(
        f"{source.path}: the header names none of the cameras {', '.join(LAYOUTS)}, so the addresses cannot be "
        'read; pass camera="dvs128" or the one it was made with'
    )


def looks_like(head: bytes, path: Path) -> bool:
    """Whether the file says that it is AEDAT 2.0."""
    del path
    return head.startswith(_MARK)


def write(path: Path, events: Events) -> None:
    """Write a recording with the address layout of the smallest camera that holds its sensor."""
    width, height, _ = events.sensor_size
    fitting = [name for name, one in LAYOUTS.items() if width <= one.sensor[0] and height <= one.sensor[1]]
    if not fitting:
        refuse_above("an AEDAT 2.0 file", "x", events.x, 2**10)
        refuse_above("an AEDAT 2.0 file", "y", events.y, 2**9)
    name = (fitting or ["davis346"])[0]
    layout = LAYOUTS[name]
    refuse_above("an AEDAT 2.0 file", "t", events.t, 2**31)
    refuse_drops("an AEDAT 2.0 file", events.t, 2**31)
    head = [
        _MARK.decode(),
        "# Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event",
        "# Timestamps tick is 1 us",
        f"# AEChip: {name.upper()}",
        f"# Width {width}",
        f"# Height {height}",
        _END.decode(),
    ]
    records = np.empty(len(events), _RECORD)
    records["address"] = (
        (events.x.astype(np.uint32) << layout.x[0])
        | (events.y.astype(np.uint32) << layout.y[0])
        | (events.p.astype(np.uint32) << layout.p)
    )
    records["t"] = events.t
    write_whole(path, "".join(f"{line}\r\n" for line in head).encode() + records.tobytes())


AEDAT2 = Format(
    "aedat2",
    "AEDAT 2.0 (DVS128, DAVIS240, DAVIS346)",
    (".aedat", ".aedat2"),
    looks_like,
    chunks,
    write,
    takes=("camera",),
)
