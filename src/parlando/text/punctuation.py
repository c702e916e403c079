"""Typography to plain text on the way in (quotes, dashes, markup, invisible characters), tidy marks after."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from parlando.text.inline import without_markup

MARKS = ",.?!;:-"
"""Punctuation that a model is given."""

_TRANSLATION = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4`\u02bc\uff07", "'"),
        **dict.fromkeys('\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u2039\u203a\u300c\u300d\u300e\u300f\uff02', '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2212\ufe63\uff0d\u00ad", "-"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u061c", None),
        **dict.fromkeys("\u2122\u00ae\u00a9\u2120", None),
        "\u2013": "\u2013", "\u2014": ", ", "\u2015": ", ", "\u2e3a": ", ",
        "\u3002": ". ", "\u3001": ", ", "\uff0c": ", ", "\uff01": "! ", "\uff1f": "? ", "\uff1b": "; ", "\uff1a": ": ",
        "\u3010": "(", "\u3011": ")", "\u300a": '"', "\u300b": '"', "\u00a1": None, "\u00bf": None,
        "\u2022": ", ", "\u00b7": " ", "\u00b2": "^2", "\u00b3": "^3", "\u2116": " No. ", "\u2044": "/",
        "\u00ba": "\u00b0", "\u2192": ", ", "\u33a0": "cm^2", "\u33a1": "m^2", "\u33a2": "km^2", "\u33a5": "m^3",
    }
)  # fmt: skip
_SIGN, _NAMED = "[\u2460-\u249b\u2776-\u277f\u3220-\u3229]", "[\u56fe\u5716\u56f3\u8868\u5f0f\u4f8b\u9898]"
# Enclosed numbers are those of a list, but for those that name a figure or a table.
_ENCLOSED = re.compile(rf"(?<={_SIGN})(?<!{_NAMED}{_SIGN})[ .\uff0e]*(?=\w)|(?<=[^\W\d_])(?<!{_NAMED})(?={_SIGN})")
_RAISED = re.compile("(?:(?<=[\\d)])|(?<=\\b[A-Za-z]))[\u207b]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+")
_BEFORE_POWER = re.compile(r"(?<=\d) ?[\u00b7\u22c5] ?(?=\d+\^)")
_THOUSANDS = re.compile(
    r"(?<![\w.,-])(?:\d{1,3}(?:[\u00a0\u2009\u202f]\d{3})+|\d{1,2}(?: \d{3}){2,}|\d{1,3} 000"
    r"|\d{3}(?: \d{3})+ 000)(?![\w-]|[.,]\d| \d)"
)
# What overlays or surrounds letters (strikethrough, underlines, "zalgo"): accents of letters are composed with them.
_MARK = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f"
_LOOSE_MARKS, _OVERLAID = re.compile(f"[{_MARK}]"), re.compile(rf"[^\s{_MARK}]*[{_MARK}]\S*")
_VULGAR = re.compile("(?<=\\d)(?=[\u00bc-\u00be\u2150-\u215e])")

_PARAGRAPH = re.compile(r"([^\s])[ \t]*\n\s*\n\s*")
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6}|#x[0-9a-fA-F]{1,5});")

_KEEP_APOSTROPHE = re.compile(r"(?:'tis|'twas|'em|'un|'cause|'til|'bout|'n|'round|'cuz)\b", re.IGNORECASE)
_LAST_CLOSER = re.compile(r"[)\]}]\s*$")
_VOWELS = ("Mc", "Mn")  # signs of scripts that write vowels on their consonants
# Of what is not ASCII, each character says itself whether it is kept.
_NOT_KEPT = re.compile(rf"[^\w'\u0080-\U0010ffff {re.escape(MARKS)}]|[\d_]")
_TIDY: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<=\w)\s+-\s+(?=\w)|\s-+\s|-{2,}", ", "),
        (r"(?<!\w)-+|-+(?!\w)", " "),
        (r"\s+", " "),
        (r" +([,.?!;:])", r"\1"),
        (r"([,;:])(?:\s*[,;:])+", r"\1"),
        (r"[,;:]\s*([.?!])", r"\1"),
        (r"([.?!])\s*[,;:]+", r"\1"),
        (r"\.{4,}", "..."),
        (r"(?<!\.)\.\.(?!\.)", "."),
        (r"([!?])[.!?]+", r"\1"),
        (r"(?<!\.)\.[!?]", "."),
        (r"([?!])\.+", r"\1"),
        (r"([,;:?!])(?=[^\W\d_])", r"\1 "),
        (r"^[\s,.?!;:-]+", ""),
    )
)


def to_plain(text: str, kept: Mapping[int, str] = MappingProxyType({})) -> str:
    """Straight quotes, ASCII dashes and digits, no markdown, no invisible characters; paragraphs end with a mark.

    ``kept`` maps code points to what stands for them instead of the ASCII form that they would get.
    """
    table = {**_TRANSLATION, **kept}
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match.group()), text)
    text = without_markup(text.replace("\r\n", "\n").replace("\u00ad", ""))
    text = _PARAGRAPH.sub(lambda m: m[1] + (" " if m[1] in ".?!,;:" else ". "), text)
    text = _RAISED.sub(lambda match: "^" + unicodedata.normalize("NFKC", match[0]).replace("\u2212", "-"), text)
    text = _THOUSANDS.sub(lambda match: re.sub(r"\s", ",", match[0]), _BEFORE_POWER.sub("\u00d7", text))
    text = _VULGAR.sub(" ", _ENCLOSED.sub(", ", text).translate(table))
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text).translate(table).replace("\u2044", "/")
    text = _OVERLAID.sub(lambda match: _without_marks(match[0]), text)
    return "".join(_plain_digit(c) if not c.isascii() and c.isdecimal() else c for c in text)


def _without_marks(word: str) -> str:
    return unicodedata.normalize("NFC", _LOOSE_MARKS.sub("", unicodedata.normalize("NFD", word)))


def _plain_digit(character: str) -> str:
    return str(unicodedata.decimal(character))


def _keep(character: str, before: str) -> bool:
    if unicodedata.category(character) in _VOWELS:
        return before.isalpha() or unicodedata.category(before) in _VOWELS
    return character.isalpha() or character in MARKS or character in "' "


def _kept(text: str) -> str:
    kept = [" "]
    for character in text:
        kept.append(character if _keep(character, kept[-1]) else " ")
    return "".join(kept[1:])


def _tidy_apostrophes(text: str) -> str:
    text = re.sub(r"(?<!\w)'(?=\w)([^']*(?:\w'\w[^']*)*)'(?!\w)", r"\1", text)
    text = re.sub(r"(?<!\w)'+", lambda m: "'" if _KEEP_APOSTROPHE.match(text, m.end() - 1) else " ", text)
    return re.sub(r"(?<![snSN])'+(?!\w)|''+", "", text)


def tidy(text: str) -> str:
    """Only letters, apostrophes, spaces and `MARKS`; no stray, doubled or dangling mark."""
    text = re.sub(r"[()\[\]{}\u2013]", ", ", _LAST_CLOSER.sub("", text))
    text = _NOT_KEPT.sub(" ", text)
    if not text.isascii():
        text = _kept(text)
    if "'" in text:
        text = _tidy_apostrophes(text)
    for pattern, replacement in _TIDY:
        text = pattern.sub(replacement, text)
    return re.sub(r"(?<=[a-z]{2}\. )[a-z]", lambda match: match.group().upper(), text.strip())
