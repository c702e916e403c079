"""Which container a recording is in, by its first bytes: the named ones that are read, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@runtime_checkable
class BinaryFile(Protocol):
    """An open file of bytes that can be read from more than once."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position."""
        ...

    def tell(self) -> int:
        """The position."""
        ...


PCM = tuple(
    f"pcm_{kind}"
    for kind in (
        *("u8", "s8", "alaw", "mulaw"),
        *(f"{kind}{end}" for kind in ("s16", "s24", "s32", "f32", "f64") for end in ("le", "be")),
    )
)
MPEG = ("mp3float", "mp3", "mp2float", "mp2", "mp1float", "mp1")
AAC = ("aac", "aac_fixed")


@dataclass(frozen=True)
class Container:
    """A container that is read: FFmpeg's demuxer and decoders for it, and whether libsndfile knows it by its magic."""

    name: str
    demuxer: str
    decoders: tuple[str, ...]
    by_libsndfile: bool = False


IN_WAV = (*PCM, *MPEG, *AAC, "adpcm_ms", "adpcm_ima_wav", "gsm_ms")
WAV = Container("WAV", "wav", IN_WAV, by_libsndfile=True)
BW64 = Container("BW64", "wav", IN_WAV)
W64 = Container("W64", "w64", PCM, by_libsndfile=True)
AIFF = Container("AIFF", "aiff", (*PCM, "adpcm_ima_qt", "gsm"), by_libsndfile=True)
AU = Container("AU", "au", PCM, by_libsndfile=True)
CAF = Container("CAF", "caf", (*PCM, *AAC, *MPEG, "alac", "opus", "libopus", "flac"), by_libsndfile=True)
FLAC = Container("FLAC", "flac", ("flac",), by_libsndfile=True)
OGG = Container("Ogg", "ogg", ("opus", "libopus", "vorbis", "flac", "speex", "libspeex"), by_libsndfile=True)
MP3 = Container("MP3", "mp3", MPEG)
AAC_STREAM = Container("AAC", "aac", AAC)
MP4 = Container("MP4", "mov", (*PCM, *AAC, *MPEG, "alac", "opus", "libopus", "flac", "amrnb", "amrwb"))
WEBM = Container("WebM", "matroska", (*PCM, *AAC, *MPEG, "opus", "libopus", "vorbis", "flac"))
AMR = Container("AMR", "amr", ("amrnb", "amrwb"))
WMA = Container("WMA", "asf", ("wmav1", "wmav2", "wmapro", "wmalossless", "wmavoice"))
NAMES = "WAV, FLAC, MP3, Ogg (Opus, Vorbis), WebM, MP4/M4A, AAC, AIFF, AU, CAF, W64, AMR or WMA"

# Bytes at their places from the start, all of which must be there.
MAGIC: tuple[tuple[Container, dict[int, bytes]], ...] = (
    *((WAV, {0: form, 8: b"WAVE"}) for form in (b"RIFF", b"RIFX", b"RF64")),
    (BW64, {0: b"BW64", 8: b"WAVE"}),
    (W64, {0: b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", 24: b"wave"}),
    *((AIFF, {0: b"FORM", 8: kind}) for kind in (b"AIFF", b"AIFC")),
    (AU, {0: b".snd"}),
    (CAF, {0: b"caff\x00\x01", 8: b"desc"}),
    (FLAC, {0: b"fLaC"}),
    (OGG, {0: b"OggS\x00"}),
    (WEBM, {0: b"\x1a\x45\xdf\xa3"}),
    *((MP4, {4: kind}) for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    *((AMR, {0: start}) for start in (b"#!AMR\n", b"#!AMR-WB\n")),
    (WMA, {0: b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"}),
)
# A stream that was cut out of another begins in the middle of a frame.
SEARCHED_BYTES = 16_384
MOST_TAGS = 4
SURE_FRAMES = 3
# Of MPEG audio, in kbit/s by the index in a frame's head: version 1's layers I to III; the others' I, then II and III.
KILOBITS = (
    (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
MPEG_RATES = (44_100, 48_000, 32_000)


def sniff(stream: BinaryFile) -> tuple[Container, int] | None:
    """The container, and where it begins (behind ID3 tags and cut frames); None if it is not one that is read."""
    start = _behind_tags(stream)
    stream.seek(start)
    head = stream.read(SEARCHED_BYTES)
    for container, marks in MAGIC:
        if all(head[place : place + len(mark)] == mark for place, mark in marks.items()):
            return container, start
    found = _first_frame(head)
    return None if found is None else (found[0], start + found[1])


def _behind_tags(stream: BinaryFile) -> int:
    """Where the ID3v2 tags at the start end; a picture in one of them is never looked at."""
    position = stream.tell()
    for _ in range(MOST_TAGS):
        stream.seek(position)
        head = stream.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or any(byte & 0x80 for byte in head[6:]):
            break
        size = sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        position += 10 + size + (10 if head[5] & 0x10 else 0)
    return position


def _first_frame(head: bytes) -> tuple[Container, int] | None:
    """Where frames of MPEG audio or AAC begin; those at the very start may also be few."""
    place = head.find(b"\xff")
    while place >= 0:
        for container, frame_bytes in ((AAC_STREAM, _aac_frame_bytes), (MP3, _mpeg_frame_bytes)):
            frames, whole = _frames_from(head, place, frame_bytes)
            if frames >= SURE_FRAMES or (frames and whole and place == 0):
                return container, place
        place = head.find(b"\xff", place + 1)
    return None


def _frames_from(head: bytes, place: int, frame_bytes: Callable[[bytes], int]) -> tuple[int, bool]:
    """How many frames follow each other from a place on, and whether nothing else came before the end."""
    frames = 0
    while frames < SURE_FRAMES and place + 6 <= len(head):
        size = frame_bytes(head[place : place + 6])
        if not size:
            return frames, False
        frames, place = frames + 1, place + size
    return frames, True


def _aac_frame_bytes(head: bytes) -> int:
    """The size of the ADTS frame that begins with these six bytes; 0 if none does."""
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or (head[2] >> 2 & 15) > 12:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size > 7 else 0


def _mpeg_frame_bytes(head: bytes) -> int:
    """The size of the frame of MPEG audio that begins with these bytes; 0 if none does."""
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    rate, speed, padding = head[2] >> 2 & 3, head[2] >> 4, head[2] >> 1 & 1
    if head[0] != 0xFF or head[1] < 0xE0 or version == 1 or layer == 4 or rate == 3 or speed in (0, 15):
        return 0
    table = layer - 1 if version == 3 else min(3 + layer - 1, 4)
    hertz = MPEG_RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    bits = KILOBITS[table][speed] * 1000
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    samples_by_eight = 72 if layer == 3 and version != 3 else 144
    return samples_by_eight * bits // hertz + padding
