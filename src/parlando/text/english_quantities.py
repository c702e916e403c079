"""English money, ranges, fractions and signs: everything with digits that is not a date."""

from __future__ import annotations

import re

from parlando.text import english_plurals, numbers
from parlando.text.english_money import MAGNITUDES
from parlando.text.english_units import NUMBER, mixed
from parlando.text.rules import rule

_SIGNS = {
    "+": "plus", "=": "equals", "\u00d7": "times", "\u00f7": "divided by", "\u00b1": "plus or minus",
    "\u2248": "is approximately", "\u2260": "is not equal to", "\u2264": "is at most", "\u2265": "is at least",
    "\u221a": "square root of", "\u03c0": "pi", "\u221e": "infinity", "&": "and", "%": "percent", "\u00b0": "degrees",
    "\u00a7": "section", "\u00a2": "cents", "$": "dollars", "\u20ac": "euros", "\u00a3": "pounds", "@": "at",
    "\u03b1": "alpha", "\u03b2": "beta", "\u03b3": "gamma", "\u03b4": "delta", "\u0394": "delta",
    "\u03bb": "lambda", "\u03bc": "mu", "\u03c3": "sigma", "\u03a3": "sigma", "\u03a9": "omega", "\u03c9": "omega",
    "\u03b8": "theta", "\u03b5": "epsilon",
}  # fmt: skip


def _scientific(match: re.Match[str]) -> str:
    return f"{numbers.number(match[1])} times ten to the power of {numbers.number(match[2].lstrip('+'))}"


def _phone(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match[0])
    return ("plus " if match[0].startswith("+") else "") + ", ".join(numbers.digits(group) for group in groups)


def _range(match: re.Match[str]) -> str:
    return f"{numbers.number(match[1])} to {numbers.number(match[2])}"


def _version(match: re.Match[str]) -> str:
    return " point ".join(numbers.number(part) for part in match[0].split("."))


def _cardinal(match: re.Match[str]) -> str:
    return numbers.number(match[0])


def _millions(match: re.Match[str]) -> str:
    return f"{numbers.number(match[1])} million"


def _letter_k(match: re.Match[str]) -> str:
    """``4K`` of pixels and ``10K`` of a race keep their letter."""
    return f"{numbers.number(match[1])} K"


# Of what there are millions, where ``m`` is no metre.
_COUNTED_IN_MILLIONS = (
    r"(?:(?:more|new|young|old|active|daily|monthly|registered|paying|poor|other|unique)\s)?(?:people|inhabitants"
    "|visitors|residents|citizens|members|men|women|children|kids|adults|soldiers|spectators|voters|fans|users"
    "|customers|employees|workers|students|viewers|listeners|readers|followers|subscribers|participants|players"
    "|patients|refugees|migrants|tourists|passengers|households|families|downloads|views|copies|jobs|shares|doses"
    r"|barrels|tonnes|units|dollars|euros|pounds|rupees|francs|yen|yuan|[A-Z][a-z]+ans)\b(?!')"
)
_IN_PIXELS = "(?:videos?|screens?|TVs?|displays?|monitors?|cameras?|movies|films|projectors?|pixels)\\b"

PHONES = (
    rule(r"\b1-8\d\d-(?=[A-Z])", lambda m: f"{numbers.digits('1')}, {numbers.digits(m[0][2:5])}, ", "1"),
    rule(r"(?<!\w)\d{4}(?:[ -]\d{4}){3}(?![\w-])", _phone, " -"),
    rule(r"(?<=\bISBN )[\d-]{10,17}\b|(?<=\bISBN: )[\d-]{10,17}\b", _phone, "I"),
    rule(r"(?<=, [A-Z]{2} )\d{5}(?![\w,])", lambda m: numbers.digits(m[0]), ","),
    rule(r"(?<![\w.])(?:\+?\d{1,3}[ .-]?)?\(\d{3}\)\s?\d{3}[ .-]\d{4}\b", _phone, "("),
    rule(r"(?<![\w.-])(?:\+?\d{1,3}[ .-])?\d{3}([-. ])\d{3}\1\d{4}\b", _phone, "-. "),
    rule(r"(?<![\w.])\+\d{1,3}(?:[ .-]\d{1,5}){2,5}\b", _phone, "+"),
    rule(r"(?<![\w.-])\d{3}-\d{4}\b(?!-)", _phone, "-"),
    rule(r"(?<![\w.-])0\d{2,4}[ -]\d{3,4}[ -]\d{3,4}\b", _phone, "0"),
    rule(r"(?<![\w.-])\d{3}-\d{2}-\d{4}\b", _phone, "-"),
    rule(r"(?i:\b(?:dial|call|phone)(?:ed|ing)?\s+)\d{3}\b", lambda m: m[0][:-3] + numbers.digits(m[0][-3:])),
)
"""Numbers that must be read before dates are looked for."""

