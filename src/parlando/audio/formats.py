"""The audio formats by name: their container, their media type and the rates they can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from parlando.core.errors import ConfigError, nearest
from parlando.core.kinds import check_type

OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
RAW = "RAW"
AAC_RATES = (*MP3_RATES, 64000, 88200, 96000)


@dataclass(frozen=True)
class AudioFormat:
    """A way to store audio. ``container`` and ``subtype`` are libsndfile's names, empty where it cannot write it;
    ``rates`` is empty where any rate will do."""

    name: str
    media_type: str
    container: str = ""
    subtype: str = ""
    rates: tuple[int, ...] = ()


FORMATS = {
    entry.name: entry
    for entry in (
        AudioFormat("wav", "audio/wav", "WAV", "PCM_16"),
        AudioFormat("wav-float", "audio/wav", "WAV", "FLOAT"),
        AudioFormat("flac", "audio/flac", "FLAC", "PCM_16"),
        AudioFormat("mp3", "audio/mpeg", "MP3", "MPEG_LAYER_III", MP3_RATES),
        AudioFormat("opus", "audio/ogg", "OGG", "OPUS", OPUS_RATES),
        AudioFormat("ogg", "audio/ogg", "OGG", "VORBIS"),
        AudioFormat("aac", "audio/aac", rates=AAC_RATES),
        AudioFormat("pcm", "audio/pcm"),
        AudioFormat("ulaw", "audio/basic", RAW, "ULAW"),
        AudioFormat("alaw", "audio/x-alaw-basic", RAW, "ALAW"),
    )
}
# What has no header cannot be read back, so it is no file.
FILE_FORMATS = tuple(name for name, entry in FORMATS.items() if entry.container not in ("", RAW))


def find_format(name: str, allowed: tuple[str, ...]) -> AudioFormat:
    """The format of that name, if it is one of ``allowed``.

    Raises:
        ConfigError: it is not; the message names those that are.
    """
    check_type("format", name, str, f"one of {', '.join(allowed)}")
    key = name.lower().lstrip(".")
    if key not in allowed:
        raise ConfigError(f"no audio format '{name}' here; there are: {', '.join(allowed)}.{nearest(key, allowed)}")
    return FORMATS[key]


def format_of(path: Path) -> AudioFormat:
    """The file format that a path's ending names.

    Raises:
        ConfigError: the ending names none.
    """
    if not path.suffix:
        endings = ", .".join(FILE_FORMATS)
        raise ConfigError(f"'{path}' has no ending that names an audio format; use .{endings}, or say --format")
    return find_format(path.suffix, FILE_FORMATS)


def container_rate(entry: AudioFormat, sample_rate: int) -> int:
    """The rate to store audio of ``sample_rate`` at: the lowest that loses nothing, else the highest there is."""
    if not entry.rates or sample_rate in entry.rates:
        return sample_rate
    return min((rate for rate in entry.rates if rate > sample_rate), default=max(entry.rates))
