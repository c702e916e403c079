"""Streaming encoders: samples in, bytes of a playable stream out, at once."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import soundfile

from parlando.audio.clip import as_mono, check_sample_rate, to_pcm
from parlando.audio.files import encode_audio
from parlando.audio.formats import FILE_FORMATS, FORMATS, AudioFormat, container_rate, find_format
from parlando.audio.resample import StreamResampler, resample
from parlando.core.errors import EngineClosedError, MissingDependencyError
from parlando.core.install import with_extra

# A constant rate, from which players reckon the length of a stream that never says it; by MPEG's version.
MP3_BITS_PER_SECOND = {1: 128_000, 2: 64_000}
# The size of a stream that has not ended yet, as players understand it.
ENDLESS = 0xFFFFFFFF
PCM_BYTES = 2
MPEG_1_RATE = 32_000


@runtime_checkable
class StreamEncoder(Protocol):
    """Encodes one mono stream. The bytes of all calls, in order, are the file."""

    def feed(self, samples: np.ndarray) -> bytes:
        """Bytes (perhaps none) that are final after these samples (float32 [n], clipped at full scale)."""
        ...

    def close(self) -> bytes:
        """The last bytes; nothing may be fed afterwards."""
        ...


def open_encoder(format: str, sample_rate: int, bits_per_second: int | None = None) -> StreamEncoder:
    """An encoder for wav, pcm (16 bit little endian), flac, mp3, opus, aac, or telephony's ulaw and alaw.

    A rate that the format cannot hold is resampled. ``bits_per_second`` is for mp3, opus and aac, which otherwise
    have a default. What is whole already has a true length by `encode_whole`.

    Raises:
        ConfigError: no such streaming format.
        MissingDependencyError: opus and aac need PyAV.
    """
    entry = find_format(format, STREAM_FORMATS)
    rate = check_sample_rate(sample_rate)
    stored_rate = container_rate(entry, rate)
    backend = _BACKENDS[entry.name](entry, stored_rate, bits_per_second)
    return _Encoder(backend, StreamResampler(rate, stored_rate))


def encode_whole(samples: np.ndarray, sample_rate: int, format: str) -> bytes:
    """A finished file in a format of `open_encoder`, with true sizes and length; aac is in MP4, for alone it has none.

    Raises:
        ConfigError: no such format.
        AudioError: the samples are empty or not finite.
        MissingDependencyError: aac needs PyAV.
    """
    entry = find_format(format, STREAM_FORMATS)
    if entry.name in FILE_FORMATS:
        return encode_audio(samples, sample_rate, entry.name)
    mono, rate = as_mono(samples), check_sample_rate(sample_rate)
    if entry.name == "aac":
        stored_rate = container_rate(entry, rate)
        return _in_mp4(resample(mono, rate, stored_rate), stored_rate, entry)
    encoder = open_encoder(entry.name, rate)
    return encoder.feed(mono) + encoder.close()


def media_type_of(format: str, *, whole: bool) -> str:
    """What a server calls a stream, or a finished file, in that format."""
    return "audio/mp4" if whole and format == "aac" else FORMATS[format].media_type


@runtime_checkable
class _Backend(Protocol):
    def write(self, samples: np.ndarray) -> bytes: ...

    def finish(self) -> bytes: ...


class _Encoder:
    """Brings samples to the backend's rate and refuses samples after the end."""

    def __init__(self, backend: _Backend, resampler: StreamResampler) -> None:
        self._backend = backend
        self._resampler = resampler
        self._closed = False

    def feed(self, samples: np.ndarray) -> bytes:
        if self._closed:
            raise EngineClosedError("this stream encoder is closed; open another one")
        return self._write(self._resampler.feed(samples))

    def close(self) -> bytes:
        if self._closed:
            return b""
        self._closed = True
        return self._write(self._resampler.close()) + self._backend.finish()

    def _write(self, samples: np.ndarray) -> bytes:
        return self._backend.write(samples) if len(samples) else b""


class _Raw:
    """16-bit samples after a header, which is empty for bare PCM."""

    def __init__(self, entry: AudioFormat, sample_rate: int, _: int | None) -> None:
        self._header = wav_header(sample_rate) if entry.name == "wav" else b""

    def write(self, samples: np.ndarray) -> bytes:
        return self._take_header() + to_pcm(samples).tobytes()

    def finish(self) -> bytes:
        return self._take_header()

    def _take_header(self) -> bytes:
        header, self._header = self._header, b""
        return header


def wav_header(sample_rate: int) -> bytes:
    """The 44 bytes before the samples of a mono 16-bit WAV stream of unknown length."""
    form = struct.pack("<HHIIHH", 1, 1, sample_rate, sample_rate * PCM_BYTES, PCM_BYTES, 8 * PCM_BYTES)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", ENDLESS, b"WAVE", b"fmt ", len(form))
        + form
        + struct.pack("<4sI", b"data", ENDLESS)
    )


