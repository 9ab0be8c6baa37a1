"""Formats that need a library of their own: read where it is installed, a message that names the extra elsewhere."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from oracles.event_files import recording

from spikesim.datasets import Events, format_of, iter_events, read_events, salvage_events, write_events
from spikesim.errors import EventError, EventFileError

SIZE = (346, 260, 2)
ROWS = [(1, 2, 3, 1), (345, 259, 250, 0), (0, 0, 250, 1), (7, 32, 2**40, 0)]
EVENTS = recording(ROWS, SIZE)
FOLDER = Path(os.environ.get("SPIKESIM_SHARED_DATA", "nowhere"))


def missing(monkeypatch, module):
    """Make an import fail, as where the library is not installed."""
    for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize("count", [0, 1, 4, 25_000])
def test_aedat4_survives(count, tmp_path):
    pytest.importorskip("aedat")
    pytest.importorskip("dv_processing")
    rng = np.random.default_rng(0)
    columns = (rng.integers(0, top, count) for top in (346, 260, 10**6, 2))
    events = EVENTS if count == 4 else Events.from_columns(*columns, SIZE).in_time_order()
    write_events(tmp_path / "r.aedat4", events)
    assert os.listdir(tmp_path) == ["r.aedat4"]
    assert format_of(tmp_path / "r.aedat4").name == "aedat4"
    assert read_events(tmp_path / "r.aedat4") == events
    assert sum(map(len, iter_events(tmp_path / "r.aedat4", count=999))) == count


def test_tonic_reads_the_same_aedat4(tmp_path):
    pytest.importorskip("aedat")
    pytest.importorskip("dv_processing")
    from tonic.io import read_aedat4

    write_events(tmp_path / "r.aedat4", EVENTS)
    assert Events(read_aedat4(str(tmp_path / "r.aedat4")), SIZE) == EVENTS


def test_truncated_aedat4_names_the_packet(tmp_path):
    pytest.importorskip("aedat")
    pytest.importorskip("dv_processing")
    path = tmp_path / "r.aedat4"
    write_events(path, EVENTS)
    content = path.read_bytes()
    header = 18 + int.from_bytes(content[14:18], "little")
    end = header + 8 + int.from_bytes(content[header + 4 : header + 8], "little")
    for cut in range(0, end, 23):
        path.write_bytes(content[:cut])
        with pytest.raises(EventFileError, match=r"r\.aedat4"):
            read_events(path, format="aedat4")
    path.write_bytes(content[: end - 1])
    events, loss = salvage_events(path)
    assert len(events) == 0 and loss.offset == header
    path.write_bytes(content[:end])
    with pytest.raises(EventError, match="event 1 has x = 345"):
        read_events(path, (34, 34, 2))


_NO_ROOM = """
import resource, sys
from spikesim.datasets import Events, write_events
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
n = 5000
x, y = [k % 346 for k in range(n)], [k * 7 % 260 for k in range(n)]
events = Events.from_columns(x, y, range(n), [0] * n, (346, 260, 2))
try:
    write_events(sys.argv[1], events)
