"""Slow and obvious decoders of event files: one record after the other, with struct. Rows are (x, y, t, p)."""

import struct

from hypothesis import strategies as st
from oracles.events import decode_bin

from spikesim.datasets import Events


def decode_dat(content):
    """Type 0 and 12 of Prophesee's DAT, version 2, without overflow."""
    at = 0
    while content[at : at + 1] == b"%":
        at = content.index(b"\n", at) + 1
    kind, size = content[at], content[at + 1]
    assert kind in (0, 12) and size == 8
    rows = []
    for place in range(at + 2, len(content), 8):
        t, data = struct.unpack("<II", content[place : place + 8])
        rows.append((data % 2**14, data // 2**14 % 2**14, t, data // 2**28))
    return rows


def decode_aedat2(content, camera):
    """AEDAT 2.0 with a header that ends, as ours does; a file of one camera and polarity events alone."""
    end = content.index(b"#End Of ASCII Header\r\n") + 22
    rows, turns, last = [], 0, 0
    for place in range(end, len(content), 8):
        address, t = struct.unpack(">II", content[place : place + 8])
        bits = f"{address:032b}"[::-1]  # bit 0 first
        x, y, p = {"dvs128": ((1, 8), (8, 15), 0)}.get(camera, ((12, 22), (22, 31), 11))
        turns += t < last - 2**31
        last = t
        number = [int(bits[first:stop][::-1], 2) for first, stop in (x, y)]
        rows.append((*number, t + turns * 2**32, int(bits[p])))
    return rows


def decode_aedat3(content):
    """AEDAT 3.1; packets of other types are stepped over."""
    at = content.index(b"#!END-HEADER\r\n") + 14
    rows = []
    while at < len(content):
        kind, _, size, _, overflow, _, number, _ = struct.unpack("<hhiiiiii", content[at : at + 28])
        at += 28
        for _ in range(number):
            if kind == 1:
                data, t = struct.unpack("<Ii", content[at : at + 8])
                if data % 2:
                    rows.append((data >> 17, (data >> 2) % 2**15, t + overflow * 2**31, (data >> 1) % 2))
            at += size
    return rows


def packet(rows, kind=1, overflow=0, valid=None, size=8, capacity=None):
    """One packet of AEDAT 3.1 with polarity events."""
    count = len(rows)
    head = struct.pack("<hhiiiiii", kind, 0, size, 4, overflow, count if capacity is None else capacity, count, count)
    marks = [1] * count if valid is None else valid
    events = [
        struct.pack("<Ii", x << 17 | y << 2 | p << 1 | mark, t) for (x, y, t, p), mark in zip(rows, marks, strict=True)
    ]
    return head + b"".join(events)


def decode_csv(content):
    """Text with a header, split by hand."""
    lines = [line for line in content.decode().splitlines() if not line.startswith("#")]
    separator = next(one for one in (",", "\t", " ") if one in lines[0])
    names = lines[0].split(separator)
    return [tuple(int(line.split(separator)[names.index(name)]) for name in "xytp") for line in lines[1:]]


def decode_es(content):
    """Event stream of version 2, type DVS."""
    assert content[:16] == b"Event Stream\x02\x00\x00\x01"
    rows, t, at = [], 0, 20
    while at < len(content):
        if content[at] == 255:
            t += 127
            at += 1
            continue
        t += content[at] // 2
        x, y = struct.unpack("<HH", content[at + 1 : at + 5])
        rows.append((x, y, t, content[at] % 2))
        at += 5
    return rows


DECODERS = {
    "es": decode_es,
    "bin40": decode_bin,
    "dat": decode_dat,
    "aedat2": lambda content: decode_aedat2(content, "dvs128"),
    "aedat3": decode_aedat3,
    "csv": decode_csv,
}

# What a format can hold: first x, y and t that are too large.
LIMITS = {
    "bin40": (256, 240, 2**32),
    "dat": (2**14, 2**14, 2**32),
    "aedat2": (128, 128, 2**31),
    "aedat3": (2**15 - 1, 2**15 - 1, 2**62),
    "npy": (2**15 - 1, 2**15 - 1, 2**63),
    "npz": (2**15 - 1, 2**15 - 1, 2**63),
    "csv": (2**15 - 1, 2**15 - 1, 2**63),
    "es": (2**15 - 1, 2**15 - 1, 2**26),
}
ENDINGS = {"bin40": "bin", "aedat2": "aedat", "aedat3": "aedat"}


def recording(rows, sensor_size):
    """Events of rows."""
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return Events.from_columns(*columns, sensor_size)


@st.composite
def recordings(draw, name, largest_size=20):
    """Recordings that a format can hold: none, one or some events, with the largest values among them."""
    width, height, end = LIMITS[name]
    longest = 2**25 if name in ("bin40", "es") else end - 1  # both take bytes for the time that passes

    def up_to(top):
        return st.integers(0, top) | st.sampled_from([0, top])

    event = st.tuples(up_to(width - 1), up_to(height - 1), up_to(longest) | st.integers(0, 5000), st.integers(0, 1))
    rows = draw(st.lists(event, max_size=largest_size))
    return sorted(rows, key=lambda row: row[2])
