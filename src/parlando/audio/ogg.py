"""Ogg files that are equal where their audio is: encoders draw a stream's number, here it is always the same."""

from __future__ import annotations

import struct
from functools import cache

HEAD = struct.Struct("<4sBBqIIIB")
MAGIC, SERIAL_PLACE, SUM_PLACE = b"OggS", 14, 22
SERIAL = 1
POLYNOMIAL = 0x04C11DB7


def steady(content: bytes) -> bytes:
    """The same pages with the number `SERIAL` and the checksums that go with it.

    Raises:
        ValueError: it is not a whole Ogg file.
    """
    pages = bytearray(content)
    place = 0
    while place < len(pages):
        end = _page_end(pages, place)
        struct.pack_into("<I", pages, place + SERIAL_PLACE, SERIAL)
        struct.pack_into("<I", pages, place + SUM_PLACE, 0)
        struct.pack_into("<I", pages, place + SUM_PLACE, checksum(bytes(pages[place:end])))
        place = end
    return bytes(pages)


def _page_end(pages: bytearray, place: int) -> int:
    if pages[place : place + 4] != MAGIC or place + HEAD.size > len(pages):
        raise ValueError(f"no Ogg page at byte {place}")
    count = HEAD.unpack_from(pages, place)[-1]
    start = place + HEAD.size
    end = start + count + sum(pages[start : start + count])
    if end > len(pages):
        raise ValueError(f"the Ogg page at byte {place} is cut off")
    return end


def checksum(page: bytes) -> int:
    """Ogg's CRC-32: not reflected, from zero, nothing inverted."""
    table, total = _table(), 0
    for byte in page:
        total = (total << 8 & 0xFFFFFFFF) ^ table[total >> 24 ^ byte]
    return total


@cache
def _table() -> tuple[int, ...]:
    return tuple(_shifted(byte << 24) for byte in range(256))


def _shifted(value: int) -> int:
    for _ in range(8):
        value = (value << 1 & 0xFFFFFFFF) ^ (POLYNOMIAL if value & 0x80000000 else 0)
    return value
