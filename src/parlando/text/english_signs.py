"""English readings of signs between things: comparisons, arrows, tildes; read before the numbers beside them are."""

from __future__ import annotations

import re

from parlando.text.rules import rule

_COMPARED = {
    "<": ("less than", "less than"), ">": ("greater than", "more than"), "\u2264": ("at most", "at most"),
    "\u2265": ("at least", "at least"), "\u2260": ("not equal to", "not"),
    "\u226a": ("much less than", "much less than"),
    "\u226b": ("much greater than", "much more than"),
}  # fmt: skip
_SIGN = rf"\s?(?P<sign>[{''.join(_COMPARED)}])\s?"
_COPULA = re.compile(r"(?:\b(?:is|are|was|were|be|been|being|not|[Ii]f it's|it's|that's)|['\u2019]re)$")
_QUESTION = re.compile(r"(?:^|[.?!]\s)(?:Is|Are|Was|Were)\s(?:\S+\s?){1,3}$")  # Is 3 > 2?
# What a condition compares, or what is surely no verb: a number, a unit, a letter, a sign that closes.
_SUBJECT = re.compile(
    r"(?:[\d)\]%\u00b0'\"]|\d\s?[A-Za-z\u00b0\u03bc/]{1,5}|(?<![^\W\d_])[^\W\d_]|\b[A-Z]{2,}|\b\w+[_\d]\w*"
    r"|\b(?:[Ii]f|[Ww]hen|[Ww]here|[Ww]hile|[Uu]ntil|[Uu]nless|[Ww]henever|[Aa]ssuming|[Gg]iven|[Tt]hat|[Ww]hose)"
    r"(?:\s(?:the|a|an|its?|your|our|their|his|her|my))?(?:\s\w+){1,2})$"
)
_NUMBER_FOLLOWS = re.compile(r"[-+\u2212]?\s?[$\u20ac\u00a3\u00a5\u20b9]?\s?\.?\d")
_CONTEXT = 60


def _compared(match: re.Match[str]) -> str:
    """``x < 5`` is less than, ``Add < 5`` is to add less than."""
    is_so, bare = _COMPARED[match["sign"]]
    before = match.string[max(match.start() - _CONTEXT, 0) : match.start()]
    if _COPULA.search(before) or _QUESTION.search(before):
        return f" {is_so} "
    number = _NUMBER_FOLLOWS.match(match.string, match.end())
    if _SUBJECT.search(before) or (before and before[-1].isalnum() and not number):
        return f" is {is_so} "
    return f" {bare} " if number or before[-1:].isalnum() else ", "


RULES = (
    rule(r"<=(?!>)|=<(?=\s?[\d.])|\u2a7d", "\u2264", "<\u2a7d"),
    rule(r"(?<![=-])>=|\u2a7e", "\u2265", ">\u2a7e"),
    rule(r"!==?|=/=|<>(?=\s?[\d.])", "\u2260", "=<"),
    rule(r"={2,3}(?=\s?[\w(-])", "=", "="),
    rule(r"<?[-=]{1,2}>|<-{1,2}(?=\s)|[\u21d2\u27f6\u21a6\u2794]", ", ", "><\u21d2\u27f6\u21a6\u2794"),
    rule(rf"(?<![<>]){_SIGN}(?=[-+\u2212\w(.$\u20ac\u00a3\u00a5\u20b9])", _compared, "".join(_COMPARED)),
    rule(r"(?<=\d)\s?~\s?(?=\d)", "-", "~"),
    rule(r"~\s?(?=[$\u20ac\u00a3\u00a5\u20b9]?\.?\d)", " about ", "~"),
)
"""Rules in order: signs of two characters become one first."""
