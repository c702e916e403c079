"""What Chinese and Japanese text have in common: plain typography on the way in, full-width marks after."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module

from parlando.core.errors import MissingDependencyError
from parlando.core.install import with_extra
from parlando.text import punctuation
from parlando.text.rules import apply, rule
from parlando.text.scripts import HAN, KANA

MARKS = "，。？！；：、…"
"""Punctuation beside Chinese and Japanese characters; between Latin words it is `parlando.text.punctuation.MARKS`."""

_PIECES = 1 << 12
_WIDE = HAN + KANA
_KEPT = {
    ord("、"): "、", ord("\u301c"): "~", ord("\uff5e"): "~", ord("\u2014"): ", ", ord("\u2013"): "-",
    ord("㈱"): "株式会社", ord("㈲"): "有限会社",
    **{ord("Ⅰ") + index: str(index + 1) for index in range(12)},
}  # fmt: skip
_PLAIN = (
    rule(r"(?<=\d)\uff1a(?=\d)", ":", "\uff1a"),
    rule(r"(?<=\d)\u2014(?=\d)", "-", "\u2014"),
)
_SPACES = (
    rule(r"(?<=\bNo\.)\s+(?=\d)", "", "N"),
    rule(rf"(?<=[{_WIDE}\d])[ \t]+(?=[{_WIDE}])|(?<=[{_WIDE}])[ \t]+(?=\d)", "", " \t"),
    rule(rf"(?<=[{_WIDE}])\n(?=[{_WIDE}])", "", "\n"),
)
_ASCII_MARKS = ",.?!;:"
_FULL = dict(zip(_ASCII_MARKS, "，。？！；：", strict=True))
_HALF = {full: half for half, full in _FULL.items()} | {"、": ",", "…": "..."}
_TERMINAL = "？！。；："
_ANY_MARK = re.escape(MARKS + _ASCII_MARKS)
_NOT_KEPT = re.compile(rf"[^\w' \-{_ANY_MARK}]|[\d_]")
_TIDY = (
    rule(r"[()\[\]{}|\u2013]|-{2,}|\s-+\s", "，"),
    rule(r"(?<![A-Za-z])-+|-+(?![A-Za-z])", " ", "-"),
    rule(r"(?<![A-Za-z])'+|'+(?![A-Za-z])", "", "'"),
    rule(r"\.{3,}", "…", "."),
)
_MARKS_IN_A_ROW = re.compile(rf"\s*[{_ANY_MARK}][{_ANY_MARK}\s]*")
_BESIDE_WIDE = re.compile(rf"\s+(?=[{_WIDE}])|(?<=[{_WIDE}])\s+")
_IS_WIDE = re.compile(f"[{_WIDE}]")


def to_plain(text: str) -> str:
    """As `parlando.text.punctuation.to_plain`, with enumeration commas, and no blanks between characters."""
    return apply(_SPACES, punctuation.to_plain(apply(_PLAIN, text), _KEPT))


def tidy(text: str) -> str:
    """Only letters, apostrophes within words, spaces between Latin words, and marks: full-width ones beside characters.

    Of several marks in a row the strongest is kept.
    """
    text = apply(_TIDY, _NOT_KEPT.sub(" ", apply(_TIDY[:1], text)))
    text = "".join(c if c.isalpha() or c in MARKS + _ASCII_MARKS + "'- " else " " for c in text)
    has_wide = bool(_IS_WIDE.search(text))
    text = _MARKS_IN_A_ROW.sub(lambda match: _mark(match, has_wide), text.strip())
    return re.sub(r"\s+", " ", _BESIDE_WIDE.sub("", text)).strip()


def tidy_japanese(text: str) -> str:
    """As `tidy`; the comma is the one of Japanese."""
    return tidy(text).replace("，", "、")


def _mark(match: re.Match[str], has_wide: bool) -> str:
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    if not before:
        return ""
    said = "".join(_FULL.get(character, character) for character in match[0] if not character.isspace())
    strongest = min(said, key=lambda mark: _STRENGTH.index(mark))
    if any(_IS_WIDE.match(beside) for beside in (before, after)) or (not after and has_wide):
        return strongest
    return _HALF[strongest] + " "


_STRENGTH = "？！…。；：，、"


def reading(language: str, text: str) -> str:
    """What wetext makes of the pieces of a text that have digits; what it does not know stays.

    Raises:
        MissingDependencyError: wetext is not installed.
    """
    return _PIECE.sub(lambda match: _read(language, match[0]), text)


_PIECE = re.compile(r"[^\s、;?!]*\d[^\s、;?!]*(?<![.,:])")


def forget() -> None:
    """Look for wetext anew."""
    _read.cache_clear()
    _normalizer.cache_clear()


@lru_cache(_PIECES)
def _read(language: str, piece: str) -> str:
    return str(_normalizer(language)(piece))


@lru_cache
def _normalizer(language: str) -> Callable[[str], str]:
    try:
        wetext = import_module("wetext")
    except ModuleNotFoundError as error:
        raise MissingDependencyError("wetext", with_extra("languages")) from error
    read: Callable[[str], str] = wetext.Normalizer(lang=language).normalize
    return read
