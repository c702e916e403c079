"""Whether an MP4 file's tables promise more than the file can hold: FFmpeg makes room for what they promise.

They are looked for byte by byte wherever FFmpeg could take them for tables, so that no odd nesting hides one.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from parlando.audio.sniff import BinaryFile

# Chunks have about as many samples as the largest of them; FFmpeg takes 1024 of bare samples together.
UNEVENNESS = 100


def check_tables(stream: BinaryFile, most_samples: int) -> None:
    """Refuse what promises more than ``most_samples`` samples.

    Raises:
        ValueError: it does, or its tables are compressed.
    """
    samples = largest_chunk = chunks = 0
    for part in _outside_the_sound(stream):
        if b"cmov" in part:
            raise ValueError("its tables are compressed")
        samples += sum(_fields(part, b"stsz", 8)) + sum(_fields(part, b"stz2", 8)) + sum(_fields(part, b"trun", 4))
        chunks = max(chunks, *_fields(part, b"stco", 4), *_fields(part, b"co64", 4), 0)
        largest_chunk = max(largest_chunk, *_chunk_samples(part), 0)
    if samples > most_samples or largest_chunk * chunks > UNEVENNESS * most_samples:
        raise ValueError("its tables promise more sound than it holds")


def _outside_the_sound(stream: BinaryFile) -> Iterator[bytes]:
    """Everything but the content of ``mdat``, which is no table."""
    end, place, start = stream.seek(0, io.SEEK_END), 0, 0
    while place + 16 <= end:
        stream.seek(place)
        size, kind, long_size = struct.unpack(">I4sQ", stream.read(16))
        size = {0: end - place, 1: long_size}.get(size, size)
        if size < 8 or place + size > end:
            break
        if kind == b"mdat":
            yield _part(stream, start, place)
            start = place + size
        place += size
    yield _part(stream, start, end)


def _part(stream: BinaryFile, start: int, end: int) -> bytes:
    stream.seek(start)
    return stream.read(end - start)


def _places(part: bytes, name: bytes) -> Iterator[int]:
    place = part.find(name)
    while place >= 0:
        yield place + 4
        place = part.find(name, place + 1)


def _fields(part: bytes, name: bytes, offset: int) -> list[int]:
    """The number that stands so many bytes into the content of every table of that name."""
    found = (part[place + offset : place + offset + 4] for place in _places(part, name))
    return [int.from_bytes(field) for field in found if len(field) == 4]


def _chunk_samples(part: bytes) -> list[int]:
    """How many samples the chunks have, by every table that says it."""
    found = []
    for place in _places(part, b"stsc"):
        (entries,) = struct.unpack(">I", part[place + 4 : place + 8].ljust(4, b"\x00"))
        table = part[place + 8 : place + 8 + 12 * entries]
        found += [samples for _, samples, _ in struct.iter_unpack(">III", table[: len(table) // 12 * 12])]
    return found
