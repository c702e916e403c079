"""Word and character error rates over a corpus, with a bootstrap interval over sentences (Bisani and Ney, 2004)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from parlando.evaluate.optional import require

RESAMPLES = 1000


@dataclass(frozen=True)
class ErrorRates:
    """Rates over all ``words`` (1.0: as many errors as words); 95 % of resampled rates lie in ``low`` … ``high``."""

    words: int
    wer: float
    cer: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.wer:.1%} (95 %: {self.low:.1%}–{self.high:.1%}, {self.words} words)"


def normalise(text: str) -> str:
    """Lower-case words of letters, digits and inner apostrophes, one space apart; everything else separates."""
    straight = text.lower().replace("’", "'")
    return " ".join(word for word in (w.strip("'") for w in re.split(r"[^\w']+|_", straight)) if word)


def _errors(reference: str, heard: str) -> tuple[int, int, int, int]:
    """Word errors, words, character errors and characters of one sentence pair."""
    jiwer = require("jiwer")
    if not reference:
        return len(heard.split()), 0, len(heard), 0
    words, characters = jiwer.process_words(reference, heard), jiwer.process_characters(reference, heard)
    return (
        words.substitutions + words.deletions + words.insertions,
        len(reference.split()),
        characters.substitutions + characters.deletions + characters.insertions,
        len(reference),
    )


def sentence_rate(reference: str, heard: str) -> float:
    """Word errors over words of one sentence."""
    errors, words, _, _ = _errors(normalise(reference), normalise(heard))
    return errors / max(words, 1)


def error_rates(
    references: Sequence[str], heard: Sequence[str], seed: int = 0, normaliser: Callable[[str], str] = normalise
) -> ErrorRates:
    """Corpus rates: all errors over all words, so long sentences weigh more; ``normaliser`` is for both sides.

    Raises:
        MissingDependencyError: jiwer is not installed.
    """
    pairs = zip(references, heard, strict=True)
    counts = np.array([_errors(normaliser(r), normaliser(h)) for r, h in pairs], dtype=np.float64).reshape(-1, 4)
    picks = np.random.default_rng(seed).integers(0, max(len(counts), 1), (RESAMPLES, len(counts)))
    drawn = counts[picks].sum(axis=1) if len(counts) else np.zeros((RESAMPLES, 4))
    low, high = np.percentile(drawn[:, 0] / np.maximum(drawn[:, 1], 1), [2.5, 97.5])
    errors, words, character_errors, characters = counts.sum(axis=0)
    return ErrorRates(
        words=int(words),
        wer=float(errors / max(words, 1)),
        cer=float(character_errors / max(characters, 1)),
        low=float(low),
        high=float(high),
    )
