"""When each word is said: by forced alignment of the joined words, or by what the recognisers tell of theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Protocol

import numpy as np

from parlando.annotate.rows import Row
from parlando.annotate.spoken import spoken_words
from parlando.annotate.step import Lazy, Step
from parlando.annotate.workspace import Workspace
from parlando.audio.clip import Clip
from parlando.audio.resample import resample

Times = Sequence[tuple[str, float, float]]
"""Words with start and end in seconds."""


@dataclass(frozen=True)
class Alignment:
    """Words, and phones as (phone, end) pairs, in seconds from the clip's start."""

    words: Times
    phones: Sequence[tuple[str, float]] = ()


class Aligner(Protocol):
    """Finds the words of a known text in a clip."""

    def align(self, clip: Clip, words: Sequence[str], language: str) -> Alignment | None:
        """Their times; ``None`` where they do not fit the sound, or the language is not one it knows."""
        ...


@dataclass(frozen=True)
class WordTimes(Step):
    """Times from the segment's start: the aligner's, else those of the recognisers' words that were kept."""

    aligner: Lazy[Aligner] | None = None

    name = "times"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Who aligns."""
        return {"aligner": self.aligner and self.aligner.card}

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row with ``word_times`` and, where an aligner knows them, ``phones``."""
        words, language = row.facts["words"], row.facts["language"]
        clip = work.read(row.facts["audio"], row.facts["start"], row.facts["end"])
        found = self.aligner().align(clip, words, language) if self.aligner is not None else None
        if found is None:
            found = Alignment(heard_times(words, row.facts["hypotheses"], language, row.seconds))
        facts: dict[str, Any] = {
            "word_times": [[word, round(start, 3), round(end, 3)] for word, start, end in found.words]
        }
        if found.phones:
            facts["phones"] = [[phone, round(end, 3)] for phone, end in found.phones]
        yield self.tell(row, facts)


def heard_times(
    words: Sequence[str], hypotheses: Sequence[Mapping[str, Any]], language: str, seconds: float
) -> list[tuple[str, float, float]]:
    """Times of the words by the recognisers that heard them, those between spread evenly; none where nobody tells.

    Of several the median: one begins words early, another late.
    """
    told: list[list[tuple[float, float]]] = [[] for _ in words]
    for hypothesis in hypotheses:
        own = [each for text, start, end, _ in hypothesis["words"] for each in _split(text, start, end, language)]
        for times, place in zip(told, _matched([word for word, _, _ in own], words), strict=True):
            if place is not None:
                times.append(own[place][1:])
    best = [_median(times) if times else None for times in told]
    return _filled(words, best, seconds) if any(best) else []


def _median(times: Sequence[tuple[float, float]]) -> tuple[float, float]:
    start, end = np.median(np.array(times), axis=0)
    return float(start), float(end)


def _split(text: str, start: float, end: float, language: str) -> list[tuple[str, float, float]]:
    """The spoken words of a written one, its time shared out by their letters."""
    said = spoken_words(text, language)
    edges = np.cumsum([0, *(len(word) for word in said)]) / max(1, sum(map(len, said)))
    at = [start + (end - start) * float(edge) for edge in edges]
    return [(word, at[place], at[place + 1]) for place, word in enumerate(said)]


def _matched(own: Sequence[str], words: Sequence[str]) -> list[int | None]:
    found: list[int | None] = [None] * len(words)
    for block in SequenceMatcher(None, list(own), list(words), autojunk=False).get_matching_blocks():
        for step in range(block.size):
            found[block.b + step] = block.a + step
    return found


def _filled(
    words: Sequence[str], times: Sequence[tuple[float, float] | None], seconds: float
) -> list[tuple[str, float, float]]:
    """Words without a time share the stretch between their neighbours."""
    known = [place for place, time in enumerate(times) if time is not None]
    result: list[tuple[str, float, float]] = []
    for place, (word, time) in enumerate(zip(words, times, strict=True)):
        if time is None:
            before = max((each for each in known if each < place), default=-1)
            after = min((each for each in known if each > place), default=len(words))
            start = _at(times, before, 1, 0.0)
            step = (_at(times, after, 0, seconds) - start) / (after - before - 1)
            time = (start + (place - before - 1) * step, start + (place - before) * step)
        result.append((word, *time))
    return result


def _at(times: Sequence[tuple[float, float] | None], place: int, side: int, otherwise: float) -> float:
    time = times[place] if 0 <= place < len(times) else None
    return otherwise if time is None else time[side]


class PocketSphinxAligner:
    """English words by PocketSphinx, with flite's pronunciations (an `Aligner`)."""

    def align(self, clip: Clip, words: Sequence[str], language: str) -> Alignment | None:
        """Times to a hundredth of a second."""
        from parlando.data.align import ALIGNER_RATE, align_words

        if language != "en":
            return None
        wave = resample(clip.samples, clip.sample_rate, ALIGNER_RATE)
        peak = max(float(np.abs(wave).max(initial=0.0)), 1e-6)
        pcm = (wave / peak * 0.9 * np.iinfo(np.int16).max).astype(np.int16)
        found = align_words(pcm, " ".join(words))
        if found is None or len(found.words) != len(words):
            return None
        return Alignment(
            [(word, start, end) for word, (start, end) in zip(words, found.words, strict=True)], found.phones or ()
        )
