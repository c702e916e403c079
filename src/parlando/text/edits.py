"""How many edits lie between two sequences (Levenshtein, 1966)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def edits(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """The fewest items to put in, take out or replace."""
    row = list(range(len(other) + 1))
    for place, item in enumerate(one, 1):
        diagonal, row[0] = row[0], place
        for index, against in enumerate(other, 1):
            diagonal, row[index] = row[index], min(row[index] + 1, row[index - 1] + 1, diagonal + (item != against))
    return row[-1]
