"""ROS 1 bags with messages ``dvs_msgs/EventArray`` (DAVIS 240C dataset, MVSEC, VPR); read by ``rosbags``.

A message holds a header (number, time, name of the frame), height and width of the sensor, and events of 13 bytes: x,
y, seconds, nanoseconds and polarity. Times are rounded to the nearest microsecond unless ``rounding="exact"`` is
asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spikesim.datasets.columns import microseconds
from spikesim.datasets.formats.base import Chunk, Format, Source, evenly
from spikesim.datasets.formats.extras import library
from spikesim.errors import EventError, EventFileError

_MARK = b"#ROSBAG V2.0"
_KIND = "dvs_msgs/msg/EventArray"
_EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("s", "<u4"), ("ns", "<u4"), ("p", "u1")])


def chunks(source: Source) -> Iterator[Chunk]:
    """Read the events of one topic."""
    rosbag: Any = library("rosbags.rosbag1", "rosbag", f"{source.path}: reading a ROS bag")
    try:
        with rosbag.Reader(source.path) as reader:
            topics = {one.topic: one for one in reader.connections if one.msgtype == _KIND}
            connection = topics[_topic(source, sorted(topics))]
            for _, _, content in reader.messages([connection]):
                yield _message(source, bytes(content))
    except EventError:
        raise
    except Exception as error:  # whatever its parser meets in damaged bytes
        raise source.damage(0, f"a ROS bag that cannot be read ({error or type(error).__name__})") from error


def _topic(source: Source, topics: list[str]) -> str:
    asked = source.options.topic
    if asked in topics:
        return str(asked)
    if asked is None and len(topics) == 1:
        return topics[0]
    there = ", ".join(topics) or "none"
    raise EventFileError(f"{source.path}: topic is {asked!r}; expected one with events, of which there are: {there}")


def _message(source: Source, content: bytes) -> Chunk:
    """Decode one message: three numbers of the header, its name, the sensor, and the events."""
    if len(content) < 16:
        raise source.damage(0, "a message that is too short")
    at = 16 + int.from_bytes(content[12:16], "little")
    if len(content) < at + 12:
        raise source.damage(0, "a message that is too short")
    height, width, count = (int.from_bytes(content[at + k : at + k + 4], "little") for k in (0, 4, 8))
    if len(content) != at + 12 + count * _EVENT.itemsize:
        raise source.damage(0, f"a message of {len(content)} bytes that announces {count} events")
    if 0 < width < 2**15 and 0 < height < 2**15:
        source.sensor = (width, height, 2)
    events = np.frombuffer(content, _EVENT, count, at + 12)
    times = events["s"].astype(np.int64) * 10**9 + events["ns"]
    t = microseconds(times, "ns", source.options.rounding or "nearest")
    return Chunk(events["x"], events["y"], t, events["p"], evenly(0, 0))


def looks_like(head: bytes, path: Path) -> bool:
    """Whether the file is a bag of ROS 1."""
    del path
    return head.startswith(_MARK)


ROSBAG = Format(
    "rosbag",
    "ROS 1 bag (dvs_msgs/EventArray)",
    (".bag",),
    looks_like,
    chunks,
    takes=("topic", "rounding"),
    extra="rosbag",
)