class _Sink:
    """A write-only file that gives away what was appended; bytes already given away cannot be changed."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def write(self, data: bytes) -> int:
        self._pending += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._pending)
        self._pending.clear()
        return taken


class _SeekableSink(_Sink):
    """For libsndfile, which rewrites the header when it closes: a stream keeps the first one, so that is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._position = 0
        self._length = 0

    def write(self, data: bytes) -> int:
        chunk = bytes(data)
        super().write(chunk[max(0, self._length - self._position) :])
        self._position += len(chunk)
        self._length = max(self._length, self._position)
        return len(chunk)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        return self._position

    def tell(self) -> int:
        return self._position


class _SoundFile:
    """FLAC, MP3 and telephony through libsndfile, which writes frame by frame."""

    def __init__(self, entry: AudioFormat, sample_rate: int, bits_per_second: int | None) -> None:
        self._sink = _SeekableSink()
        self._file = soundfile.SoundFile(
            self._sink,
            "w",
            sample_rate,
            1,
            entry.subtype,
            format=entry.container,
            **(_mp3_compression(sample_rate, bits_per_second) if entry.name == "mp3" else {}),
        )

    def write(self, samples: np.ndarray) -> bytes:
        self._file.write(np.clip(samples, -1.0, 1.0))
        return self._sink.take()

    def finish(self) -> bytes:
        self._file.close()
        return self._sink.take()


def _mp3_compression(sample_rate: int, bits_per_second: int | None) -> dict[str, Any]:
    """libsndfile's words for a constant rate: 0 is the most that the rate's MPEG version has, below 1 the least."""
    bits_per_second = bits_per_second or MP3_BITS_PER_SECOND[1 if sample_rate >= MPEG_1_RATE else 2]
    least, most = (32_000, 320_000) if sample_rate >= MPEG_1_RATE else (8_000, 160_000)
    level = (most - bits_per_second) / (most - least)
    return {"bitrate_mode": "CONSTANT", "compression_level": min(max(level, 0.0), 0.999)}


# container, codec and options: Ogg pages of 20 ms, since pages of the usual second would hold the first sound back.
_AV_STREAMS: dict[str, tuple[str, str, dict[str, str]]] = {
    "opus": ("ogg", "libopus", {"page_duration": "20000"}),
    "aac": ("adts", "aac", {}),
}


class _Av:
    """Opus and AAC through PyAV."""

    def __init__(self, entry: AudioFormat, sample_rate: int, bits_per_second: int | None) -> None:
        av = _pyav(entry)
        container, codec, options = _AV_STREAMS[entry.name]
        self._sink = _Sink()
        self._make_frame: Callable[..., Any] = av.AudioFrame.from_ndarray
        self._container = av.open(self._sink, "w", format=container, options=options)
        self._stream = self._container.add_stream(codec, rate=sample_rate, layout="mono")
        if bits_per_second:
            self._stream.bit_rate = bits_per_second
        self._rate = sample_rate
        self._written_samples = 0

    def write(self, samples: np.ndarray) -> bytes:
        frame = self._make_frame(to_pcm(samples)[None], format="s16", layout="mono")
        frame.sample_rate = self._rate
        frame.pts = self._written_samples
        self._written_samples += len(samples)
        return self._mux(frame)

    def finish(self) -> bytes:
        if self._written_samples:
            self._mux_packets(None)
        self._container.close()
        return self._sink.take()

    def _mux(self, frame: Any) -> bytes:
        self._mux_packets(frame)
        return self._sink.take()

    def _mux_packets(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


def _in_mp4(samples: np.ndarray, sample_rate: int, entry: AudioFormat) -> bytes:
    av, sink = _pyav(entry), io.BytesIO()
    frame = av.AudioFrame.from_ndarray(to_pcm(samples)[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = sample_rate, 0
    with av.open(sink, "w", format="ipod") as container:
        stream = container.add_stream(entry.name, rate=sample_rate, layout="mono")
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return sink.getvalue()


def _pyav(entry: AudioFormat) -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError(f"av (for {entry.name} streams)", with_extra("serve")) from error
    return av


_BACKENDS: dict[str, Callable[[AudioFormat, int, int | None], _Backend]] = {
    "wav": _Raw,
    "pcm": _Raw,
    "flac": _SoundFile,
    "mp3": _SoundFile,
    "opus": _Av,
    "aac": _Av,
    "ulaw": _SoundFile,
    "alaw": _SoundFile,
}
STREAM_FORMATS = tuple(_BACKENDS)
