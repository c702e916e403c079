"""Text to sentences of a length that can be spoken in one go; `segment` is the incremental segmenter fed once."""

from __future__ import annotations

import re

from parlando.core.errors import ConfigError
from parlando.text.english_words import BEFORE_NUMBER, NEVER_LAST

LONGEST_CHARACTERS, SHORTEST_CHARACTERS = 120, 12

_CLOSERS = r"[\"'\u201d\u2019\u300d\u300f)\]]*"
_TERMINATOR = re.compile(rf"(?P<stop>[.?!\u2026]+{_CLOSERS}(?=\s|$)|[\u3002\uff01\uff1f]+{_CLOSERS})|\n[^\S\n]*\n")
_CLAUSE = re.compile(rf"[,;:\u2013\u2014]+{_CLOSERS}(?=\s)|(?<=\s)[-\u2013\u2014](?=\s)|[\uff0c\u3001\uff1b\uff1a]+")
_EARLIEST_CUT = 3  # a clause mark in the first third of what fits would leave a scrap
_OPENERS = "\"'\u201c\u2018(["


def segment(
    text: str, longest_characters: int = LONGEST_CHARACTERS, shortest_characters: int = SHORTEST_CHARACTERS
) -> list[str]:
    """Sentences in order; whitespace apart, they hold every character of the text.

    A sentence that is too long is cut at a clause mark, else between words; a very short one joins a neighbour.

    Raises:
        ConfigError: the lengths do not leave room for each other.
    """
    segmenter = IncrementalSegmenter(longest_characters, shortest_characters)
    sentences = segmenter.feed(text) + segmenter.flush()
    if len(sentences) > 1 and len(sentences[-1]) < shortest_characters:
        joined = f"{sentences[-2]} {sentences[-1]}"
        if len(joined) <= longest_characters:
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
        best = None
        for match in _TERMINATOR.finditer(text):
            if match.end() > self._longest:
                break
            following = text[match.end() :].lstrip()[:1]
            if not following and not final:
                return None
            if not _ends_sentence(text, match, following):
                continue
            best = match.end()
            if best >= self._shortest:
                return best
        if len(text) > self._longest:
            return best or self._cut_inside(text)
        return len(text) if final else None

    def _cut_inside(self, text: str) -> int:
        window = text[: self._longest + 1]
        ends = [match.end() for match in _CLAUSE.finditer(window)]
        clauses = [end for end in ends if self._longest // _EARLIEST_CUT <= end <= self._longest]
        if clauses:
            return clauses[-1]
        spaces = [m.start() for m in re.finditer(r"\s", window)]
        return spaces[-1] if spaces else self._longest


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _ends_sentence(text: str, match: re.Match[str], following: str) -> bool:
    stop = match["stop"]
    if stop is None or not following:
        return True
    if following.islower():
        return False
    if not stop.startswith(".") or stop.startswith(".."):
        return True
    before = text[: match.start()].split()
    word = before[-1].lstrip(_OPENERS) if before else ""
    if word in BEFORE_NUMBER:
        return not following.isdigit()
    if word in NEVER_LAST or (word.isdigit() and len(before) == 1):
        return False
    return not _is_initial(word, before[-2] if len(before) > 1 else "")


def _is_initial(word: str, previous: str) -> bool:
    """``J`` of ``J. Smith``, ``U.S`` of ``U.S. Army``, but not the ``S`` of a spelled ``U S``."""
    if "." in word and all(len(part) == 1 for part in word.split(".")):
        return word.lower() not in ("a.m", "p.m")
    return len(word) == 1 and word.isupper() and word != "I" and not (len(previous) == 1 and previous.isupper())
