"""Which characters of a text are said when: its sentences, as they are read out, are found in it, and their words."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate, islice, pairwise
from operator import itemgetter

from parlando.core.errors import ParlandoError
from parlando.core.types import SpokenWord, Word
from parlando.text.blocks import read_blocks
from parlando.text.reading import Reading
from parlando.text.words import word_spans

WORD = re.compile(r"\S+\s*")
# Behind a letter, for a row of marks, such as the line under a table's head, says nothing that could end.
END = re.compile(r"[^\W_][\W_]*?(?:[.!?;:,…。！？；：，、\n][\"'”’)\]]*\s*|\Z)")
MARKS = re.compile(r"(?:[\W_]*\s)?")  # before a word, but for those that touch it
STEP = re.compile(r"[\W_]*(?:[!-~]+|\S)\s*")  # a word, an address or, where no spaces are written, a character
SAME = re.compile(r"[\W_]+")
MOST_ENDS = 24  # of a sentence that are tried
REACH = 4  # times the steps of what is said: as far as they are looked for
Span = tuple[int, int]
Pair = tuple[Span, Span]


@dataclass(frozen=True)
class SaidSentence:
    """A sentence as it was read out, when it began and ended, and its words, all in the same seconds."""

    text: str
    start_seconds: float
    end_seconds: float
    words: tuple[SpokenWord, ...]


@dataclass(frozen=True)
class Timed:
    """Characters with the seconds at which each begins and ends."""

    characters: str
    edges: tuple[float, ...]  # one more than characters

    @classmethod
    def of(cls, said: SaidSentence) -> Timed:
        """The characters of a sentence: those of a word share its time, those between two what is between."""
        edges = {0: said.start_seconds, len(said.text): said.end_seconds}
        for word in said.words:
            # The last samples of a sentence may come with the next one, where they are resampled.
            edges[word.start], edges[word.stop] = word.start_seconds, min(word.end_seconds, said.end_seconds)
        return _timed(said.text, edges)


class Alignment:
    """Follows a text while its sentences are said, one after the other."""

    def __init__(self, text: str, reading: Reading) -> None:
        self._left, self._reading = text, reading

    def write(self, text: str) -> None:
        """Add to the text."""
        self._left += text

    def sentence(self, said: SaidSentence) -> tuple[Timed, Timed]:
        """The characters of the text that a sentence says, and the sentence's own, as it was read out."""
        spoken, written = Timed.of(said), self.cut(said.text)
        edges = {0: spoken.edges[0], len(written): spoken.edges[-1]}
        for (start, stop), (said_start, said_stop) in self.pairs(written, said.text):
            edges[start], edges[stop] = spoken.edges[said_start], spoken.edges[said_stop]
        return _timed(written, edges), spoken

    def rest(self, seconds: float) -> Timed:
        """What is left when all was said, such as marks that nobody hears."""
        left, self._left = self._left, ""
        return spread(left, seconds, seconds)

    def cut(self, said: str) -> str:
        """The next part of the text, up to behind what says this sentence."""
        begin = self._behind_marks(0)
        likeness, end = self._best(said, begin)
        if not likeness:
            _, end = self._best(said, *self._first_said(said, begin))
        written, self._left = self._left[:end], self._left[end:]
        return written

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

    def pairs(self, written: str, said: str) -> list[Pair]:
        """The words of a text that a sentence says, each with its characters there and in the sentence."""
        ours, theirs = word_spans(written), word_spans(said)
        matcher = SequenceMatcher(None, _plain_words(written, ours), _plain_words(said, theirs), False)
        found: list[Pair] = []
        for kind, first, last, said_first, said_last in matcher.get_opcodes():
            here, there = ours[first:last], theirs[said_first:said_last]
            if kind == "replace" and len(here) != len(there):
                there = self._shared(written, here, there)
            found += zip(here, there, strict=False)
        return found

    def _shared(self, written: str, here: Sequence[Span], there: Sequence[Span]) -> list[Span]:
        """The spoken words of each of some words that are read as others: as many as its reading has of theirs."""
        counts = [max(1, len(self._read(written[start:stop]))) for start, stop in here]
        ends = [round(end * len(there) / sum(counts)) for end in accumulate(counts)]
        firsts = [min(end, len(there) - 1) for end in (0, *ends[:-1])]
        lasts = [max(first, end - 1) for first, end in zip(firsts, ends, strict=True)]
        return [(there[first][0], there[last][1]) for first, last in zip(firsts, lasts, strict=True)]

    def _behind_marks(self, begin: int) -> int:
        marks = MARKS.match(self._left, begin)
        return marks.end() if marks else begin

    def _read(self, written: str) -> list[str]:
        try:
            plain = written if self._reading.as_written else read_blocks(written)
            return _words(self._reading.say(plain.strip()))
        except ParlandoError:
            return _words(written)


