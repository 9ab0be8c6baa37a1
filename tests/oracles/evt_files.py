"""Slow encoders of Prophesee's EVT words. Rows are (x, y, t, p) in order of time."""

import struct


def header(encoding, size=(1280, 720), **extra):
    """Header lines as cameras write them; ``encoding`` such as "3.0"."""
    width, height = size
    said = "".join(f";{name}={value}" for name, value in {"height": height, "width": width, **extra}.items())
    name = encoding.replace(".0", "").replace(".", "")
    lines = [
        "camera_integrator_name Prophesee",
        "date 2023-03-29 16:37:46",
        f"evt {encoding}",
        f"format EVT{name}{said}",
    ]
    return "".join(f"% {line}\n" for line in [*lines, f"geometry {width}x{height}", "end"]).encode()


def evt2(rows, start=None):
    """Words of EVT 2.0."""
    words, high = [], start
    for x, y, t, p in rows:
        if t >> 6 != high:
            high = t >> 6
            words.append(8 << 28 | high % 2**28)
        words.append(p << 28 | (t & 63) << 22 | x << 11 | y)
    return b"".join(struct.pack("<I", word) for word in words)


def evt21(rows, legacy=False):
    """Words of EVT 2.1: neighbours of the same 32 pixels, time and polarity share one."""
    words, high, groups = [], None, []
    for x, y, t, p in rows:
        key = (x // 32 * 32, y, t, p)
        bit = 1 << x % 32
        if groups and groups[-1][0] == key and groups[-1][1] < bit:
            groups[-1][1] |= bit
        else:
            groups.append([key, bit])
    for (x, y, t, p), mask in groups:
        if t >> 6 != high:
            high = t >> 6
            words.append((8 << 28 | high % 2**28, 0))
        words.append((p << 28 | (t & 63) << 22 | x << 11 | y, mask))
    return b"".join(struct.pack("<II", *(pair if legacy else pair[::-1])) for pair in words)


def evt3(rows, vectors=True):
    """Words of EVT 3.0; ``vectors`` packs events of a row that share time and polarity."""
    words, state = [], {}

    def tell(kind, value):
        if state.get(kind) != value:
            state[kind] = value
            words.append(kind << 12 | value)
            return True
        return False

    i = 0
    while i < len(rows):
        x, y, t, p = rows[i]
        if tell(8, t >> 12 & 0xFFF):
            state.pop(6, None)
        tell(6, t & 0xFFF)
        tell(0, y)
        last = i
        while last + 1 < len(rows) and rows[last + 1][1:] == (y, t, p) and rows[last][0] < rows[last + 1][0] < x + 20:
            last += 1
        if vectors and last > i:
            mask = sum(1 << (row[0] - x) for row in rows[i : last + 1])
            words += [3 << 12 | p << 11 | x, 4 << 12 | mask & 0xFFF, 5 << 12 | mask >> 12]
        else:
            words += [2 << 12 | p << 11 | row[0] for row in rows[i : last + 1]]
        i = last + 1
    return b"".join(struct.pack("<H", word) for word in words)