PARTS = (
    rule(r"\b(\d0)/\1\b", lambda m: f"{numbers.number(m[1])} {numbers.number(m[1])}", "/"),
    *english_plurals.RULES,
    rule(rf"(?<![\w.,])({NUMBER})\s?m(?=\s{_COUNTED_IN_MILLIONS})", _millions, "m"),
    rule(r"(?i:\bzip(?: code)?\s)\d{5}\b", lambda m: m[0][:-5] + numbers.digits(m[0][-5:]), "zZ"),
    rule(
        r"\b(Room|Flight|Highway|Route|Interstate|Suite|Boeing)\s([1-9])(\d[1-9]|[1-9]\d)\b",
        lambda m: f"{m[1]} {numbers.digits(m[2])} {numbers.two_digits(int(m[3]))}",
    ),
)
"""Numbers that are read in parts, before measures."""

RULES = (
    rule(rf"(?<![\w.])({NUMBER})[eE]([-+]?\d{{1,3}})(?!\w)", _scientific, "eE"),
    rule(rf"(?<![\w.])([248]|16)K(?!\w)(?!\s(?!{_IN_PIXELS})(?:[a-z]+s\b|people))", _letter_k, "K"),
    rule(r"(?<![\w.])(\d{1,2})K(?=\s(?:race|run|walk|route|road))", _letter_k, "K"),
    rule(r"(?<=[\w)])\^2\b", " squared", "^"),
    rule(r"(?<=[\w)])\^3\b", " cubed", "^"),
    rule(r"(?<=[\w)])\^(?=[\w-])", " to the power of ", "^"),
    rule(rf"(?<![\w.,])({NUMBER})(k|K|M|bn)(?!\w)", lambda m: f"{numbers.number(m[1])} {MAGNITUDES[m[2]]}", "kKMb"),
    rule(r"(?<=\d)(?:st|nd|rd|th)\s?[-\u2013]\s?(?=\d+(?:st|nd|rd|th)\b)", lambda m: m[0][:2] + " to ", "-\u2013"),
    rule(
        r"(?<![\w.])(\d{1,3}(?:,\d{3}){1,5}|\d{1,18})(?:st|nd|rd|th)\b",
        lambda m: numbers.ordinal(int(m[1].replace(",", ""))),
        "tnrs",
    ),
    rule(r"(?<![\w./])(?:(\d{1,15})[\s-])?(\d{1,4})/(\d{1,4})(?![\w/])", mixed, "/"),
    rule(r"(?<![\w.])\d+(?:\.\d+){2,}(?!\w)", _version, "."),
    rule(rf"(?<![\w.,-])({NUMBER})\s?[-\u2013]\s?({NUMBER})(?![\w-]|\s?=)", _range, "-\u2013"),
    rule(r"(?<=\d)\s?[-\u2013]\s?(?=\d+\s?=)", " minus ", "-\u2013"),
    rule(r"(?<=\d)\s?[xX*]\s?(?=\d)", " times ", "xX*"),
    rule(r"(?<=[\w)]) ?/ ?(?=\d)", " over ", "/"),
    rule(r"#\s?(?=\d)", " number ", "#"),
    rule(r"(?<=[\d)])-(?=\d)", " to ", "-"),
    rule(r"(?<![\w.)-])-\s?(?=\.?\d)", " minus ", "-"),
    rule(r"(?<=\d)\+(?!\s?[\d(])", " plus ", "+"),
)
"""The other numbers with signs around them."""

SIGNS = (
    rule(r"(?<=\b[A-F])-(?=[\s.,;]|$)", " minus", "-"),
    rule(rf"[{re.escape(''.join(_SIGNS))}]", lambda m: f" {_SIGNS[m[0]]} "),
)
"""Signs that are words, wherever they stand."""

BARE = (
    rule(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)", " "),
    rule(r"(?<=[^\W\d_])-(?=\d)|(?<=[A-Za-z] \d)-(?=[A-Z])", " "),
    rule(rf"(?<![\w.]){NUMBER}(?!\.?\d)", _cardinal),
    rule(r"\d+", lambda m: f" {numbers.number(m[0])} "),
)
"""The numbers that are left."""
