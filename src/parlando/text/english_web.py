"""English readings of web addresses, e-mail addresses, hashtags and account names."""

from __future__ import annotations

import re

from parlando.text import numbers
from parlando.text.rules import rule

_SPELLED_PARTS = frozenset(
    ("www", "io", "uk", "ai", "de", "fr", "us", "eu", "tv", "fm", "cn", "jp", "ca", "html", "php")
)
_MARKS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "?": "question mark", "=": "equals", "&": "and",
    "#": "hash", "@": "at", "+": "plus", ":": "colon", "~": "tilde", "%": "percent",
}  # fmt: skip
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z']+|\d+|[^\W\d_]+|[^\w\s]|_")
_DOMAIN = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+"
    r"(?:com|org|net|edu|gov|io|ai|uk|de|fr|eu|tv|fm|dev|app|info|co|me|us|ca|cn|jp|au|ch|nl|xyz|tech|cloud|blog|shop)"
)
_PATH = r"(?:/[\w\-./~%#?=&+:]*[\w/])?/?"


def _piece(text: str) -> str:
    if text.lower() in _SPELLED_PARTS:
        return " ".join(text.upper())
    if text.isdigit():
        plausible_year = len(text) == 4 and text[:2] in ("19", "20")
        return (
            numbers.year(int(text))
            if plausible_year
            else numbers.number(text)
            if len(text) < 4
            else numbers.digits(text)
        )
    return _MARKS.get(text, text)


def read_address(text: str) -> str:
    """``example.com/a`` is ``example dot com slash a``."""
    return " ".join(_piece(piece) for piece in _PIECE.findall(text.rstrip("/")))


def _web(match: re.Match[str]) -> str:
    return read_address(match["address"])


def _hashtag(match: re.Match[str]) -> str:
    return "hashtag " + read_address(match[1].replace("_", " "))


RULES = (
    rule(r"\bmailto:", "", ":"),
    rule(r"(?<![\w.])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b", lambda m: read_address(m[0]), "@"),
    rule(rf"\b(?:https?|ftp)://(?P<address>[\w-]+(?:\.[\w-]+)*(?::\d+)?{_PATH})", _web, ":"),
    rule(rf"(?<![\w@.])(?P<address>www\.[\w-]+(?:\.[\w-]+)*{_PATH})", _web, "."),
    rule(rf"(?<![\w@.])(?P<address>{_DOMAIN}\b(?![\w@]){_PATH})", _web, "."),
    rule(r"(?<![\w&])#([A-Za-z]\w*)", _hashtag, "#"),
    rule(r"(?<![\w.])@([A-Za-z]\w*)", lambda m: "at " + read_address(m[1]), "@"),
)
"""Rules in order: addresses before anything that takes their dots and slashes apart."""
