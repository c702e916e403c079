"""A book as chapters of paragraphs, and where the chapters of a plain text begin."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"(?:\d+|[IVXLC]+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|the (?:first|last))"
_HEADING = re.compile(
    rf"(?:#{{1,3}}\s+(?P<marked>.+)|(?P<plain>(?:chapter|part|book|act)\s+{_NUMBER}\b.{{0,60}}|prologue|epilogue|"
    r"第[一二三四五六七八九十百零〇\d]+[章回节].{0,30}))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Chapter:
    """A title, and the paragraphs below it."""

    title: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Book:
    """A title, an author if known, and the chapters; every chapter has something to read out."""

    title: str
    chapters: tuple[Chapter, ...]
    author: str = ""


def chapters_of(text: str, title: str) -> list[Chapter]:
    """The chapters of a text, whose headings stand alone: ``Chapter 1 …``, ``# …``; before the first, its own title."""
    chapters: list[tuple[str, list[str]]] = [(title, [])]
    for block in re.split(r"\n\s*\n", text):
        paragraph = " ".join(block.split())
        heading = _HEADING.fullmatch(paragraph)
        if heading:
            chapters.append(((heading["marked"] or heading["plain"]).strip(), []))
        elif paragraph:
            chapters[-1][1].append(paragraph)
    return [Chapter(name, tuple(paragraphs)) for name, paragraphs in chapters if paragraphs]
