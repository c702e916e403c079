"""Bare lists ("Monday, Tuesday, …") in groups: a small model loses its place in a row of items that are all alike."""

from __future__ import annotations

import re

from parlando.text.numbers import digits

ITEMS_AT_ONCE = 1
"""Of a bare list, as many as a small model says without leaving one out: in threes, it lost one in 7 of 12 lists."""

_MARK = re.compile(r"\s*[,;\u3001\uff0c]\s*")
_FEW = 3  # items that are heard as one group; digits of a row are said so many at once
_MOST_WORDS, _MOST_WORDS_OF_A_NAME = 2, 3
_LONGEST_LEAD = 8  # words of what a list begins with, and its first item
_JOINTS = ("and", "or", "&")
_INSIDE = re.compile(r"[.?!:\u2026]\s")
_DIGIT = f"(?:{'|'.join(digits('0123456789').split())}|oh)"


def in_groups(sentence: str, items: int) -> list[str]:
    """A sentence that is a list of more than a few short items, ``items`` of them at once; 0: as it is.

    A list that a phrase leads to is cut if it has more than twice as many, and so is a row of digits, which stay a few
    at once. Every group but the last ends with a full stop, and no word is changed. A single item left over joins those
    before, unless each is alone.
    """
    few = max(items, _FEW)
    found = [item for item in _MARK.split(sentence) if item]
    if not items or _INSIDE.search(sentence):
        return [sentence]
    short = [_is_short(item) for item in found]
    led = len(found[0].split()) <= _LONGEST_LEAD and len(found) > 2 * few if found else False
    if len(found) > few + 1 and all(short[1:]) and (short[0] or led):
        return _grouped(found, items, ", ")
    return _rows_grouped(sentence, few)


def _is_short(item: str) -> bool:
    words = [word for word in item.split() if word not in _JOINTS]
    named = all(word[0].isupper() for word in words)
    return len(words) <= (_MOST_WORDS_OF_A_NAME if named else _MOST_WORDS)


def _rows_grouped(sentence: str, items: int) -> list[str]:
    """A sentence with a row of single digits in it, cut within the row."""
    row = re.search(rf"\b{_DIGIT}(?: {_DIGIT}){{{2 * items},}}\b", sentence)
    if not row:
        return [sentence]
    first, *others = _grouped(row[0].split(), items, " ")
    *between, last = others
    return [sentence[: row.start()] + first, *between, last + sentence[row.end() :]]


def _grouped(found: list[str], items: int, joint: str) -> list[str]:
    starts = list(range(0, len(found), items))
    if items > 1 and len(found) - starts[-1] == 1:
        starts.pop()
    groups = [joint.join(found[start:end]) for start, end in zip(starts, [*starts[1:], len(found)], strict=True)]
    return [f"{group}." for group in groups[:-1]] + groups[-1:]
