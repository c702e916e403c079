"""What a simulated player hears of a compressed stream, worked out afterwards from when its bytes came.

Each packet can be played once its last byte is there; where it lies in the file is known when the file is whole.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from parlando.core.errors import MissingDependencyError
from parlando.core.install import with_extra
from parlando.evaluate.load.listener import Listener

CONTAINERS = {"mp3": "mp3", "aac": "aac", "flac": "flac", "opus": "ogg"}
TELEPHONY = {"ulaw": "pcm_mulaw", "alaw": "pcm_alaw"}


def replay(pieces: Sequence[tuple[float, bytes]], format: str, sample_rate: int = 24000) -> Listener:
    """Listen to pieces of a file, each with the seconds since the request at which it came.

    ``format`` is a key of `CONTAINERS` or `TELEPHONY`; ``sample_rate`` (hertz) is told to telephony, which does
    not say its own.

    Raises:
        MissingDependencyError: PyAV is not installed.
        ValueError: it cannot be decoded.
    """
    listener = Listener(sample_rate)
    if not pieces:
        return listener
    listener.first_byte_seconds = pieces[0][0]
    for moment, rate, pcm in _raw(pieces, format, sample_rate) if format in TELEPHONY else _framed(pieces, format):
        listener.sample_rate = rate
        listener.hear(pcm, moment)
    return listener


def _raw(pieces: Sequence[tuple[float, bytes]], format: str, sample_rate: int) -> Iterator[tuple[float, int, bytes]]:
    av = _pyav()
    decoder = av.CodecContext.create(TELEPHONY[format], "r")
    decoder.sample_rate, decoder.layout = sample_rate, "mono"
    for moment, data in pieces:
        for frame in decoder.decode(av.Packet(data)):
            yield moment, sample_rate, frame.to_ndarray().tobytes()


def _framed(pieces: Sequence[tuple[float, bytes]], format: str) -> Iterator[tuple[float, int, bytes]]:
    av = _pyav()
    ends = list(accumulate(len(data) for _, data in pieces))
    to_pcm = av.AudioResampler(format="s16", layout="mono")
    try:
        with av.open(io.BytesIO(b"".join(data for _, data in pieces)), format=CONTAINERS[format]) as container:
            for packet in container.demux(audio=0):
                # The last one is empty and has no place: it fetches what the decoder still holds.
                end = ends[-1] if packet.pos is None else packet.pos + packet.size
                moment = pieces[min(bisect_left(ends, end), len(pieces) - 1)][0]
                for frame in packet.decode():
                    for each in to_pcm.resample(frame):
                        yield moment, each.sample_rate, each.to_ndarray().tobytes()
    except av.error.FFmpegError as error:
        raise ValueError(f"this is no {format} stream: {error}") from error


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError("av", with_extra("serve")) from error
    return av
