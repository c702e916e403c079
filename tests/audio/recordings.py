"""One short recording in every container that is read, made here; and the start of each."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from sounds import RATE, buzz

WAVE = buzz(150, 0.5)
BY_LIBSNDFILE = {
    "wav": ("WAV", "PCM_16"),
    "wav-24": ("WAV", "PCM_24"),
    "wav-float": ("WAVEX", "FLOAT"),
    "wav-ulaw": ("WAV", "ULAW"),
    "wav-adpcm": ("WAV", "IMA_ADPCM"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
# name: muxer, codec, rate
BY_FFMPEG = {
    "m4a": ("ipod", "aac", RATE),
    "mp4-alac": ("mp4", "alac", RATE),
    "mov": ("mov", "pcm_s16le", RATE),
    "3gp": ("3gp", "aac", RATE),
    "aac": ("adts", "aac", RATE),
    "webm": ("webm", "libopus", 48_000),
    "mka-flac": ("matroska", "flac", RATE),
    "caf-alac": ("caf", "alac", RATE),
    "amr": ("amr", "libopencore_amrnb", 8000),
    "wma": ("asf", "wmav2", 44_100),
}
MAGIC_STARTS = (
    *(
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
        b"RIFF\x00\x01\x00\x00WAVE",
        b"RF64\xff\xff\xff\xffWAVEds64",
        b"FORM\x00\x01\x00\x00AIFFCOMM",
    ),
    *(
        b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00" + bytes(8) + b"wave",
        b".snd\x00\x00\x00\x18",
        b"caff\x00\x01\x00\x00desc",
    ),
    *(
        b"fLaC\x00\x00\x00\x22",
        b"OggS\x00\x02",
        b"\x1a\x45\xdf\xa3",
        b"\x00\x00\x00\x18ftypM4A ",
        b"\x00\x00\x10\x00moov",
    ),
    *(
        b"#!AMR\n",
        b"#!AMR-WB\n",
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
        b"ID3\x04\x00\x00\x00\x00\x00\x20",
    ),
    *(b"\xff\xfb\x90\xc4", b"\xff\xf1\x50\x80"),
)


def make_recordings(wave: np.ndarray = WAVE) -> dict[str, bytes]:
    """All of them, by name."""
    written = {name: by_libsndfile(wave, *form) for name, form in BY_LIBSNDFILE.items()}
    return written | {name: by_ffmpeg(wave, *form) for name, form in BY_FFMPEG.items()}


def by_libsndfile(wave: np.ndarray, container: str, subtype: str) -> bytes:
    """A file that libsndfile writes."""
    sink = io.BytesIO()
    soundfile.write(sink, wave, RATE, format=container, subtype=subtype)
    return sink.getvalue()


def by_ffmpeg(wave: np.ndarray, muxer: str, codec: str, rate: int) -> bytes:
    """A file that FFmpeg writes."""
    import av

    sink = io.BytesIO()
    with av.open(sink, "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        if codec in BIT_RATES:
            stream.bit_rate = BIT_RATES[codec]
        frame = av.AudioFrame.from_ndarray((wave * 32767).astype("<i2")[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate)
        frames = [*resampler.resample(frame), *resampler.resample(None)]
        for packet in [packet for each in [*frames, None] for packet in stream.encode(each)]:
            container.mux(packet)
    return sink.getvalue()


BIT_RATES = {"wmav2": 64_000, "libopencore_amrnb": 12_200}
