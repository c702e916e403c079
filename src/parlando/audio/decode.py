"""Decoding what was recorded elsewhere: by libsndfile, or FFmpeg (PyAV) held to one demuxer, its decoders and memory.

Nothing here lets a file choose what reads it, open another file or an address, or take more than was allowed.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import soundfile

from parlando.audio.clip import MAX_CHANNELS
from parlando.audio.mp4 import check_tables
from parlando.audio.sniff import MP3, MP4, NAMES, WAV, BinaryFile, Container, sniff
from parlando.core.errors import AudioError

BLOCK_FRAMES = 1 << 18
# A FLAC stream that was never closed has no length; libsndfile then reports the largest integer.
UNKNOWN_LENGTH = 1 << 62
# Of all channels together, for each second that a recording may have: minutes of silence in many channels at a high
# rate make a small file and cost gigabytes.
MOST_SAMPLES_PER_SECOND = 96_000
HIGHEST_RATE = 768_000  # hertz; no converter is faster, and of a rate beyond it no sample may be left at a voice's
# The widest sample there is, and room for a picture in a tag.
MOST_SAMPLE_BYTES, MOST_OTHER_BYTES = 8, 16 << 20
MOST_CHUNKS = 1000
MOST_BROKEN_PACKETS = 50
# What stands for the size of samples that were still to come; of 32 bits, libsndfile knows that all ones mean it.
NO_SIZES = (0, (1 << 64) - 1)
# Samples that can be louder than full scale; a coder that goes beyond it only rounds what was there before it.
FLOATS = ("FLOAT", "DOUBLE")
SUBTYPES = (
    *("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    *("IMA_ADPCM", "MS_ADPCM", "GSM610", "ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32"),
    *("VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"),
)


@dataclass(frozen=True)
class Bounds:
    """What a recording may be: ``where`` names it in messages; without ``max_seconds`` it may be of any length."""

    where: str
    max_seconds: float | None = None

    def check_bytes(self, size: int) -> None:
        """Refuse a file that is larger than any recording of that length.

        Raises:
            AudioError: it is.
        """
        if self.max_seconds is None:
            return
        most = int(self.max_seconds * MOST_SAMPLES_PER_SECOND) * MOST_SAMPLE_BYTES + MOST_OTHER_BYTES
        if size > most:
            raise AudioError(
                f"{self.where} has {size} bytes, more than {self.max_seconds:.0f} s of audio need; send only the audio"
            )

    def most_samples(self, stream: BinaryFile) -> int:
        """How many samples a table may promise: each takes a byte at least, and no more than are allowed."""
        size = stream.seek(0, io.SEEK_END)
        return size if self.max_seconds is None else min(size, int(self.max_seconds * MOST_SAMPLES_PER_SECOND))

    def check(self, frames: int, rate: int, channels: int) -> None:
        """Refuse more than is allowed, by what a head says or by what was decoded so far.

        Raises:
            AudioError: too high a rate, or too many channels, seconds or samples.
        """
        where, most = self.where, self.max_seconds
        if rate > HIGHEST_RATE:
            raise AudioError(f"{where} claims {rate} hertz, more than the {HIGHEST_RATE} allowed; resample it")
        if channels > MAX_CHANNELS:
            raise AudioError(
                f"{where} has {channels} channels, more than the {MAX_CHANNELS} allowed; mix it down to one"
            )
        if most is None:
            return
        if (seconds := frames / rate) > most:
            raise AudioError(f"{where} is {seconds:.0f} s long, more than the {most:.0f} s allowed; cut it shorter")
        if frames * channels > most * MOST_SAMPLES_PER_SECOND:
            raise AudioError(
                f"{where} has {channels} channels at {rate} hertz, too many samples for its {seconds:.0f} s; "
                "make it mono, at 48000 hertz or less"
            )

    def unreadable(self, why: object) -> AudioError:
        """The error for what is not audio, or not whole."""
        detail = str(why).rstrip(".").split(": ")[-1]
        return AudioError(
            f"{self.where} cannot be read as audio ({detail}); convert it to wav or flac, for example with ffmpeg"
        )


class Window:
    """A file from some place on, which is its start to whoever reads it; whatever they seek, it does not fail."""

    def __init__(self, file: BinaryFile, start: int) -> None:
        self._file, self._start = file, start
        self._size = max(0, file.seek(0, io.SEEK_END) - start)
        self.seek(0)

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position, or to the nearest there is."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        self._file.seek(self._start + min(max(0, origin + offset), self._size))
        return self.tell()

    def tell(self) -> int:
        """The position."""
        return self._file.tell() - self._start


def decode(stream: BinaryFile, bounds: Bounds) -> tuple[np.ndarray, int]:
    """All channels (float32 [n, channel]) of a recording, and its sample rate.

    Raises:
        AudioError: it is in none of the containers that are read, is broken or empty, or out of bounds.
    """
    container, whole, for_libsndfile = _opened(stream, bounds)
    cause: Exception | None = None
    if for_libsndfile:
        try:
            return _by_libsndfile(whole, bounds)
        except (soundfile.SoundFileError, ValueError, TypeError) as error:
            cause = error
    whole.seek(0)
    return _by_ffmpeg(whole, container, bounds, cause)


def decode_blocks(stream: BinaryFile, bounds: Bounds, at_once: Bounds) -> Iterator[tuple[np.ndarray, int]]:
    """What `decode` gives, block by block, for recordings that are longer than memory holds.

    What only FFmpeg reads comes as one block, within the bounds ``at_once``.

    Raises:
        AudioError: as for `decode`; blocks before the damage have come by then.
    """
    start, begun = stream.tell(), False
    _, whole, for_libsndfile = _opened(stream, bounds)
    if for_libsndfile:
        try:
            for block in _libsndfile_blocks(whole, bounds):
                begun = True
                yield block
            return
        except (soundfile.SoundFileError, ValueError, TypeError) as error:
            if begun:
                raise bounds.unreadable(error) from error
    stream.seek(start)
    yield decode(stream, at_once)


def _opened(stream: BinaryFile, bounds: Bounds) -> tuple[Container, BinaryFile, bool]:
    """The container, the file at its start, and whether libsndfile is to read it."""
    found = sniff(stream)
    if found is None:
        raise bounds.unreadable(f"it is not {NAMES}")
    container, start = found
    window = Window(stream, start)
    bounds.check_bytes(window.seek(0, io.SEEK_END))
    whole = _to_its_end(window) if container.demuxer == WAV.demuxer else window
    whole.seek(0)
    # libsndfile takes a file for MP3 only after it has looked for "._" in the working folder, a Macintosh file's other
    # half; so FFmpeg is asked where it is there.
    return container, whole, container.by_libsndfile or (container is MP3 and find_spec("av") is None)


def _by_libsndfile(stream: BinaryFile, bounds: Bounds) -> tuple[np.ndarray, int]:
    blocks = list(_libsndfile_blocks(stream, bounds))
    return np.concatenate([block for block, _ in blocks]), blocks[0][1]


def _libsndfile_blocks(stream: BinaryFile, bounds: Bounds) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks of all channels, an empty one first, with their rate."""
    with soundfile.SoundFile(stream) as file:
        if file.subtype not in SUBTYPES:
            raise ValueError(f"samples of the kind {file.subtype} are not read")
        bounds.check(file.frames if file.frames < UNKNOWN_LENGTH else 0, file.samplerate, file.channels)
        yield np.zeros((0, file.channels), np.float32), file.samplerate
        frames = 0
        # By blocks, as a head may promise more than there is memory for.
        while len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
            frames += len(block)
            bounds.check(frames, file.samplerate, file.channels)
            yield block if file.subtype in FLOATS else block.clip(-1.0, 1.0), file.samplerate


