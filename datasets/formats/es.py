"""Event streams (``.es``) of the DVS type, version 2: five bytes an event, times as steps.

The header is ``Event Stream``, three bytes of version, one of type (1: DVS), width and height. An event is one byte
with the polarity in bit 0 and the microseconds since the event before it, then x and y of 16 bits; a byte of 255 in
between adds 127 us to the step. The origin is the lower left pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from spikesim.datasets.atomic import write_whole
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import Chunk, Format, Source, picked
from spikesim.errors import EventError, EventFileError

_MARK = b"Event Stream"
_HEADER = len(_MARK) + 8
_DVS = 1
_TYPES = {0: "generic", 2: "ATIS", 3: "AMD", 4: "color"}
_STEP = 127
_MORE = 255  # this byte is a step of 127 us without an event
_SIZE = 5
_LARGEST = 2**32  # bytes of steps without events: nobody wants such a file


@njit(cache=True, nogil=True)
def _decode(content: Any, time: int, x: Any, y: Any, t: Any, p: Any, place: Any) -> tuple[int, int, int]:
    """Events, bytes used and the time reached; stops before an event that is not whole, and at a byte of 254."""
    n, i = 0, 0
    while i < len(content):
        step = int(content[i])
        if step == _MORE:
            time += _STEP
            i += 1
            continue
        if step == _MORE - 1 or i + _SIZE > len(content) or n >= len(x):
            break
        time += step >> 1
        x[n] = content[i + 1] | (int(content[i + 2]) << 8)
        y[n] = content[i + 3] | (int(content[i + 4]) << 8)
        t[n], p[n], place[n] = time, step & 1, i
        n += 1
        i += _SIZE
    return n, i, time


def chunks(source: Source) -> Iterator[Chunk]:
    """Read the events of an open file."""
    head = source.read(_HEADER)
    if len(head) < _HEADER:
        raise source.damage(len(head), "truncated", "the header does not end")
    if not head.startswith(_MARK):
        raise source.damage(0, "no header of an event stream")
    version, kind = head[12], head[15]
    if kind != _DVS or version != 2:
        raise EventFileError(
            f"{source.path}: an event stream of version {version} and type {_TYPES.get(kind, kind)}; expected version "
            "2 with DVS events (type 1)"
        )
    width, height = (int.from_bytes(head[k : k + 2], "little") for k in (16, 18))
    if 0 < width < 2**15 and 0 < height < 2**15:
        source.sensor = (width, height, 2)
    time, rest, offset = 0, b"", _HEADER
    lead: int | None = None  # where steps begin that no event has followed yet
    while content := source.read(source.step):
        content = rest + content
        room = len(content) // _SIZE
        columns = [np.empty(room, kind) for kind in ("u2", "u2", "i8", "u1", "i8")]
        count, used, time = _decode(np.frombuffer(content, np.uint8), time, *columns)
        ends = int(columns[4][count - 1]) + _SIZE if count else 0
        if count:
            lead = None
        if used > ends and lead is None:
            lead = offset + ends
        if count:
            x, y, t, p, place = (column[:count] for column in columns)
            yield Chunk(x, y, t, p, picked(offset, 1, place))
        offset, rest = offset + used, content[used:]
        if rest and rest[0] == _MORE - 1:
            raise source.damage(offset, "a byte of 254, which is no step")
    if rest:
        raise source.damage(offset, "truncated", f"{len(rest)} of the {_SIZE} bytes of an event are there")
    if lead is not None:
        raise source.damage(lead, "truncated", "the event that the last steps lead to is not there")


def looks_like(head: bytes, path: Path) -> bool:
    """Whether the file says that it is an event stream."""
    del path
    return head.startswith(_MARK)


def write(path: Path, events: Events) -> None:
    """Write a recording; it must be in order of time."""
    if not events.sorted:
        raise EventError(
            f"event {events.first_unsorted} is earlier than the one before it, which an event stream cannot hold; "
            "use events.in_time_order()"
        )
    steps = np.diff(events.t, prepend=0)
    far = steps // _STEP
    if len(far) and (int(far.max()) >= _LARGEST or int(far.sum()) >= _LARGEST):
        worst = int(np.argmax(far))
        raise EventError(
            f"event {worst} has t = {int(events.t[worst])}, too long after the one before it: an event stream takes a "
            "byte for every 127 us; shift the recording to start at 0 (transforms.TimeAlignment)"
        )
    width, height, _ = events.sensor_size
    ends = np.cumsum(far + _SIZE)
    body = np.full(int(ends[-1]) if len(ends) else 0, _MORE, np.uint8)
    at = ends - _SIZE
    body[at] = (steps % _STEP) << 1 | events.p
    body[at + 1], body[at + 2] = events.x & 255, events.x >> 8
    body[at + 3], body[at + 4] = events.y & 255, events.y >> 8
    sides = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    write_whole(path, _MARK + bytes([2, 0, 0, _DVS]) + sides + body.tobytes())


ES = Format("es", "event stream (.es) of DVS events", (".es",), looks_like, chunks, write)
