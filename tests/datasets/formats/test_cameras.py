"""DAT and AEDAT as cameras and other programs write them, against Tonic's and expelliarmus's readers."""

import struct

import numpy as np
import pytest
from oracles.event_files import decode_aedat2, decode_aedat3, decode_dat, packet, recording
from tonic.io import get_aer_events_from_file, read_aedat_header_from_file, read_davis_346

from spikesim.datasets import Events, read_events, salvage_events, write_events
from spikesim.errors import EventError, EventFileError

HEAD2 = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n"
HEAD3 = b"".join(
    line + b"\r\n" for line in (b"#!AER-DAT3.1", b"#Format: RAW", b"#Source 1: DVS128", b"#Start: x", b"#!END-HEADER")
)


def many(size, top=2**31 - 1, n=500):
    rng = np.random.default_rng(0)
    columns = rng.integers(0, size[0], n), rng.integers(0, size[1], n), np.sort(rng.integers(0, top, n))
    return Events.from_columns(*columns, rng.integers(0, 2, n), (*size, 2))


@pytest.mark.parametrize("size", [(304, 240), (1280, 720)])
def test_expelliarmus_reads_our_dat_and_we_its(size, tmp_path):
    from expelliarmus import Wizard

    events = many(size)
    write_events(tmp_path / "a.dat", events)
    theirs = Wizard(encoding="dat").read(str(tmp_path / "a.dat"))
    assert Events(theirs, (*size, 2)) == events
    Wizard(encoding="dat").save(str(tmp_path / "b.dat"), theirs)
    assert read_events(tmp_path / "b.dat", (*size, 2)) == events


@pytest.mark.parametrize("kind", [0, 12])
def test_dat_types_versions_and_overflow(kind, tmp_path):
    path = tmp_path / "r.dat"
    records = [(2**32 - 5, 3, 4, 1), (7, 1, 2, 0)]

    def content(x_bits, y_bits, head):
        words = [struct.pack("<II", t, x | y << x_bits | p << (x_bits + y_bits)) for t, x, y, p in records]
        return head + bytes([kind, 8]) + b"".join(words)

    for x_bits, y_bits, head in ((14, 14, b"% Version 2\n"), (14, 14, b"% Date now\n"), (9, 8, b"% Version 1\n")):
        path.write_bytes(content(x_bits, y_bits, head))
        assert read_events(path, (34, 34, 2)).data.tolist() == [(3, 4, 2**32 - 5, 1), (1, 2, 2**32 + 7, 0)]
    path.write_bytes(content(14, 14, b"% Height 240\n% Width 304\n"))
    assert read_events(path).sensor_size == (304, 240, 2)
    assert [row[:2] for row in decode_dat(path.read_bytes())] == [(3, 4), (1, 2)]


@pytest.mark.parametrize(("kind", "size"), [(40, 8), (12, 16), (14, 8)])
def test_other_dat_records_are_refused(kind, size, tmp_path):
    (tmp_path / "r.dat").write_bytes(b"% Data\n" + bytes([kind, size]) + bytes(64))
    with pytest.raises(
        EventFileError, match=rf"records of type {kind} and {size} bytes at byte 7: expected type 0 or 12"
    ):
        read_events(tmp_path / "r.dat", format="dat")


def test_raw_files_are_not_taken_for_dat(tmp_path):
    (tmp_path / "r.raw").write_bytes(b"% camera_integrator_name Prophesee\n% format EVT9\n\x0d\x08" + bytes(64))
    with pytest.raises(EventFileError):
        read_events(tmp_path / "r.raw")


@pytest.mark.parametrize(
    ("size", "camera"), [((128, 128), "dvs128"), ((240, 180), "davis240"), ((346, 260), "davis346")]
)
def test_tonic_reads_the_words_of_our_aedat2(size, camera, tmp_path):
    events = many(size)
    path = tmp_path / "r.aedat"
    write_events(path, events, format="aedat2")
    assert read_events(path) == events == read_events(path, camera=camera.upper())
    version, start, _ = read_aedat_header_from_file(path)
    words = get_aer_events_from_file(path, version, start)
    assert version == 2.0 and np.array_equal(words["timeStamp"], events.t)
    rows = [tuple(row) for row in events.data[["x", "y", "t", "p"]].tolist()]
    assert decode_aedat2(path.read_bytes(), camera) == rows
    if camera == "davis346":
        # Tonic turns the picture by 180 degrees; here rows and columns are those of the address.
        theirs = read_davis_346(path)[2]
        assert np.array_equal(345 - theirs["x"], events.x) and np.array_equal(259 - theirs["y"], events.y)
        assert np.array_equal(theirs["p"], events.p)