def _by_ffmpeg(
    stream: BinaryFile, container: Container, bounds: Bounds, cause: Exception | None
) -> tuple[np.ndarray, int]:
    """For what libsndfile cannot read, where PyAV is installed."""
    try:
        import av
    except ImportError as error:
        missing = f"{container.name} is read by the package av, which is not installed"
        raise bounds.unreadable(cause or missing) from error
    try:
        if container is MP4:
            check_tables(stream, bounds.most_samples(stream))
        stream.seek(0)
        with av.open(
            stream, format=container.demuxer, options=_confinement(container), metadata_errors="replace"
        ) as opened:
            stream_of_sound = _speech_of(opened.streams.audio, container)
            blocks, rate = _blocks_of(opened, stream_of_sound, bounds)
            floats = stream_of_sound.codec_context.codec.name.startswith("pcm_f")
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise bounds.unreadable(cause or getattr(error, "strerror", None) or error) from error
    if not blocks:
        raise AudioError(f"{bounds.where}: it holds no samples; give it some audio")
    wave = np.concatenate(blocks)
    return wave if floats else wave.clip(-1.0, 1.0), rate


def _blocks_of(opened: Any, stream: Any, bounds: Bounds) -> tuple[list[np.ndarray], int]:
    """The stream's samples (float32 [n, channel]), and their rate.

    Raises:
        ValueError: hardly anything can be decoded, or its form changes on the way.
        AudioError: it is out of bounds.
    """
    import av

    # Interleaved: PyAV reads beyond the last of eight planes, and the process dies.
    resampler = av.AudioResampler(format="flt")
    blocks: list[np.ndarray] = []
    form, frames, broken = (0, 0), 0, 0
    for packet in opened.demux(stream):
        try:
            decoded = packet.decode()
        except av.error.InvalidDataError:
            broken += 1
            if broken > MOST_BROKEN_PACKETS:
                raise
            continue
        for frame in decoded:
            frames, this = frames + frame.samples, (frame.sample_rate, frame.layout.nb_channels)
            if blocks and this != form:
                raise ValueError("its rate or its channels change on the way")
            form = this
            bounds.check(frames, *form)
            blocks += [block.to_ndarray().reshape(-1, form[1]) for block in resampler.resample(frame)]
    return blocks, form[0]


