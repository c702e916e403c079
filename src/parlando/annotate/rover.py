"""ROVER (Fiscus, 1997): several transcripts become one by alignment into a network of slots and a vote in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from parlando.text.edits import edits

SUBSTITUTION, INSERTION, DELETION = 4.0, 3.0, 3.0
"""Costs as in the published tool; a slot that others left empty may be left empty for nothing."""
OUTLIER_DISTANCE = 0.5
SILENT = ""
"""What a recogniser says in a slot where it heard nothing."""


@dataclass(frozen=True)
class Voter:
    """A recogniser's words (spoken form, lower-case), how sure it is of each (0 to 1), and how much it counts."""

    words: Sequence[str]
    confidences: Sequence[float]
    weight: float = 1.0


@dataclass(frozen=True)
class VoteSettings:
    """``frequency`` is the part of a vote that is its weight, the rest is its confidence.

    ``silent_confidence`` is that of hearing nothing where others heard a word.
    """

    frequency: float = 0.6
    silent_confidence: float = 0.6


@dataclass(frozen=True)
class Joined:
    """Words with the share of the votes that each got, and the mean of these over all slots, those left empty too."""

    words: tuple[str, ...]
    shares: tuple[float, ...]
    agreement: float


Slot = list[tuple[str, float]]
"""What each voter so far says, and how surely."""


def join(voters: Sequence[Voter], how: VoteSettings | None = None) -> Joined:
    """The words that most votes are for, slot by slot; a tie is the earlier voter's.

    Raises:
        ValueError: there is no voter.
    """
    if not voters:
        raise ValueError("nobody votes")
    settings = how or VoteSettings()
    network = build_network(voters, settings.silent_confidence)
    winners = [_winner(slot, voters, settings) for slot in network]
    kept = [(word, part) for word, part in winners if word != SILENT]
    agreement = float(np.mean([part for _, part in winners])) if winners else 1.0
    return Joined(tuple(word for word, _ in kept), tuple(part for _, part in kept), agreement)


def build_network(voters: Sequence[Voter], silent_confidence: float) -> list[Slot]:
    """One slot after the other, each with an entry of every voter."""
    nothing = (SILENT, silent_confidence)
    network: list[Slot] = [[entry] for entry in zip(voters[0].words, voters[0].confidences, strict=True)]
    for number, voter in enumerate(voters[1:], 1):
        said = list(zip(voter.words, voter.confidences, strict=True))
        grown: list[Slot] = []
        for place, word in _aligned(network, voter.words):
            slot = [nothing] * number if place is None else network[place]
            grown.append([*slot, nothing if word is None else said[word]])
        network = grown
    return network


def _aligned(network: Sequence[Slot], words: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Pairs of a slot and a word, by the cheapest alignment; ``None`` on one side is an insertion or a deletion."""
    spoken = [{word for word, _ in slot} for slot in network]
    leave = [0.0 if SILENT in slot else DELETION for slot in spoken]
    costs = np.zeros((len(network) + 1, len(words) + 1))
    costs[1:, 0], costs[0, 1:] = np.cumsum(leave), INSERTION * np.arange(1, len(words) + 1)
    for i, slot in enumerate(spoken, 1):
        for j, word in enumerate(words, 1):
            costs[i, j] = min(
                costs[i - 1, j - 1] + (0.0 if word in slot else SUBSTITUTION),
                costs[i - 1, j] + leave[i - 1],
                costs[i, j - 1] + INSERTION,
            )
    pairs: list[tuple[int | None, int | None]] = []
    i, j = len(network), len(words)
    while i or j:
        if i and j and costs[i, j] == costs[i - 1, j - 1] + (0.0 if words[j - 1] in spoken[i - 1] else SUBSTITUTION):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and costs[i, j] == costs[i - 1, j] + leave[i - 1]:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


def _winner(slot: Slot, voters: Sequence[Voter], how: VoteSettings) -> tuple[str, float]:
    """The word with the most votes, and its share of the weights."""
    votes: dict[str, float] = {}
    weights: dict[str, float] = {}
    for (word, confidence), voter in zip(slot, voters, strict=True):
        votes[word] = votes.get(word, 0.0) + voter.weight * (how.frequency + (1 - how.frequency) * confidence)
        weights[word] = weights.get(word, 0.0) + voter.weight
    best = max(votes, key=lambda word: votes[word])
    return best, weights[best] / max(sum(weights.values()), 1e-9)


def without_outliers(voters: Sequence[Voter]) -> list[Voter]:
    """The voters, those left out (of three or more) that are far from all others, who are near to each other."""
    if len(voters) < 3:
        return list(voters)
    distances = np.array([[_distance(one.words, other.words) for other in voters] for one in voters])
    kept = []
    for place, voter in enumerate(voters):
        others = [number for number in range(len(voters)) if number != place]
        among = distances[np.ix_(others, others)].sum() / max(1, len(others) * (len(others) - 1))
        if distances[place, others].mean() <= among + OUTLIER_DISTANCE:
            kept.append(voter)
    return kept or list(voters)


def _distance(one: Sequence[str], other: Sequence[str]) -> float:
    """Words to change, add or take away, over the words of the longer one."""
    return edits(one, other) / max(1, len(one), len(other))
