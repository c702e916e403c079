"""Bare lists ("Monday, Tuesday, …") in groups: a small model loses its place in a row of items that are all alike."""

from __future__ import annotations

import re

ITEMS_AT_ONCE = 3
"""Of a bare list, as many as a small model says without leaving one out."""

_MARK = re.compile(r"\s*[,;\u3001\uff0c]\s*")
_MOST_WORDS = 2
_INSIDE = re.compile(r"[.?!:\u2026]\s")


def in_groups(sentence: str, items: int) -> list[str]:
    """A sentence that is nothing but a list of more than ``items`` short items, so many of them at once; 0: as it is.

    Every group but the last ends with a full stop, and no word is changed. A single item left over joins those before.
    """
    found = [item for item in _MARK.split(sentence) if item]
    bare = all(len(item.split()) <= _MOST_WORDS for item in found) and not _INSIDE.search(sentence)
    if not items or len(found) <= items + 1 or not bare:
        return [sentence]
    starts = list(range(0, len(found), items))
    if len(found) - starts[-1] == 1:
        starts.pop()
    groups = [", ".join(found[start:end]) for start, end in zip(starts, [*starts[1:], len(found)], strict=True)]
    return [f"{group}." for group in groups[:-1]] + groups[-1:]
