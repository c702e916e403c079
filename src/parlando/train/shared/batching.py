"""Batches of examples of similar size: what is drawn is put in order, and a stretch of it taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def similar(drawn: Iterable[T], cost: Callable[[T], int], budget: int, generator: np.random.Generator) -> list[T]:
    """Some of what was drawn, of similar cost, together about ``budget``: from a random place on, then downwards."""
    ordered = sorted(drawn, key=cost)
    first = int(generator.integers(len(ordered)))
    chosen, spent = [], 0
    for each in ordered[first:] + ordered[:first][::-1]:
        chosen.append(each)
        spent += cost(each)
        if spent >= budget:
            break
    return chosen
