"""From written text to what is said: `normalize` keeps tags as they are and leaves only letters and simple marks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from parlando.core.errors import ConfigError, TextError, nearest
from parlando.core.types import Notation
from parlando.text import chinese, east_asian, english, japanese, korean, punctuation
from parlando.text.blocks import read_blocks
from parlando.text.language import spans
from parlando.text.markup import notation_pattern
from parlando.text.scripts import HAN, KANA

TAG = re.compile(
    r"\[SPEAKER\d+\]|<SE(?:_[se])?>\[[^\[\]<>\n]*\]</SE(?:_[se])?>|</?SE(?:_[se])?>|<\|[^|<>\s]{1,64}\|>", re.ASCII
)
"""Markup that passes through unchanged: speakers, sound events, special tokens."""

Rewrite = Callable[[str], str]


@dataclass(frozen=True)
class Language:
    """How a language's text is made plain, what its numbers and signs are in words, and how it is tidied after."""

    verbalise: Rewrite
    to_plain: Rewrite = punctuation.to_plain
    tidy: Rewrite = punctuation.tidy


LANGUAGES: Mapping[str, Language] = MappingProxyType(
    {
        "en": Language(english.verbalise),
        "zh": Language(chinese.verbalise, chinese.to_plain, east_asian.tidy),
        "ja": Language(japanese.verbalise, east_asian.to_plain, east_asian.tidy_japanese),
        "ko": Language(korean.verbalise, korean.to_plain),
    }
)

_MOST_PASSES = 6
_PLAIN_TEXT = Notation()
_WIDE_LANGUAGES = ("zh", "ja")
_WIDE = re.compile(f"[{HAN}{KANA}]")
_MARK_AFTER_TAG = re.compile(rf"\s*[{re.escape(east_asian.MARKS + ',.?!;:')}]+\s*")


def check_language(language: str) -> None:
    """Refuse a language that there are no rules for.

    Raises:
        ConfigError: the language is not in `LANGUAGES`.
    """
    if language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise ConfigError(
            f"no text normalisation for language '{language}'; there is: {known}.{nearest(language, LANGUAGES)}"
        )


def normalize(text: str, language: str = "en", notation: Notation = _PLAIN_TEXT) -> str:
    """Spell out numbers, dates, money, abbreviations and signs; words of other languages in theirs.

    The result has only letters, apostrophes, spaces and marks (`parlando.text.punctuation.MARKS`, in Chinese and
    Japanese those of `parlando.text.east_asian.MARKS`), apart from tags: `TAG`, and what ``notation`` adds to it.
    Normalising a result again changes nothing: passes are repeated until one leaves the text as it was.

    Raises:
        ConfigError: the language is not in `LANGUAGES`.
        MissingDependencyError: the text has Chinese or Japanese numbers, and wetext is not installed.
    """
    check_language(language)
    own, text = notation_pattern(notation), read_blocks(text)
    first, *others = own.split(text) if own else [text]
    said = _settle_between_tags(first, language)
    blank = first[-1:].isspace()
    # What a notation adds stands within sentences: marks and blanks beside it stay as they were.
    for tag, part in zip(others[::2], others[1::2], strict=True):
        gap = " " if blank and said and not _WIDE.match(said[-1]) else ""
        said = f"{said}{gap}{tag}{_after_tag(part, language)}"
        blank = part[-1:].isspace()
    return said.strip()


def _after_tag(text: str, language: str) -> str:
    """What follows a tag, settled, with the mark or the blank that it begins with."""
    mark = _MARK_AFTER_TAG.match(text)
    rest = _settle_between_tags(text[mark.end() :] if mark else text, language)
    if mark:
        rules, beside = LANGUAGES[language], "字" if language in _WIDE_LANGUAGES else "a"
        return rules.tidy(f"{beside}{rules.to_plain(mark[0])}{beside}")[1:-1] + rest
    return " " + rest if text[:1].isspace() and rest and not _WIDE.match(rest) else rest


def _settle_between_tags(text: str, language: str) -> str:
    """Special tokens keep what is beside them, blank or not; other tags stand apart."""
    said, end, tight = "", 0, False
    for tag in TAG.finditer(text):
        part = text[end : tag.start()]
        said = _joined(said, _settle(part, language), tight and not part[:1].isspace())
        tight, end = tag[0].startswith("<|"), tag.end()
        said = _joined(said, tag[0], tight and not part[-1:].isspace())
    return _joined(said, _settle(text[end:], language), tight and not text[end : end + 1].isspace())


def _joined(before: str, after: str, tight: bool) -> str:
    return before + ("" if tight or not before or not after else " ") + after


def _settle(text: str, language: str) -> str:
    text, rules = text.strip(), LANGUAGES[language]
    for _ in range(_MOST_PASSES):
        parts = spans(rules.to_plain(text), language)
        said = rules.tidy("".join(LANGUAGES[part.language].verbalise(part.text) for part in parts))
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
