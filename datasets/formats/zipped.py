"""What is left of a damaged ZIP archive: its members one after the other, without the directory at its end."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_HEAD = struct.Struct("<4sHHHHHIIIHH")
_MARK = b"PK\x03\x04"
_STORED, _DEFLATED = 0, 8
_IN_EXTRA = 2**32 - 1  # sizes that stand in the extra field
_UNKNOWN_SIZE = 8  # flag: sizes and checksum come after the data
_WIDE = 1  # extra field with sizes of 64 bits
_LARGEST = 2**31  # bytes of one member: no bomb is unpacked


class Found(NamedTuple):
    """A member of an archive.

    Attributes:
        name: of the member.
        start: the byte where it begins.
        end: the byte after it, beyond the file for a member that the file ends in.
        content: what it holds, what there is of it where the file ends in it, or nothing if its checksum is wrong.
        stored: whether its bytes stand in the file as they are, up to ``end``.
    """

    name: str
    start: int
    end: int
    content: bytes
    stored: bool


def found_members(file: BinaryIO, size: int) -> Iterator[Found]:
    """Go from member to member, and stop where none begins.

    Args:
        file: the archive.
        size: its bytes.
    """
    place = 0
    while place < size:
        file.seek(place)
        lead = file.read(_HEAD.size)
        if len(lead) < _HEAD.size or not lead.startswith(_MARK):
            return
        _, _, flags, method, _, _, checksum, packed, unpacked, name_length, extra_length = _HEAD.unpack(lead)
        names = file.read(name_length + extra_length)
        if len(names) < name_length + extra_length or flags & _UNKNOWN_SIZE or method not in (_STORED, _DEFLATED):
            return
        packed, unpacked = _sizes(names[name_length:], packed, unpacked)
        begin = place + _HEAD.size + len(names)
        if unpacked > _LARGEST:
            return
        content = _unpacked(file.read(min(packed, size - begin)), method, unpacked)
        end = begin + packed
        if end <= size and (len(content) != unpacked or zlib.crc32(content) != checksum):
            content = b""
        yield Found(names[:name_length].decode("utf8", "replace"), place, end, content, method == _STORED)
        place = end


def _sizes(extra: bytes, packed: int, unpacked: int) -> tuple[int, int]:
    """The sizes, from the extra field where they do not fit the header."""
    at = 0
    while at + 4 <= len(extra) and _IN_EXTRA in (packed, unpacked):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == _WIDE and length >= 16 and at + 20 <= len(extra):
            wide = struct.unpack_from("<QQ", extra, at + 4)
            return wide[1], wide[0]
        at += 4 + length
    return packed, unpacked


def _unpacked(content: bytes, method: int, most: int) -> bytes:
    if method == _STORED:
        return content
    try:
        return zlib.decompressobj(-15).decompress(content, most)
    except zlib.error:
        return b""
