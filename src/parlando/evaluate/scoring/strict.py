"""Our strict scoring: Whisper's normaliser on both sides, all errors over all words; a missing output is an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import cast

from parlando.evaluate.optional import require
from parlando.evaluate.scoring.seed_tts import BY_CHARACTER
from parlando.evaluate.wer import ErrorRates, error_rates


@cache
def _normaliser(language: str) -> Callable[[str], str]:
    if language == "en":
        return cast("Callable[[str], str]", require("whisper_normalizer.english").EnglishTextNormalizer())
    return cast("Callable[[str], str]", require("whisper_normalizer.basic").BasicTextNormalizer())


def normalise(text: str, language: str) -> str:
    """As Whisper's evaluation normalises; Chinese in simplified signs, languages without spaces by character.

    Raises:
        MissingDependencyError: whisper-normalizer (or, for Chinese, zhconv) is not installed.
    """
    plain = _normaliser(language)(text)
    if language in ("zh", "yue"):
        plain = require("zhconv").convert(plain, "zh-cn")
    return " ".join(plain.replace(" ", "")) if language in BY_CHARACTER else " ".join(plain.split())


def rates(texts: Sequence[str], heard: Sequence[str | None], languages: Sequence[str]) -> ErrorRates:
    """Word error rate (character error rate, for languages without spaces) of a list; None is a missing output.

    Raises:
        MissingDependencyError: as for `normalise`.
    """
    truths = [normalise(text, language) for text, language in zip(texts, languages, strict=True)]
    answers = [normalise(each or "", language) for each, language in zip(heard, languages, strict=True)]
    return error_rates(truths, answers, normaliser=str)
