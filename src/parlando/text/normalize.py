"""From written text to what is said: `normalize` keeps tags as they are and leaves only letters and simple marks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from parlando.core.errors import ConfigError, TextError, nearest
from parlando.text import english
from parlando.text.punctuation import tidy, to_plain

TAG = re.compile(
    r"\[SPEAKER\d+\]|<SE(?:_[se])?>\[[^\[\]<>\n]*\]</SE(?:_[se])?>|</?SE(?:_[se])?>|<\|[^|<>\s]{1,64}\|>", re.ASCII
)
"""Markup that passes through unchanged: speakers, sound events, special tokens."""

LANGUAGES: Mapping[str, Callable[[str], str]] = MappingProxyType({"en": english.verbalise})

_MOST_PASSES = 6


def normalize(text: str, language: str = "en") -> str:
    """Spell out numbers, dates, money, abbreviations and signs.

    The result has only letters, apostrophes, spaces and `parlando.text.punctuation.MARKS`, apart from tags. Normalising
    a result again changes nothing: passes are repeated until one leaves the text as it was.

    Raises:
        ConfigError: the language is not in `LANGUAGES`.
    """
    if language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise ConfigError(
            f"no text normalisation for language '{language}'; there is: {known}.{nearest(language, LANGUAGES)}"
        )
    pieces, end = [], 0
    for tag in TAG.finditer(text):
        pieces += [_settle(text[end : tag.start()], language), tag.group()]
        end = tag.end()
    pieces.append(_settle(text[end:], language))
    return " ".join(piece for piece in pieces if piece)


def _settle(text: str, language: str) -> str:
    text = text.strip()
    for _ in range(_MOST_PASSES):
        said = tidy(LANGUAGES[language](to_plain(text)))
        if said == text:
            break
        text = said
    return text


def check_speakable(text: str) -> None:
    """Refuse text that has nothing to say, tags aside.

    Raises:
        TextError: the text is empty or has no letter and no digit.
    """
    if not text.strip():
        raise TextError("the text is empty; give at least one word to say")
    if not any(character.isalnum() for character in TAG.sub("", text)):
        shown = text.strip() if len(text.strip()) <= 40 else text.strip()[:40] + "..."
        raise TextError(f"nothing to pronounce in '{shown}': no letter and no digit; give at least one word to say")
