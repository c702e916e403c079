"""Audio files: what libsndfile (or PyAV, if installed) reads becomes a mono clip; writing is all or nothing."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import soundfile

from parlando.audio.clip import MAX_CHANNELS, Clip, as_mono, check_sample_rate
from parlando.audio.formats import FILE_FORMATS, AudioFormat, container_rate, find_format, format_of
from parlando.audio.resample import resample
from parlando.core.errors import AudioError, FileMissingError
from parlando.core.kinds import expect


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


Source = str | os.PathLike[str] | bytes | bytearray | BinaryFile
# libsndfile's Vorbis encoder overflows its stack when handed minutes of audio in one call.
BLOCK_SAMPLES = 65536
# A FLAC stream that was never closed has no length; libsndfile then reports the largest integer.
UNKNOWN_LENGTH = 1 << 62
# Of all channels together, for each second that a recording may have: minutes of silence in many channels at a high
# rate make a small file and cost gigabytes.
MOST_SAMPLES_PER_SECOND = 96_000


def read_audio(source: Source, sample_rate: int | None = None, max_seconds: float | None = None) -> Clip:
    """Read a path, bytes or an open binary file as a mono clip, at its own rate or at ``sample_rate``.

    Raises:
        FileMissingError: there is no such file.
        AudioError: it is not audio, empty, not finite, longer than ``max_seconds``, or so fine that no recording of
            that length needs it.
    """
    wave, rate = read_channels(source, max_seconds)
    mono = as_mono(wave, describe_source(source))
    if sample_rate is None:
        return Clip(mono, rate)
    wanted = check_sample_rate(sample_rate)
    return Clip(resample(mono, rate, wanted), wanted)


def read_channels(source: Source, max_seconds: float | None = None) -> tuple[np.ndarray, int]:
    """All channels (float32 [n, channel]) and the sample rate; errors as for `read_audio`."""
    if isinstance(source, io.TextIOBase):
        raise AudioError("expected an open binary file, got one opened as text; open it with mode 'rb'")
    if isinstance(source, BinaryFile):
        return _read_stream(source, describe_source(source), max_seconds)
    with _open(source) as stream:
        return _read_stream(stream, describe_source(source), max_seconds)


def describe_source(source: object) -> str:
    """How to name a source in a message."""
    if isinstance(source, str | os.PathLike):
        return f"'{os.fspath(source)}'"
    return "audio bytes" if isinstance(source, bytes | bytearray) else "audio file"


def _open(source: Any) -> io.BufferedIOBase:
    if isinstance(source, bytes | bytearray):
        return io.BytesIO(source)
    if isinstance(source, str | os.PathLike):
        return _open_path(Path(source))
    raise AudioError(f"expected a path, bytes or an open binary file, got {type(source).__name__}")


def _open_path(path: Path) -> io.BufferedIOBase:
    if path.is_dir():
        raise AudioError(f"'{path}' is a folder; name an audio file in it")
    if not path.is_file():
        raise FileMissingError(path, "audio file")
    try:
        return path.open("rb")
    except OSError as error:
        raise AudioError(f"'{path}' cannot be read: {error.strerror}; check its permissions") from error


def _read_stream(stream: BinaryFile, where: str, max_seconds: float | None) -> tuple[np.ndarray, int]:
    start = stream.tell()
    try:
        return _decode(stream, where, max_seconds)
    except (soundfile.SoundFileError, ValueError, TypeError) as error:
        stream.seek(start)
        return _decode_with_av(stream, where, max_seconds, error)


def _decode(stream: BinaryFile, where: str, max_seconds: float | None) -> tuple[np.ndarray, int]:
    with soundfile.SoundFile(stream) as file:
        if file.frames >= UNKNOWN_LENGTH:
            raise ValueError("the stream does not say how long it is")
        _check_size(file.frames, file.samplerate, file.channels, where, max_seconds)
        return file.read(dtype="float32", always_2d=True), file.samplerate


def _decode_with_av(
    stream: BinaryFile, where: str, max_seconds: float | None, cause: Exception
) -> tuple[np.ndarray, int]:
    """For what libsndfile cannot read (m4a, webm, unfinished streams), where PyAV is installed."""
    try:
        import av
    except ImportError:
        raise _unreadable(where, cause) from cause
    # Interleaved: PyAV reads beyond the last of eight planes, and the process dies.
    resampler = av.AudioResampler(format="flt")
    blocks, samples = [], 0
    try:
        with av.open(stream) as container:
            for frame in container.decode(audio=0):
                samples, rate = samples + frame.samples, frame.sample_rate
                channels = frame.layout.nb_channels
                _check_size(samples, rate, channels, where, max_seconds)
                blocks += [block.to_ndarray().reshape(-1, channels) for block in resampler.resample(frame)]
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise _unreadable(where, cause) from error
    if not blocks:
        raise AudioError(f"{where}: it holds no samples; give it some audio")
    return np.concatenate(blocks), rate


def _unreadable(where: str, cause: Exception) -> AudioError:
    detail = str(cause).rstrip(".").split(": ")[-1]
    return AudioError(f"{where} cannot be read as audio ({detail}); convert it to wav or flac, for example with ffmpeg")


def _check_size(frames: int, rate: int, channels: int, where: str, max_seconds: float | None) -> None:
    """Whether a recording may be decoded, by what its head says."""
    if channels > MAX_CHANNELS:
        raise AudioError(f"{where} has {channels} channels, more than the {MAX_CHANNELS} allowed; mix it down to one")
    if max_seconds is None:
        return
    if (seconds := frames / rate) > max_seconds:
        raise AudioError(f"{where} is {seconds:.0f} s long, more than the {max_seconds:.0f} s allowed; cut it shorter")
    if frames * channels > max_seconds * MOST_SAMPLES_PER_SECOND:
        raise AudioError(
            f"{where} has {channels} channels at {rate} hertz, too many samples for its {seconds:.0f} s; "
            "make it mono, at 48000 hertz or less"
        )


def encode_audio(samples: np.ndarray, sample_rate: int, format: str = "wav") -> bytes:
    """A whole file in memory; formats and errors as for `write_audio`."""
    sink = io.BytesIO()
    _encode(sink, as_mono(samples), check_sample_rate(sample_rate), find_format(format, FILE_FORMATS))
    return sink.getvalue()


def write_audio(path: str | os.PathLike[str], samples: np.ndarray, sample_rate: int, format: str | None = None) -> None:
    """Write mono audio as wav (16 bit), wav-float, flac, mp3, opus or ogg, by the path's ending unless ``format`` says.

    The file appears whole or not at all. Samples beyond full scale are clipped; a rate that the
    format cannot hold is resampled to the next one it can.

    Raises:
        ConfigError: no such format, or what should be a path is none.
        FileMissingError: the folder is not there.
        AudioError: the samples are empty or not finite, or the file cannot be written.
    """
    expect("path", path, str | os.PathLike, "a file's path (str or Path)")
    target = Path(path)
    entry = format_of(target) if format is None else find_format(format, FILE_FORMATS)
    mono, rate = as_mono(samples), check_sample_rate(sample_rate)
    if not target.parent.is_dir():
        raise FileMissingError(target.parent, "folder")
    if target.is_dir():
        raise AudioError(f"'{target}' is a folder; name a file in it")
    try:
        _write_whole(target, mono, rate, entry)
    except OSError as error:
        raise AudioError(f"'{target}' cannot be written: {error.strerror}; choose another place") from error


def _write_whole(target: Path, mono: np.ndarray, rate: int, entry: AudioFormat) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w+b") as file:
            _encode(file, mono, rate, entry)
        # mkstemp makes files that only their owner can read.
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _encode(sink: io.BufferedIOBase, mono: np.ndarray, rate: int, entry: AudioFormat) -> None:
    stored_rate = container_rate(entry, rate)
    wave = resample(mono, rate, stored_rate)
    if entry.subtype != "FLOAT":
        wave = wave.clip(-1.0, 1.0)
    with soundfile.SoundFile(sink, "w", stored_rate, 1, entry.subtype, format=entry.container) as file:
        for start in range(0, len(wave), BLOCK_SAMPLES):
            file.write(wave[start : start + BLOCK_SAMPLES])