except OSError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot tell beforehand")
def test_an_aedat4_without_room_for_it_is_an_error_and_leaves_the_old_file(tmp_path):
    pytest.importorskip("dv_processing")
    (tmp_path / "r.aedat4").write_bytes(b"old")
    # The library ends its process when a disk is full.
    command = [sys.executable, "-c", _NO_ROOM, str(tmp_path / "r.aedat4")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout.startswith("EventFileError") and "cannot be written" in found.stdout
    assert os.listdir(tmp_path) == ["r.aedat4"] and (tmp_path / "r.aedat4").read_bytes() == b"old"


def test_an_unsorted_recording_is_no_aedat4(tmp_path):
    pytest.importorskip("dv_processing")
    with pytest.raises(EventError, match=r"event 1 is earlier.*in_time_order"):
        write_events(tmp_path / "r.aedat4", EVENTS.select(slice(None, None, -1)))
    with pytest.raises(EventFileError, match="cannot be written"):
        write_events(tmp_path / "none" / "r.aedat4", EVENTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not FOLDER.is_dir(), reason="SPIKESIM_SHARED_DATA names no folder")
@pytest.mark.parametrize(
    ("name", "count", "size"), [("davis346", 117_667, SIZE), ("dvxplorer", 111_954, (320, 240, 2))]
)
def test_real_aedat4(name, count, size, tmp_path):
    pytest.importorskip("aedat")
    from tonic.io import read_aedat4

    path = FOLDER / f"recordings/{name}.aedat4"
    events = read_events(path)
    assert (len(events), events.sensor_size) == (count, size)
    assert Events(read_aedat4(str(path)), size) == events
    content = path.read_bytes()
    (tmp_path / "cut.aedat4").write_bytes(content[: len(content) // 2])
    kept, loss = salvage_events(tmp_path / "cut.aedat4")
    assert 0 < len(kept) < count and kept == events.select(slice(len(kept)))
    number, size = struct.unpack("<iI", content[loss.offset : loss.offset + 8])
    assert number in range(8) and loss.offset + 8 + size > len(content) // 2


def dsec(path, events, **options):
    with h5py.File(path, "w") as file:
        for name, kind in zip("xytp", ("u2", "u2", "u4", "u1"), strict=True):
            file.create_dataset(f"events/{name}", data=events.data[name].astype(kind), **options)
        file["t_offset"] = np.int64(10**12)


def test_dsec_columns(tmp_path):
    path = tmp_path / "events.h5"
    events = EVENTS.select(slice(3))
    dsec(path, events)
    got = read_events(path, SIZE)
    assert format_of(path).name == "dsec" and (got.t - 10**12).tolist() == [3, 250, 250]
    assert np.array_equal(got.x, events.x) and np.array_equal(got.p, events.p)
    assert [len(part) for part in iter_events(path, count=2)] == [2, 1]
    with h5py.File(path, "a") as file:
        del file["events/p"]
        file["events/p"] = [1]
    with pytest.raises(EventFileError, match="the columns differ in length"):
        read_events(path, SIZE)
    content = path.read_bytes()
    for cut in range(0, len(content), 101):
        path.write_bytes(content[:cut])
        with pytest.raises(EventFileError):
            read_events(path, SIZE, format="dsec")


def test_dsec_compressed(tmp_path):
    plugin = pytest.importorskip("hdf5plugin")
    dsec(tmp_path / "events.h5", EVENTS.select(slice(3)), chunks=(2,), **plugin.Blosc(cname="zstd"))
    assert (read_events(tmp_path / "events.h5", SIZE).t - 10**12).tolist() == [3, 250, 250]


def message(rows, size=(346, 260)):
    """The bytes of dvs_msgs/EventArray."""
    head = struct.pack("<III", 0, 1, 2) + struct.pack("<I", 3) + b"dvs" + struct.pack("<II", size[1], size[0])
    words = [struct.pack("<HHIIB", x, y, *divmod(ns, 10**9), p) for x, y, ns, p in rows]
    return head + struct.pack("<I", len(rows)) + b"".join(words)


def bag(path, topics):
    from rosbags.rosbag1 import Writer

    definition = "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n"
    with Writer(path) as writer:
        for topic, messages in topics.items():
            one = writer.add_connection(
                topic, "dvs_msgs/msg/EventArray", msgdef=definition, md5sum="5e8beee5a6c107e504c2e78903c224b8"
            )
            for stamp, content in enumerate(messages):
                writer.write(one, stamp, content)


def test_ros_bags(tmp_path):
    pytest.importorskip("rosbags.rosbag1")
    path = tmp_path / "r.bag"
    start = 1_500_000_000 * 10**9
    first, second = [(1, 2, start + 1000, 1), (3, 4, start + 2600, 0)], [(345, 259, start + 10**9, 1)]
    bag(path, {"/dvs/events": [message(first), message([]), message(second)]})
    events = read_events(path)
    assert format_of(path).name == "rosbag" and events.sensor_size == SIZE
    assert (events.t - start // 1000).tolist() == [1, 3, 10**6] and events.p.tolist() == [1, 0, 1]
    with pytest.raises(EventError, match=r"event 1 has t = .*rounding='nearest'"):
        read_events(path, rounding="exact")
    path.unlink()
    bag(path, {"/left": [message(first)], "/right": [message(second)[:-1]]})
    with pytest.raises(
        EventFileError, match="topic is None; expected one with events, of which there are: /left, /right"
    ):
        read_events(path)
    assert len(read_events(path, topic="/left")) == 2
    with pytest.raises(EventFileError, match="a message of 43 bytes that announces 1 events"):
        read_events(path, topic="/right")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(EventFileError, match="a ROS bag that cannot be read"):
        read_events(path)


@pytest.mark.parametrize(
    ("module", "head", "message"),
    [
        ("aedat", b"#!AER-DAT4.0\r\n", r"r\.x: reading AEDAT 4 needs aedat: pip install 'spikesim\[aedat4\]'"),
        (
            "rosbags",
            b"#ROSBAG V2.0\n",
            r"r\.x: reading a ROS bag needs rosbags\.rosbag1: pip install 'spikesim\[rosbag\]'",
        ),
    ],
)
def test_without_the_library_the_extra_is_named(module, head, message, tmp_path, monkeypatch):
    missing(monkeypatch, module)
    (tmp_path / "r.x").write_bytes(head + bytes(99))
    with pytest.raises(EventFileError, match=message):
        read_events(tmp_path / "r.x")


def test_without_the_writer_the_extra_is_named(tmp_path, monkeypatch):
    missing(monkeypatch, "dv_processing")
    with pytest.raises(EventError, match=r"writing AEDAT 4 needs dv_processing: pip install 'spikesim\[aedat4\]'"):
        write_events(tmp_path / "r.aedat4", EVENTS)


def test_without_the_filters_plain_columns_are_read(tmp_path, monkeypatch):
    missing(monkeypatch, "hdf5plugin")
    dsec(tmp_path / "events.h5", EVENTS.select(slice(3)))
    assert len(read_events(tmp_path / "events.h5", SIZE)) == 3
