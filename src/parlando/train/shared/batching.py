"""Batches of examples of similar size: what is drawn is put in order, and a stretch of it taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

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


class Deck(Generic[T]):
    """Examples that were all made beforehand: those to learn from, and a share that is held out, always the same.

    Where there are too few to keep any back, one that is learned from is held out.
    """

    def __init__(self, examples: Sequence[T], held_out_share: float) -> None:
        count = round(held_out_share * len(examples))
        order = np.random.default_rng(7).permutation(len(examples))
        self.train = [examples[i] for i in order[count:]]
        self.held_out = [examples[i] for i in order[:count]] or self.train[:1]

    def batch(self, number: int, cost: Callable[[T], int], budget: int, candidates: int) -> list[T]:
        """Examples of similar cost, together about ``budget``, out of so many that are drawn."""
        generator = np.random.default_rng((31, number))
        drawn = generator.choice(len(self.train), min(candidates, len(self.train)), replace=False)
        return similar([self.train[i] for i in drawn], cost, budget, generator)
