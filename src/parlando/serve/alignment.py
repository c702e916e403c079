"""When each character of a text is said: until models tell, by the share its word has of its sentence's time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice, pairwise
from operator import itemgetter
from typing import Any

from parlando.core.errors import ParlandoError
from parlando.result import Chunk
from parlando.text.blocks import read_blocks
from parlando.text.reading import Reading

WORD = re.compile(r"\S+\s*")
# Behind a letter, for a row of marks, such as the line under a table's head, says nothing that could end.
END = re.compile(r"[^\W_][\W_]*?(?:[.!?;:,…。！？；：，、\n][\"'”’)\]]*\s*|\Z)")
MARKS = re.compile(r"(?:[\W_]*\s)?")  # before a word, but for those that touch it
STEP = re.compile(r"[\W_]*(?:[!-~]+|\S)\s*")  # a word, an address or, where no spaces are written, a character
SAME = re.compile(r"[\W_]+")
MOST_ENDS = 24  # of a sentence that are tried
REACH = 4  # times the steps of what is said: as far as they are looked for


@dataclass(frozen=True)
class Timed:
    """Characters with the seconds at which each begins and ends."""

    characters: str
    edges: tuple[float, ...]  # one more than characters


class Alignment:
    """Follows a text while its sentences are said, one after the other."""

    def __init__(self, text: str, reading: Reading) -> None:
        self._left, self._reading = text, reading

    def write(self, text: str) -> None:
        """Add to the text."""
        self._left += text

    def sentence(self, said: str, begin_seconds: float, end_seconds: float) -> tuple[Timed, Timed]:
        """The characters of the text that a sentence says, and the sentence's own, as it was read out."""
        spoken = spread(said, begin_seconds, end_seconds)
        written, self._left = self._cut(said)
        return _matched(written, spoken), spoken

    def rest(self, seconds: float) -> Timed:
        """What is left when all was said, such as marks that nobody hears."""
        left, self._left = self._left, ""
        return spread(left, seconds, seconds)

    def _cut(self, said: str) -> tuple[str, str]:
        """What is left of the text, cut behind what says this sentence."""
        begin = self._behind_marks(0)
        likeness, end = self._best(said, begin)
        if not likeness:
            _, end = self._best(said, *self._first_said(said, begin))
        return self._left[:end], self._left[end:]

    def _best(self, said: str, begin: int, least: int = 0) -> tuple[float, int]:
        """How like the sentence the text from ``begin`` on can be, and where it ends; sought to ``least`` at least."""
        wanted = _words(said)
        steps = islice(STEP.finditer(self._left, begin), REACH * (len(STEP.findall(said)) + 1))
        near = max(least, *(step.end() for step in steps), begin)
        ends = [match.end() for match in islice(END.finditer(self._left, begin, near), MOST_ENDS)]
        # A sentence that was cut for its length ends behind any word.
        words = WORD.finditer(self._left, begin, near)
        ends += [match.end() for match in islice(words, max(0, len(wanted) - 1), len(wanted))]
        tried = [(_likeness(wanted, self._read(self._left[begin:end])), end) for end in ends]
        return max(tried, key=itemgetter(0), default=(0.0, 0))

    def _first_said(self, said: str, begin: int) -> tuple[int, int]:
        """Where the first part begins and ends that has a word of this sentence; only ``begin`` if none has."""
        wanted, place = {*_words(said)}, begin
        for match in END.finditer(self._left, begin):
            if not wanted.isdisjoint(self._read(self._left[place : match.end()])):
                return place, match.end()
            place = self._behind_marks(match.end())
        return begin, begin

    def _behind_marks(self, begin: int) -> int:
        marks = MARKS.match(self._left, begin)
        return marks.end() if marks else begin

    def _read(self, written: str) -> list[str]:
        try:
            plain = written if self._reading.as_written else read_blocks(written)
            return _words(self._reading.say(plain.strip()))
        except ParlandoError:
            return _words(written)


