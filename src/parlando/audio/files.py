"""Audio files: recordings in the containers that are read become mono clips; writing is all or nothing."""

from __future__ import annotations

import errno
import io
import os
import stat
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from parlando.audio.clip import Clip, as_mono, check_sample_rate, to_pcm, within_full_scale
from parlando.audio.decode import Bounds, decode
from parlando.audio.formats import FILE_FORMATS, AudioFormat, container_rate, find_format, format_of
from parlando.audio.resample import resample
from parlando.audio.sniff import BinaryFile
from parlando.core.descriptors import descriptor_of
from parlando.core.errors import AudioError, FileMissingError
from parlando.core.kinds import check_type

Source = str | os.PathLike[str] | bytes | bytearray | BinaryFile
# libsndfile's Vorbis encoder overflows its stack when handed minutes of audio in one call.
BLOCK_SAMPLES = 65536
READ_WHOLE = "it is read more than once, so pass the bytes of a pipe, or save them as a file"


def read_audio(source: Source, sample_rate: int | None = None, max_seconds: float | None = None) -> Clip:
    """Read a path, bytes or an open binary file as a mono clip, at its own rate or at ``sample_rate``.

    Only the containers in `parlando.audio.sniff` are read. What is louder than full scale, as floats can be, is scaled
    down to it.

    Raises:
        FileMissingError: there is no such file.
        AudioError: it cannot be read, is not audio, empty, not finite, longer than ``max_seconds``, or so fine that
            no recording of that length needs it.
    """
    where = describe_source(source)
    wave, rate = read_channels(source, max_seconds)
    mono = within_full_scale(as_mono(wave, where))
    if sample_rate is None:
        return Clip(mono, rate)
    wanted = check_sample_rate(sample_rate)
    return Clip(as_mono(resample(mono, rate, wanted), where), wanted)


def read_channels(source: Source, max_seconds: float | None = None) -> tuple[np.ndarray, int]:
    """All channels (float32 [n, channel]) and the sample rate; errors as for `read_audio`."""
    where = describe_source(source)
    try:
        with _open(source) as stream:
            return decode(stream, Bounds(where, max_seconds))
    except io.UnsupportedOperation as error:
        raise AudioError(f"{where} cannot be read: {error}; {READ_WHOLE}") from error
    except OSError as error:
        advice = READ_WHOLE if error.errno == errno.ESPIPE else "check its name and its permissions"
        raise AudioError(f"{where} cannot be read: {error.strerror or error}; {advice}") from error


def describe_source(source: object) -> str:
    """How to name a source in a message."""
    if isinstance(source, str | os.PathLike):
        return f"'{os.fspath(source)}'"
    return "audio bytes" if isinstance(source, bytes | bytearray) else "audio file"


def _open(source: Any) -> AbstractContextManager[BinaryFile]:
    if isinstance(source, io.TextIOBase):
        raise AudioError("expected an open binary file, got one opened as text; open it with mode 'rb'")
    if isinstance(source, BinaryFile):
        return nullcontext(source)  # it stays open
    if isinstance(source, bytes | bytearray):
        return io.BytesIO(source)
    if isinstance(source, str | os.PathLike):
        return _open_path(Path(source))
    raise AudioError(f"expected a path, bytes or an open binary file, got {type(source).__name__}")


def _open_path(path: Path) -> io.BufferedIOBase:
    if path.is_dir():
        raise AudioError(f"'{path}' is a folder; name an audio file in it")
    if not path.exists():
        raise FileMissingError(path, "audio file")
    if not path.is_file():
        raise AudioError(f"'{path}' is a pipe or a device; {READ_WHOLE}")
    return path.open("rb")


def encode_audio(samples: np.ndarray, sample_rate: int, format: str = "wav") -> bytes:
    """A whole file in memory; formats and errors as for `write_audio`."""
    sink = io.BytesIO()
    _encode(sink, as_mono(samples), check_sample_rate(sample_rate), find_format(format, FILE_FORMATS))
    return sink.getvalue()


def write_audio(path: str | os.PathLike[str], samples: np.ndarray, sample_rate: int, format: str | None = None) -> None:
    """Write mono audio as wav (16 bit), wav-float, flac, mp3, opus or ogg, by the path's ending unless ``format`` says.

    A file appears whole or not at all; a link stays and what it leads to is written; a device or a pipe is written
    into. Samples beyond full scale are clipped; a rate that the format cannot hold is resampled to the next one it can.

    Raises:
        ConfigError: no such format, or what should be a path is none.
        FileMissingError: the folder is not there.
        AudioError: the samples are empty or not finite, or the file cannot be written.
    """
    check_type("path", path, str | os.PathLike, "a file's path (str or Path)")
    target = Path(path)
    entry = format_of(target) if format is None else find_format(format, FILE_FORMATS)
    mono, rate = as_mono(samples), check_sample_rate(sample_rate)
    try:
        if target.is_dir():
            raise AudioError(f"'{target}' is a folder; name a file in it")
        if is_stream(target):
            with _open_stream(target) as stream:
                stream.write(encode_audio(mono, rate, entry.name))
        else:
            _write_whole(target.resolve(), mono, rate, entry)
    except OSError as error:
        raise AudioError(f"'{target}' cannot be written: {error.strerror}; choose another place") from error


def is_stream(path: Path) -> bool:
    """Whether what a path leads to is a device, a pipe or open already, so that it is written into, never replaced."""
    if descriptor_of(path) is not None:
        return True
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _open_stream(path: Path) -> io.BufferedIOBase:
    # What is open already goes on where it is; opened anew, a plain file would lose what stands in it.
    descriptor = descriptor_of(path)
    return path.open("wb") if descriptor is None else os.fdopen(os.dup(descriptor), "wb")


def _write_whole(target: Path, mono: np.ndarray, rate: int, entry: AudioFormat) -> None:
    if not target.parent.is_dir():
        raise FileMissingError(target.parent, "folder")
    # mkstemp makes files that only their owner can read.
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644
    handle, name = tempfile.mkstemp(prefix=".parlando-", dir=target.parent)
    try:
        with os.fdopen(handle, "w+b") as file:
            _encode(file, mono, rate, entry)
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _encode(sink: io.BufferedIOBase, mono: np.ndarray, rate: int, entry: AudioFormat) -> None:
    stored_rate = container_rate(entry, rate)
    wave = resample(mono, rate, stored_rate)
    if entry.subtype == "PCM_16":
        wave = to_pcm(wave)  # as streams have it; libsndfile counts full scale one higher
    elif entry.subtype != "FLOAT":
        wave = wave.clip(-1.0, 1.0)
    with soundfile.SoundFile(sink, "w", stored_rate, 1, entry.subtype, format=entry.container) as file:
        for start in range(0, len(wave), BLOCK_SAMPLES):
            file.write(wave[start : start + BLOCK_SAMPLES])
