"""Texts for a load: each said once, so that no cache makes a server look faster than it is."""

from __future__ import annotations

import random
from collections.abc import Iterator

WHO = ("the baker", "our neighbour", "a sailor", "the old teacher", "my sister", "the engineer", "a farmer")
DID = ("painted", "found", "carried", "repaired", "remembered", "sold", "borrowed", "counted")
WHAT = ("a red kite", "seven wooden boxes", "the broken clock", "a bag of apples", "two letters", "the garden gate")
WHERE = ("by the river", "behind the station", "in the morning", "after the storm", "near the mill", "at the market")
LINK = ("and then", "while", "because", "until")


def prompts(seed: int = 0, clauses: tuple[int, ...] = (1, 2, 3)) -> Iterator[str]:
    """Sentences without end, of as many clauses as drawn from ``clauses``; no two are the same."""
    chance, said = random.Random(seed), set()
    while True:
        parts = [_clause(chance) for _ in range(chance.choice(clauses))]
        text = parts[0] + "".join(f" {chance.choice(LINK)} {part}" for part in parts[1:])
        while text in said:
            text += f" {chance.choice(LINK)} {_clause(chance)}"
        said.add(text)
        yield text[0].upper() + text[1:] + "."


def _clause(chance: random.Random) -> str:
    return " ".join(map(chance.choice, (WHO, DID, WHAT, WHERE)))