class Spans:
    """Where the sentences of a stream begin and end, in seconds of all its audio."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begun_seconds, self._sentence = 0.0, -1

    def hear(self, chunk: Chunk) -> tuple[float, float] | None:
        """Take the next chunk; when its sentence began and ended, if it ends one. Silence between them is of none."""
        if chunk.text and chunk.sentence != self._sentence:
            self._sentence, self._begun_seconds = chunk.sentence, self.seconds
        self.seconds += chunk.duration_seconds
        if chunk.report is None:
            return None
        self._sentence = -1
        return self._begun_seconds, self.seconds


class Told:
    """What was told in the words of ElevenLabs' sockets: times count from the end of the sentence told before, as
    clients add, and what is white between two sentences lasts as long as the silence there."""

    def __init__(self) -> None:
        self._seconds, self._space = 0.0, ""

    def tell(self, timed: Timed, space: str) -> dict[str, Any] | None:
        """The next sentence; one without characters is not told. The white ``space`` behind goes with the one after."""
        characters = timed.characters.rstrip()
        if not characters:
            self._space += space
            return None
        silence = spread(self._space, self._seconds, timed.edges[0])
        edges = (*silence.edges[:-1], *timed.edges[: len(characters)], timed.edges[-1])
        places = [round((edge - self._seconds) * 1000) for edge in edges]
        told = {
            "chars": [*self._space, *characters],
            "charStartTimesMs": places[:-1],
            "charDurationsMs": [end - begin for begin, end in pairwise(places)],
        }
        self._seconds, self._space = timed.edges[-1], space
        return told


class LiveAlignment:
    """Follows a text that is still being written."""

    def __init__(self, reading: Reading) -> None:
        self._alignment, self._spans, self._written = Alignment("", reading), Spans(), [""]
        self._as_written, self._as_read = Told(), Told()

    def write(self, text: str) -> None:
        """Take note of text that will be said."""
        self._written.append(text)

    def hear(self, chunk: Chunk) -> Callable[[], dict[str, Any]] | None:
        """Take the next chunk; what finds out the times of its sentence, if it ends one, in a thread or here."""
        span = self._spans.hear(chunk)
        if span is None:
            return None
        self._alignment.write("".join(self._written))
        self._written.clear()
        return lambda: self._times(chunk.text, *span)

    def _times(self, said: str, begin_seconds: float, end_seconds: float) -> dict[str, Any]:
        written, read = self._alignment.sentence(said, begin_seconds, end_seconds)
        space = written.characters[len(written.characters.rstrip()) :]
        return {
            "alignment": self._as_written.tell(written, space),
            "normalizedAlignment": self._as_read.tell(read, space),
        }


def as_json(parts: Iterable[Timed]) -> dict[str, Any]:
    """All of them in ElevenLabs' words."""
    parts = [*parts]
    return {
        "characters": [character for part in parts for character in part.characters],
        "character_start_times_seconds": [round(edge, 3) for part in parts for edge in part.edges[:-1]],
        "character_end_times_seconds": [round(edge, 3) for part in parts for edge in part.edges[1:]],
    }


def spread(characters: str, begin_seconds: float, end_seconds: float) -> Timed:
    """All characters with the same share of the time."""
    count = max(1, len(characters))
    step = (end_seconds - begin_seconds) / count
    return Timed(characters, tuple(begin_seconds + step * index for index in range(len(characters) + 1)))


def _matched(written: str, spoken: Timed) -> Timed:
    """The characters as they were written: words that were said so have their times, others what is between."""
    ours, theirs = list(WORD.finditer(written)), list(WORD.finditer(spoken.characters))
    matcher = SequenceMatcher(None, [_same(match) for match in ours], [_same(match) for match in theirs], False)
    edges = {0: spoken.edges[0], len(written): spoken.edges[-1]}
    for first, second, count in matcher.get_matching_blocks():
        for index in range(count):
            word, said = ours[first + index], theirs[second + index]
            edges[word.start()], edges[word.end()] = spoken.edges[said.start()], spoken.edges[said.end()]
    places = sorted(edges)
    parts = [spread(written[begin:end], edges[begin], edges[end]) for begin, end in pairwise(places)]
    return Timed(written, (*(edge for part in parts for edge in part.edges[:-1]), spoken.edges[-1]))


def _words(text: str) -> list[str]:
    return [word for word in SAME.split(text.casefold()) if word]


def _same(match: re.Match[str]) -> str:
    return SAME.sub("", match[0].casefold())


def _likeness(wanted: list[str], read: list[str]) -> float:
    return SequenceMatcher(None, wanted, read, False).ratio()