def spread(characters: str, begin_seconds: float, end_seconds: float) -> Timed:
    """All characters with the same share of the time."""
    count = max(1, len(characters))
    step = (end_seconds - begin_seconds) / count
    return Timed(characters, tuple(begin_seconds + step * index for index in range(len(characters) + 1)))


def _timed(characters: str, edges: Mapping[int, float]) -> Timed:
    """Characters with times at some of their edges, the first and the last among them; others are between those."""
    places = sorted(edges)
    seconds = list(accumulate((edges[place] for place in places), max))  # what was rounded must not go back
    steps = zip(pairwise(places), pairwise(seconds), strict=True)
    parts = [spread(characters[begin:end], *times) for (begin, end), times in steps]
    return Timed(characters, (*(edge for part in parts for edge in part.edges[:-1]), seconds[-1]))


def _words(text: str) -> list[str]:
    return [word for word in SAME.split(text.casefold()) if word]


def _plain_words(text: str, spans: Sequence[Span]) -> list[str]:
    return [SAME.sub("", text[start:stop].casefold()) for start, stop in spans]


def _likeness(wanted: list[str], read: list[str]) -> float:
    return SequenceMatcher(None, wanted, read, False).ratio()


class WordFinder:
    """Finds the words of a text while they are heard; told the words of every sentence as they become known.

    ``written`` is asked for more of a text that is still being written.
    """

    def __init__(self, text: str, reading: Reading, written: Callable[[], str] = str) -> None:
        self._alignment, self._more = Alignment(text, reading), written
        self._written, self._pairs, self._heard = "", deque[Pair](), list[SpokenWord]()
        self._begin, self._is_open = 0, False

    def hear(self, said: str, words: Sequence[SpokenWord], ended: bool) -> Iterator[Word]:
        """The words of the text that are now known to have been said; ``ended`` ends the sentence."""
        self._heard += words
        if not self._is_open and (words or ended):
            self._open(said)
        while self._pairs and (ended or self._heard[-1].stop >= self._pairs[0][1][1]):
            (start, stop), said_span = self._pairs.popleft()
            heard = [word for word in self._heard if said_span[0] <= word.start and word.stop <= said_span[1]]
            if heard:
                first, last = heard[0], heard[-1]
                text, place = self._written[start:stop], (self._begin + start, self._begin + stop)
                yield Word(text, *place, first.start_seconds, last.end_seconds, first.source)
        if ended:
            self._begin += len(self._written)
            self._is_open = False
            self._heard.clear()

    def _open(self, said: str) -> None:
        self._alignment.write(self._more())
        self._written = self._alignment.cut(said)
        self._pairs = deque(self._alignment.pairs(self._written, said))
        self._is_open = True


def written_words(text: str, said: Iterable[SaidSentence], reading: Reading) -> Iterator[Word]:
    """The words of a text that sentences say, which were made of it by this reading."""
    finder = WordFinder(text, reading)
    for sentence in said:
        yield from finder.hear(sentence.text, sentence.words, ended=True)