def _confinement(container: Container) -> dict[str, str]:
    """FFmpeg's options that leave it this demuxer, these decoders, no protocol, and little to look for."""
    return {
        "format_whitelist": container.demuxer,
        "codec_whitelist": ",".join(container.decoders),
        "protocol_whitelist": "",
        "probesize": "1048576",
        "analyzeduration": "5000000",
        "max_streams": "32",
        "threads": "1",
        # A list of edits may ask for the same sound a million times.
        **({"advanced_editlist": "0", "enable_drefs": "0"} if container.demuxer == "mov" else {}),
    }


def _speech_of(streams: tuple[Any, ...], container: Container) -> Any:
    """The first stream of sound that may be decoded.

    Raises:
        ValueError: there is none.
    """
    for stream in streams:
        if stream.codec_context is not None and stream.codec_context.codec.name in container.decoders:
            return stream
    kinds = ", ".join(sorted({stream.codec_context.name for stream in streams if stream.codec_context is not None}))
    raise ValueError(f"this {container.name} file has sound of the kind {kinds}" if kinds else "it has no sound")


def _to_its_end(stream: Window) -> BinaryFile:
    """A WAV file whose samples reach to its end where its head says that there are none: a stream never finished."""
    place = _unfinished_samples(stream)
    if place is None:
        return stream
    stream.seek(0)
    content = bytearray(stream.read())
    content[:4] = b"RIFX" if content[:4] == b"RIFX" else b"RIFF"
    content[place : place + 4] = b"\xff\xff\xff\xff"
    return io.BytesIO(content)


def _unfinished_samples(stream: Window) -> int | None:
    """Where the size of the samples stands in a WAV file's head, if it is none and samples follow all the same."""
    stream.seek(0)
    order, long_size = ">" if stream.read(4) == b"RIFX" else "<", None
    for name, place, size in _chunks(stream, 12, order):
        if name == b"ds64":
            stream.seek(place + 16)
            (long_size,) = struct.unpack("<Q", stream.read(8).ljust(8))
        if name == b"data":
            stated = size if long_size is None else long_size
            behind = [each.isalnum() for each, _, _ in _chunks(stream, place + 8, order)]
            return place + 4 if stated in NO_SIZES and not all(behind) else None
    return None


def _chunks(stream: Window, place: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and size of each chunk of a RIFF file; the last one has no name if it does not end with the file."""
    end = stream.seek(0, io.SEEK_END)
    for _ in range(MOST_CHUNKS):
        stream.seek(place)
        head = stream.read(8)
        if len(head) < 8:
            return
        name, size = struct.unpack(f"{order}4sI", head)
        following = place + 8 + size + size % 2
        yield (name.strip() if following <= end + 1 or name == b"data" else b""), place, size
        place = following
