"""The published scoring of Seed-TTS Eval (Anastassiou et al., 2024): its own normalisation, and the mean of utterances.

No number and no abbreviation is spelled out. A missing output counts for nothing there; `scoring.strict` counts it.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from parlando.evaluate.optional import require

BY_CHARACTER = ("zh", "yue", "ja")
BAD_RATE = 0.5


@dataclass(frozen=True)
class UtteranceRates:
    """One utterance: errors over the words of its text; insertions can make it more than 1."""

    wer: float
    substitutions: float
    deletions: float
    insertions: float


@dataclass(frozen=True)
class SeedTtsScore:
    """The means of all utterances that have an output, and how many of them are more than half wrong."""

    wer: float
    substitutions: float
    deletions: float
    insertions: float
    utterances: int
    mostly_wrong: int


@cache
def _deleted() -> dict[int, None]:
    marks = set(require("zhon.hanzi").punctuation + string.punctuation) - {"'"}
    return {ord(mark): None for mark in marks}


def normalise(text: str, language: str) -> str:
    """Without punctuation but apostrophes; languages without spaces by character, others in lower case.

    Raises:
        MissingDependencyError: zhon, whose list of marks it is, is not installed.
    """
    plain = text.translate(_deleted()).replace("  ", " ")
    return " ".join(plain) if language in BY_CHARACTER else plain.lower()


def utterance_rates(text: str, heard: str, language: str) -> UtteranceRates:
    """The rates of one utterance.

    Raises:
        MissingDependencyError: jiwer or zhon is not installed.
    """
    truth = normalise(text, language)
    measured = require("jiwer").process_words(truth, normalise(heard, language))
    words = len(truth.split(" "))
    parts = (measured.substitutions, measured.deletions, measured.insertions)
    return UtteranceRates(float(measured.wer), *(count / words for count in parts))


def score(rates: Sequence[UtteranceRates]) -> SeedTtsScore:
    """The means of utterances; all 0 where there are none."""
    columns = [[r.wer, r.substitutions, r.deletions, r.insertions] for r in rates]
    means = np.mean(columns, axis=0) if rates else np.zeros(4)
    wer, substitutions, deletions, insertions = map(float, means)
    mostly_wrong = sum(r.wer > BAD_RATE for r in rates)
    return SeedTtsScore(wer, substitutions, deletions, insertions, len(rates), mostly_wrong)
