"""Transcripts out of CTC: prefix beam search (Graves, 2012; Hannun et al., 2014), the best few with their scores."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

SURELY_BLANK, LEAST_PROBABILITY = math.log(0.999), math.log(1e-3)
NEVER = -math.inf


@dataclass(frozen=True)
class Hypothesis:
    """Symbols that may have been heard, and the log probability of all alignments that were followed."""

    symbols: tuple[int, ...]
    score: float


def prefix_beam_search(log_probs: np.ndarray, blank: int, width: int) -> list[Hypothesis]:
    """The likeliest ``width`` sequences of symbols ([slot, symbol] log probabilities), the best first.

    Slots that are surely blank are passed over; of the others, the ``width`` likeliest symbols are tried.
    """
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, NEVER)}
    for slot in np.asarray(log_probs, np.float64):
        if slot[blank] > SURELY_BLANK:
            beams = {prefix: (_sum(*ends), NEVER) for prefix, ends in beams.items()}
            continue
        beams = _kept(_extended(beams, slot, _likely(slot, blank, width), blank), width)
    return [Hypothesis(prefix, _sum(*ends)) for prefix, ends in beams.items()]


def _likely(slot: np.ndarray, blank: int, width: int) -> list[int]:
    best = np.argsort(-slot, kind="stable")[: width + 1].tolist()
    return [symbol for symbol in best if symbol != blank and slot[symbol] > LEAST_PROBABILITY]


def _extended(
    beams: dict[tuple[int, ...], tuple[float, float]], slot: np.ndarray, candidates: list[int], blank: int
) -> dict[tuple[int, ...], list[float]]:
    """Every prefix with what may come in a slot: log probabilities of ending in a blank, and in its last symbol."""
    found: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [NEVER, NEVER])
    for prefix, (blanked, ended) in beams.items():
        both = _sum(blanked, ended)
        same = found[prefix]
        same[0] = _sum(same[0], both + slot[blank])
        if prefix:
            same[1] = _sum(same[1], ended + slot[prefix[-1]])
        for symbol in candidates:
            before = blanked if prefix and prefix[-1] == symbol else both
            longer = found[(*prefix, symbol)]
            longer[1] = _sum(longer[1], before + slot[symbol])
    return found


def _kept(found: dict[tuple[int, ...], list[float]], width: int) -> dict[tuple[int, ...], tuple[float, float]]:
    ranked = sorted(found.items(), key=lambda item: (-_sum(*item[1]), item[0]))
    return {prefix: (ends[0], ends[1]) for prefix, ends in ranked[:width]}


def _sum(one: float, other: float) -> float:
    """The log of the sum of two probabilities by their logs."""
    larger, smaller = (one, other) if one > other else (other, one)
    return larger if smaller == NEVER else larger + math.log1p(math.exp(smaller - larger))
