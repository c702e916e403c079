"""The words of a text by their characters: between white space, or characters where no spaces are written."""

from __future__ import annotations

import re
import unicodedata

from parlando.text.scripts import HAN, KANA

_TAG = r"<[^<>\s][^<>]*>|\[[\w -]+\](?!\()|\]\([^()\s]*\)"
_PART = re.compile(rf"(?P<tag>{_TAG})|(?P<phones>\{{[^{{}}]*\}})|[{HAN}{KANA}]|[^\s{HAN}{KANA}<\[\]{{]+|[<\[\]{{]")
_KEPT_LAST = "%\u2030"


def word_spans(text: str) -> list[tuple[int, int]]:
    """First and after last character of each word, without the marks around it; tags are none, phones in braces are."""
    spans: list[tuple[int, int]] = []
    for part in _PART.finditer(text):
        if part["tag"]:
            continue
        start, stop = part.span() if part["phones"] else _bare(text, *part.span())
        if any(map(str.isalnum, text[start:stop])):
            spans.append((start, stop))
    return spans


def _bare(text: str, start: int, stop: int) -> tuple[int, int]:
    """A part without the punctuation at its ends; a sign of a currency or of percents is of the word."""
    while start < stop and _is_mark(text[start]):
        start += 1
    while stop > start and _is_mark(text[stop - 1]) and text[stop - 1] not in _KEPT_LAST:
        stop -= 1
    return start, stop


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("P")
