"""Text to sentences of a length that can be spoken in one go; `segment` is the incremental segmenter fed once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from parlando.core.errors import ConfigError
from parlando.text.english_romans import NUMERAL_AFTER_STOP
from parlando.text.english_words import BEFORE_NUMBER, NEVER_LAST
from parlando.text.numbers import NUMBER_WORDS
from parlando.text.scripts import HAN, KANA, fitting, length

LONGEST_CHARACTERS, SHORTEST_CHARACTERS = 120, 12

_CLOSERS = r"[\"'\u201d\u2019\u300d\u300f\u3011\u300b\uff09)\]]*"
_TERMINATOR = re.compile(rf"(?P<stop>[.?!\u2026]+{_CLOSERS}(?=\s|$)|[\u3002\uff01\uff1f]+{_CLOSERS})|\n[^\S\n]*\n")
_CLAUSE = re.compile(rf"[,;:\u2013\u2014]+{_CLOSERS}(?=\s)|(?<=\s)[-\u2013\u2014](?=\s)|[\uff0c\u3001\uff1b\uff1a]+")
_EARLIEST_CUT = 3  # a clause mark in the first third of what fits would leave a scrap
_EARLIEST_PHRASE = 2
_NUMBER = re.compile(rf"\d|{NUMERAL_AFTER_STOP}|I\Z")  # of an I at the end, more may come
_SMALL_NUMERAL = re.compile(r"i{1,3}|iv|vi{0,3}|ix|xi{0,3}")
_LONGEST_NUMBER = 4  # words of an item's number
_OPENERS = "\"'\u201c\u2018(["
_FULL_STOPS = "\u3002\uff01\uff1f"
_BREAK = re.compile(rf"(?<=\s)|(?<=[{HAN}{KANA}])(?=[{HAN}{KANA}\w])|(?<=\w)(?=[{HAN}{KANA}])")
# Where phrases begin or end that no mark parts: particles, conjunctions and endings of verbs.
_CONJUNCTIONS = (
    "然后|但是|因为|所以|而且|并且|其中|以及|同时|如果|虽然|我们|他们|她们|你们|于是|不过|可是|因此|或者|还有|只要|只有"
    "|即使|尽管|由于|从而|另外"
)
_PHRASE = re.compile(
    rf"(?<=[{HAN}])(?={_CONJUNCTIONS})|(?<=[了吧吗呢啊呀的])(?=[{HAN}])(?<!了(?=[解不得]))(?<!的(?=[话确地]))"
    rf"|(?<=[はがをにでともてへやのらすた])(?=[{HAN}\u30a1-\u30fa])|(?<=[다요고서만며면])\s"
)
_LONGEST_TAG, _LONGEST_PHONES = 32, 200
_TAG_BODY = rf"\[[\w -]{{0,{_LONGEST_TAG}}}|<[/|]?[\w|]{{0,{_LONGEST_TAG}}}|\{{[a-z0-9 ]{{0,{_LONGEST_PHONES}}}"
_TAG = re.compile(rf"(?:{_TAG_BODY})[\]>}}]")
_UNFINISHED_TAG = re.compile(rf"(?:{_TAG_BODY})$")


def segment(
    text: str, longest_characters: int = LONGEST_CHARACTERS, shortest_characters: int = SHORTEST_CHARACTERS
) -> list[str]:
    """Sentences in order; whitespace apart, they hold every character of the text.

    Lengths are in letters, where a Chinese character counts as three (`parlando.text.scripts.length`). A sentence that
    is too long is cut at a clause mark, else between phrases (after a particle or before a conjunction of Chinese,
    Japanese or Korean), else between words or Chinese characters; a very short one joins a neighbour.
    Nothing is cut inside a tag, so a tag longer than the limit makes a sentence of that length.

    Raises:
        ConfigError: the lengths do not leave room for each other.
    """
    segmenter = IncrementalSegmenter(longest_characters, shortest_characters)
    sentences = segmenter.feed(text) + segmenter.flush()
    if len(sentences) > 1 and length(sentences[-1]) < shortest_characters:
        joined = _join(sentences[-2], sentences[-1])
        if length(joined) <= longest_characters:
            sentences[-2:] = [joined]
    return sentences


class IncrementalSegmenter:
    """Sentences of text that arrives in pieces; how it is cut into pieces makes no difference."""

    def __init__(
        self, longest_characters: int = LONGEST_CHARACTERS, shortest_characters: int = SHORTEST_CHARACTERS
    ) -> None:
        """Lengths are in characters.

        Raises:
            ConfigError: ``0 <= shortest_characters < longest_characters`` does not hold.
        """
        if not 0 <= shortest_characters < longest_characters:
            raise ConfigError(
                f"segment lengths: shortest_characters ({shortest_characters}) must be at least 0 "
                f"and below longest_characters ({longest_characters})"
            )
        self._longest, self._shortest = longest_characters, shortest_characters
        self._pending = ""

    @property
    def pending(self) -> str:
        """What has come of the sentence that is not finished."""
        return self._pending

    def feed(self, piece: str) -> list[str]:
        """The sentences that are certain to be finished now."""
        self._pending += piece
        return self._take(final=False)

    def flush(self) -> list[str]:
        """What is left, as sentences; the segmenter is then empty and can be used again."""
        sentences = self._take(final=True)
        self._pending = ""
        return sentences

    def _take(self, final: bool) -> list[str]:
        sentences, start = [], _skip_space(self._pending, 0)
        while start < len(self._pending):
            cut = self._next_cut(start, final)
            if cut is None:
                break
            sentences.append(" ".join(self._pending[start:cut].split()))
            start = _skip_space(self._pending, cut)
        self._pending = self._pending[start:]
        return sentences

    def _next_cut(self, start: int, final: bool) -> int | None:
        """Where the sentence at ``start`` ends; looks only as far as it must, so that a book takes linear time."""
        width = 2 * self._longest
        while True:
            complete = start + width >= len(self._pending)
            cut = self._cut(self._pending[start : start + width], final and complete)
            if cut is not None or complete:
                return None if cut is None else start + cut
            width *= 2

    def _cut(self, text: str, final: bool) -> int | None:
        """Where the first sentence of ``text`` ends, or ``None`` while that depends on what follows."""
        unfinished = None if final else _UNFINISHED_TAG.search(text)
        text = text[: unfinished.start()] if unfinished else text
        best, fits = None, fitting(text, self._longest)
        tags = [match.span() for match in _TAG.finditer(text, 0, fits + _LONGEST_PHONES)]
        for match in _TERMINATOR.finditer(text):
            if match.end() > fits:
                break
            following = text[match.end() :].lstrip()[:1]
            if not following and not final:
                return None
            if _inside(match.end(), tags) or not _ends_sentence(text, match, following):
                continue
            best = match.end()
            # However short a paragraph is, it is not read with the next one.
            if match["stop"] is None or length(text[:best]) >= self._shortest:
                return best
        if len(text) > fits:
            return best or _cut_inside(text, fits, tags)
        return len(text) if final else None


def _cut_inside(text: str, fits: int, tags: Sequence[tuple[int, int]]) -> int:
    """Where to cut a sentence of which ``fits`` characters are not too long."""
    window = text[: fits + 1]
    ends = [match.end() for match in _CLAUSE.finditer(window)]
    clauses = [end for end in ends if fits // _EARLIEST_CUT <= end <= fits and not _inside(end, tags)]
    if clauses:
        return clauses[-1]
    for pattern, earliest in ((_PHRASE, fits // _EARLIEST_PHRASE), (_BREAK, 0)):
        breaks = [match.end() for match in pattern.finditer(window) if match.end() > earliest]
        breaks = [place for place in breaks if not _inside(place, tags) and len(window[:place].rstrip()) <= fits]
        if breaks:
            return breaks[-1]
    around = next(((start, end) for start, end in tags if start < fits < end), (fits, fits))
    return around[0] or around[1]


def _inside(place: int, tags: Sequence[tuple[int, int]]) -> bool:
    return any(start < place < end for start, end in tags)


def _join(first: str, second: str) -> str:
    """Two sentences as one, with the space that Chinese and Japanese do not have."""
    return first + ("" if first[-1:] in _FULL_STOPS else " ") + second


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _ends_sentence(text: str, match: re.Match[str], following: str) -> bool:
    stop = match["stop"]
    if stop is None or not following or stop[0] in _FULL_STOPS:
        return True
    if following.islower():
        return False
    if not stop.startswith(".") or stop.startswith(".."):
        return True
    before = text[: match.start()].split()
    word = before[-1].lstrip(_OPENERS) if before else ""
    if word in BEFORE_NUMBER:
        return not _NUMBER.match(text, _skip_space(text, match.end()))
    if word in NEVER_LAST or _numbers_an_item(before):
        return False
    return not _is_initial(word, before[-2] if len(before) > 1 else "")


def _numbers_an_item(before: Sequence[str]) -> bool:
    """``2`` of ``2. Add two eggs``, in figures, small numerals or words."""
    if before and (before[-1].isdigit() or _SMALL_NUMERAL.fullmatch(before[-1])):
        return len(before) == 1 or before[-2][-1] in ".?!:;"
    return 0 < len(before) <= _LONGEST_NUMBER and all(word.lower() in NUMBER_WORDS for word in before)


def _is_initial(word: str, previous: str) -> bool:
    """``J`` of ``J. Smith``, ``U.S`` of ``U.S. Army``, but not the ``S`` of a spelled ``U S``."""
    if "." in word and all(len(part) == 1 for part in word.split(".")):
        return word.lower() not in ("a.m", "p.m")
    return len(word) == 1 and word.isupper() and word != "I" and not (len(previous) == 1 and previous.isupper())