def test_the_header_names_the_camera_and_other_records_are_counted(tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "r.aedat"
    head = HEAD2 + b"# HardwareInterface: DAVIS FX3 0002-INI\r\n# AEChip: eu.seebetter.ini.chips.davis.Davis346blue\r\n"
    words = [(5 << 12 | 6 << 22 | 1 << 11, 10), (1 << 31 | 77, 11), (1 << 10, 12), (345 << 12 | 259 << 22, 13)]
    path.write_bytes(head + b"".join(struct.pack(">II", *word) for word in words))
    events = read_events(path)
    assert events.sensor_size == (346, 260, 2)
    assert events.data.tolist() == [(5, 6, 10, 1), (345, 259, 13, 0)]
    assert "skipped 2 records that are no polarity events" in caplog.text


def test_a_camera_that_nobody_names(tmp_path):
    path = tmp_path / "r.aedat"
    path.write_bytes(HEAD2 + struct.pack(">II", 3 << 8 | 2 << 1 | 1, 5))
    with pytest.raises(EventFileError, match=r'names none of the cameras dvs128.*camera="dvs128"'):
        read_events(path)
    assert read_events(path, camera="DVS128").data.tolist() == [(2, 3, 5, 1)]
    with pytest.raises(EventFileError, match="camera is 'dvs64'; expected one of dvs128, davis240"):
        read_events(path, camera="dvs64")


def test_times_of_aedat2_count_on_after_32_bits(tmp_path):
    path = tmp_path / "r.aedat"
    times = [2**32 - 3, 2**32 - 1, 4, 2, 2**31, 2**32 - 1, 0]
    path.write_bytes(HEAD2 + b"".join(struct.pack(">II", 1, t) for t in times))
    got = read_events(path, camera="dvs128").t - 2**32
    # 4 and then 2 are out of order, not another overflow.
    assert got.tolist() == [-3, -1, 4, 2, 2**31, 2**32 - 1, 2**32]


def test_tonic_reads_the_words_of_our_aedat3(tmp_path):
    events = many((128, 128), n=20_000)
    path = tmp_path / "r.aedat"
    write_events(path, events)
    version, start, _ = read_aedat_header_from_file(path)
    words = get_aer_events_from_file(path, version, start)
    address = words["address"]
    assert version == 3.1 and np.array_equal(words["timeStamp"], events.t)
    assert np.array_equal((address >> 17) & 0x1FFF, events.x) and np.array_equal((address >> 2) & 0x1FFF, events.y)
    assert np.array_equal((address >> 1) & 1, events.p)


ROWS = [(1, 2, 3, 1), (127, 126, 5, 0)]


def test_aedat3_packets_of_other_types_invalid_events_and_overflow(tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "r.aedat"
    parts = [
        packet(ROWS),
        packet([(0, 0, 0, 0)] * 3, kind=0),
        packet([]),
        packet([(9, 9, 6, 1), (4, 5, 7, 0)], valid=[0, 1]),
        packet([(6, 7, 2, 1)], overflow=3, capacity=9),
    ]
    path.write_bytes(HEAD3 + b"".join(parts))
    events = read_events(path)
    assert events.sensor_size == (128, 128, 2)
    expected = [*ROWS, (4, 5, 7, 0), (6, 7, 2 + 3 * 2**31, 1)]
    assert events == recording(expected, (128, 128, 2)) == recording(decode_aedat3(path.read_bytes()), (128, 128, 2))
    assert "1 packets of type special" in caplog.text and "1 events marked invalid" in caplog.text


@pytest.mark.parametrize(
    ("last", "message", "kept"),
    [
        (packet(ROWS, capacity=1), "a packet header that contradicts itself", 2),
        (packet(ROWS)[:-3], r"truncated at byte .*1 more events", 3),
        (packet(ROWS)[:20], "20 of the 28 bytes of a packet header", 2),
        (packet(ROWS, size=12), "polarity events of 12 bytes", 2),
        (packet(ROWS, kind=2, size=99), "a packet of type 2 announces 198 bytes", 2),
        (packet([*ROWS, (1, 1, -4, 1)]), "a negative time", 4),
    ],
)
def test_damaged_packets_name_the_byte_and_keep_what_is_before(last, message, kept, tmp_path):
    path = tmp_path / "r.aedat"
    path.write_bytes(HEAD3 + packet(ROWS) + last)
    with pytest.raises(EventFileError, match=message):
        read_events(path)
    events, loss = salvage_events(path)
    assert len(events) == kept and loss.offset >= len(HEAD3) + 28 + 16
    assert events == recording([*ROWS, *ROWS][:kept], (128, 128, 2))


def test_a_bad_event_in_a_later_packet_names_its_byte(tmp_path):
    path = tmp_path / "r.aedat"
    first = packet([(9, 9, 6, 1), (4, 5, 7, 0)], valid=[0, 1])
    path.write_bytes(HEAD3 + first + packet([(1, 1, 8, 0), (200, 1, 9, 0)]))
    with pytest.raises(EventError, match=rf"event 2 has x = 200.*byte {len(HEAD3) + len(first) + 28 + 8}\)"):
        read_events(path)


def test_headers_of_aedat3_that_do_not_end_or_pack_otherwise(tmp_path):
    path = tmp_path / "r.aedat"
    path.write_bytes(HEAD3.replace(b"#!END-HEADER\r\n", b"") + packet(ROWS))
    with pytest.raises(EventFileError, match="the header does not end"):
        read_events(path)
    path.write_bytes(HEAD3.replace(b"RAW", b"PNG") + packet(ROWS))
    with pytest.raises(EventFileError, match="packets of format PNG; expected RAW"):
        read_events(path)
