"""How many edits lie between two sequences (Levenshtein, 1966), a row of the table at a time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np


def edits(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """The fewest items to put in, take out or replace."""
    numbers: dict[Hashable, int] = {}
    codes = np.array([numbers.setdefault(item, len(numbers)) for item in other], np.int64)
    row = places = np.arange(len(other) + 1)
    for item in one:
        new = np.minimum(row[1:] + 1, row[:-1] + (codes != numbers.get(item, -1)))
        # What is left is putting in items one by one: the least of what stands to the left, plus the steps from there.
        row = np.minimum.accumulate(np.concatenate([[row[0] + 1], new]) - places) + places
    return int(row[-1])
