"""English verbalisation: the order in which the rules of its parts are applied."""

from __future__ import annotations

import re

from parlando.text import (
    english_dates,
    english_figures,
    english_moments,
    english_money,
    english_quantities,
    english_signs,
    english_units,
    english_web,
    english_words,
)
from parlando.text.rules import apply, rule

_EITHER = r"[Ss]he|[Hh]e|[Hh]im|[Hh](?:is|ers?)|[Yy]es|[Nn]o|[Tt]rue|[Ff]alse|[Ff]?e?[Mm]ale|(?:[Ww]o)?[Mm]en"
_JOINTS = (
    rule(r"\b([Ss])/he\b", r"\1he or he", "/"),
    rule(r"\b([Ss]he/her|[Hh]e/him|[Tt]hey/them)\b", lambda m: m[0].replace("/", " "), "/"),
    rule(rf"\b({_EITHER})/(?=(?:{_EITHER})\b)", r"\1 or ", "/"),
    rule(r"(?<=\b[A-Z])/(?=[A-Z]\b)", " ", "/"),
    rule(r"(?<=[a-z])\.(?=[A-Z][a-z])", ". ", "."),
    rule(r"(?<=[^\W_])\.(?=[^\W\d_])", " dot ", "."),
    rule(r"(?<=[a-z])_(?=[a-z])", " underscore ", "_"),
    rule(r"(?<=[^\W\d_]) ?/ ?(?=[^\W\d_])", " slash ", "/"),
    rule(r"\"", " ", '"'),
    rule(r"\|", ", ", "|"),
)

# The letter of an item is no article.
_ITEMS = (rule(r"(?<![^\s(])a(?=\)(?:\s|$))", "A", ")"), rule(r"^a\.(?=\s[A-Z])", "A,", "."))
_FIRST = (*_ITEMS, *english_web.RULES, *english_signs.RULES, *english_dates.WEEKDAYS)
_DIGIT = re.compile(r"\d")
_WITH_DIGITS = (
    *english_figures.RULES,
    *english_quantities.PHONES,
    *english_money.RULES,
    *english_dates.RULES,
    *english_quantities.PARTS,
    *english_units.RULES,
)


def verbalise(text: str) -> str:
    """Replace everything that is not read as it is written; takes plain typography, gives text that is not yet tidy."""
    text = apply(_FIRST, text)
    if _DIGIT.search(text):
        text = apply(_WITH_DIGITS, apply(english_moments.RULES, text))
    text = apply(english_words.RULES, text)
    if _DIGIT.search(text):
        text = apply(english_quantities.RULES, text)
    text = apply(english_quantities.SIGNS, text)
    if _DIGIT.search(text):
        text = apply(english_quantities.BARE, text)
    return apply(_JOINTS, text)
