"""Narration and speech of a paragraph, told apart by quotation marks of several languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

CLOSING = {"“": "”", "„": "“”", "«": "»", "»": "«", "「": "」", "『": "』", "‘": "’", '"': '"', "'": "'"}
APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
# A single mark opens speech after a space and before a letter; inside a word, or behind one, it is an apostrophe.
SINGLE = re.compile(r"(?:^|(?<=[\s(—–-]))['‘](?=\w)")
ENDS_SPEECH = re.compile(r"[,.!?…—–-]\Z")


@dataclass(frozen=True)
class Span:
    """A stretch of a paragraph: speech or narration; ``open`` if its quotation goes on in the next paragraph."""

    text: str
    is_speech: bool
    open: bool = False


def quoted_spans(paragraph: str) -> list[Span]:
    """The stretches of a paragraph in order, without their marks; a few quoted words in a sentence are narration."""
    spans: list[Span] = []
    narration, place = "", 0
    while place < len(paragraph):
        closing = _closing(paragraph, place)
        if closing is None:
            narration += paragraph[place]
            place += 1
            continue
        end = _end(paragraph, place + 1, closing)
        inside = paragraph[place + 1 : end].strip()
        if end == len(paragraph) or _is_speech(inside, narration):
            spans += [Span(narration.strip(), False), Span(inside, True, open=end == len(paragraph))]
            narration = ""
        else:
            narration += paragraph[place : end + 1]
        place = end + 1
    return [span for span in (*spans, Span(narration.strip(), False)) if any(map(str.isalnum, span.text))]


def _closing(paragraph: str, place: int) -> str | None:
    """What would close a quotation that opens here; none if none does."""
    mark = paragraph[place]
    if mark in "'‘":
        return CLOSING[mark] + "’" if SINGLE.match(paragraph, place) else None
    if mark == "»" and "«" in paragraph[:place]:
        return None
    return CLOSING.get(mark)


def _end(paragraph: str, place: int, closing: str) -> int:
    apostrophes = {match.start() for match in APOSTROPHE.finditer(paragraph)}
    marks: Iterator[int] = (
        at for at in range(place, len(paragraph)) if paragraph[at] in closing and at not in apostrophes
    )
    return next(marks, len(paragraph))


def _is_speech(inside: str, before: str) -> bool:
    """Speech ends in punctuation or begins a sentence; a title or a word that is only named does neither."""
    begins = not before.strip() or before.rstrip()[-1] in ",.:!?…—–-"
    return bool(ENDS_SPEECH.search(inside)) or inside[-1:] in "。！？，、" or (begins and len(inside.split()) > 1)
