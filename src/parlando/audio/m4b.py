"""Audiobook files: AAC in MP4 with chapter marks, written piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from parlando.audio.clip import to_pcm
from parlando.audio.formats import FORMATS, container_rate
from parlando.audio.resample import StreamResampler
from parlando.core.errors import MissingDependencyError
from parlando.core.folder import whole_file
from parlando.core.install import with_extra

BITS_PER_SECOND = 64_000
MS = 1000


@dataclass(frozen=True)
class Mark:
    """A chapter: its title and how long it is."""

    title: str
    seconds: float


def check_m4b() -> None:
    """Raises: MissingDependencyError: PyAV is not installed."""
    _pyav()


def write_m4b(
    path: Path, pieces: Iterable[np.ndarray], sample_rate: int, marks: Sequence[Mark], about: dict[str, str]
) -> None:
    """Write samples (float32 [n]) with chapters one after the other; ``about`` is title, artist and the like.

    The file appears whole or not at all.

    Raises:
        FileMissingError: the folder is not there.
        MissingDependencyError: PyAV is not installed.
    """
    av, rate = _pyav(), container_rate(FORMATS["aac"], sample_rate)
    with whole_file(path) as partial, av.open(str(partial), "w", format="ipod") as container:
        container.set_chapters(_chapters(marks))
        container.metadata.update(about)
        stream = container.add_stream("aac", rate=rate, layout="mono")
        stream.bit_rate = BITS_PER_SECOND
        written = 0
        for samples in _resampled(pieces, sample_rate, rate):
            frame = av.AudioFrame.from_ndarray(to_pcm(samples)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, written
            written += len(samples)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def _chapters(marks: Sequence[Mark]) -> list[dict[str, Any]]:
    ends = np.cumsum([round(mark.seconds * MS) for mark in marks]).tolist()
    starts = [0, *ends[:-1]]
    return [
        {"id": number, "start": start, "end": end, "time_base": Fraction(1, MS), "metadata": {"title": mark.title}}
        for number, (mark, start, end) in enumerate(zip(marks, starts, ends, strict=True), 1)
    ]


def _resampled(pieces: Iterable[np.ndarray], from_rate: int, to_rate: int) -> Iterator[np.ndarray]:
    resampler = StreamResampler(from_rate, to_rate)
    for piece in pieces:
        if len(samples := resampler.feed(piece)):
            yield samples
    if len(samples := resampler.close()):
        yield samples


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError("av (for audiobooks)", with_extra("serve")) from error
    return av
