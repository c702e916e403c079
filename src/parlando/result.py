"""What synthesis hands back: chunks while it runs, a `Speech` when it is done."""

from __future__ import annotations

import base64
import html
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from parlando.audio.files import encode_audio, write_audio
from parlando.audio.onset import OnsetTrimmer
from parlando.audio.play import play
from parlando.core.errors import GenerationError
from parlando.core.types import Frame, GenerationReport, SentenceReport, SpokenWord, Timings, Word
from parlando.text.alignment import SaidSentence, written_words
from parlando.text.reading import Reading


@dataclass(frozen=True)
class Chunk:
    """Samples (float32 [n]) that are final now.

    ``sentence`` counts from 0, ``text`` is that sentence as it was normalised; ``report`` comes with a sentence's
    last chunk. ``elapsed_seconds`` is the time since the call, ``frames`` what the language model made since the
    chunk before. A pause between sentences is a chunk with an empty ``text``. ``words`` are those of ``text`` that are
    known now to have been said, in seconds from the sentence's begin.
    """

    samples: np.ndarray
    sample_rate: int
    sentence: int = 0
    text: str = ""
    report: SentenceReport | None = None
    elapsed_seconds: float = 0.0
    frames: tuple[Frame, ...] = ()
    words: tuple[SpokenWord, ...] = ()

    @property
    def duration_seconds(self) -> float:
        """Length of this chunk."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True)
class Speech:
    """Finished speech: ``samples`` (float32 [n], mono, -1…1) at ``sample_rate``, and how it came to be."""

    samples: np.ndarray
    sample_rate: int
    text: str = ""
    voice: str = ""
    seed: int = 0
    timings: Timings = field(default_factory=lambda: Timings(0.0, 0.0))
    report: GenerationReport = field(default_factory=GenerationReport)
    said: tuple[SaidSentence, ...] = ()
    reading: Reading = field(default_factory=Reading)

    @property
    def duration_seconds(self) -> float:
        """Length of the audio."""
        return len(self.samples) / self.sample_rate

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The words of the text as it was given, each with the seconds at which it is heard."""
        return tuple(written_words(self.text, self.said, self.reading))

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for one second of audio; below 1 is faster than listening."""
        return self.timings.total_seconds / self.duration_seconds if len(self.samples) else 0.0

    def save(self, path: str | Path, format: str | None = None) -> Path:
        """Write wav, flac, mp3, opus or ogg, as the path's ending (or ``format``) says; returns the path.

        The file appears whole or not at all.

        Raises:
            ConfigError: the ending names no known format, or ``path`` is none.
            FileMissingError: the folder is not there.
            AudioError: the file cannot be written.
        """
        write_audio(path, self.samples, self.sample_rate, format)
        return Path(path)

    def play(self) -> None:
        """Play through the machine's loudspeaker and wait until it is over.

        Raises:
            MissingDependencyError: none of the usual players is installed.
            AudioError: the player failed.
        """
        play(self.samples, self.sample_rate)

    def _repr_html_(self) -> str:
        data = base64.b64encode(encode_audio(self.samples, self.sample_rate)).decode("ascii")
        title = html.escape(self.text, quote=True)
        return f'<audio controls title="{title}" src="data:audio/wav;base64,{data}"></audio>'


class SaidSentences:
    """The sentences of a stream, with their words in seconds of all its audio; told every chunk in order."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._samples, self._sentence, self._begun_seconds = 0, -1, 0.0
        self._words: list[SpokenWord] = []

    def hear(self, chunk: Chunk) -> SaidSentence | None:
        """Take the next chunk; the sentence that ends with it, if one does. Silence between two is of none."""
        if chunk.text and chunk.sentence != self._sentence:
            self._sentence, self._begun_seconds = chunk.sentence, self.seconds
        self._samples += len(chunk.samples)
        self.seconds = self._samples / chunk.sample_rate
        self._words += (word.later(self._begun_seconds) for word in chunk.words)
        if chunk.report is None:
            return None
        said = SaidSentence(chunk.text, self._begun_seconds, self.seconds, tuple(self._words))
        self._sentence = -1
        self._words.clear()
        return said


def join(
    chunks: Iterable[Chunk], *, text: str = "", voice: str = "", seed: int = 0, reading: Reading | None = None
) -> Speech:
    """Collect a stream into one `Speech`: offline synthesis is this and nothing else.

    ``reading`` is how the ``text`` was read, so that its words are found in what was said.

    Raises:
        GenerationError: the stream made no samples.
    """
    started = time.perf_counter()
    collected = list(chunks)
    total_seconds = time.perf_counter() - started
    audible = [chunk for chunk in collected if len(chunk.samples)]
    if not audible:
        raise GenerationError("the model made no audio for this text; try another seed or a higher temperature")
    reports = tuple(chunk.report for chunk in collected if chunk.report is not None)
    sentences = SaidSentences()
    said = tuple(filter(None, map(sentences.hear, collected)))
    return Speech(
        samples=np.concatenate([chunk.samples for chunk in audible]).astype(np.float32, copy=False),
        sample_rate=audible[0].sample_rate,
        text=text,
        voice=voice,
        seed=seed,
        timings=Timings(audible[0].elapsed_seconds, total_seconds),
        report=GenerationReport(reports),
        said=said,
        reading=reading or Reading(),
    )


def trimmed(chunks: Iterable[Chunk], sample_rate: int, lead_silence_seconds: float) -> Iterator[Chunk]:
    """The chunks with no more silence before the first word than that, and with their words as much earlier."""
    trimmer = OnsetTrimmer(sample_rate, lead_silence_seconds)
    words: tuple[SpokenWord, ...] = ()
    for chunk in chunks:
        samples, words = trimmer.push(chunk.samples), (*words, *chunk.words)
        if samples is chunk.samples and not trimmer.cut_samples:
            yield chunk
        elif trimmer.begun or chunk.report is not None:
            cut_seconds = trimmer.cut_samples / sample_rate if chunk.sentence == 0 else 0.0
            yield replace(chunk, samples=samples, words=tuple(word.later(-cut_seconds) for word in words))
        else:
            yield replace(chunk, samples=samples, words=())
            continue
        words = ()
    if len(rest := trimmer.close()):
        yield Chunk(rest, sample_rate)
