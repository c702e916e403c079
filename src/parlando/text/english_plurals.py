"""English readings of a figure with an s: numbers in the plural (911s, two 20s, F-16s) or seconds (it took 125s)."""

from __future__ import annotations

import re

from parlando.text import numbers
from parlando.text.rules import rule

_CONTEXT = 60  # characters before a figure that say what it is
_NUMBER_WORDS = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred"
_COUNTED_BEFORE = re.compile(
    rf"\b(?:the|these|those|our|their|both|all|some|any|many|few|several|various|{_NUMBER_WORDS}"
    r"|(?:pairs?|couple|dozens?|dozen|handful|bunch|lots?|rows?|sets?|stacks?|series|string|kinds?) of)\s$",
    re.IGNORECASE,
)
_LASTING_BEFORE = re.compile(
    r"(?:\b(?:for|in|after|within|every|each|an?|wait(?:s|ed|ing)?|t[oa]k(?:es?|ing|en)|took|last(?:s|ed|ing)?|about"
    r"|around|roughly|nearly|almost|exactly|only|just|than|under|over|least|most|hold|rest|paused?|sle(?:ep|pt)|spent"
    r"|timeout|limit|duration|delay|latency|runtime|uptime|time|elapsed|ran|runs|finished|done|completed?|lap|to|by|at"
    r"|of|is|was|from|between|until|till)\s|[=:~<>+\u2248]\s?)$",
    re.IGNORECASE,
)
_LASTING_AFTER = re.compile(
    r"\s(?:left|more|later|ago|remaining|timers?|timeouts?|pauses?|delays?|longer|long|apart|each|of silence|intervals?"
    r"|marks?|limits?|windows?|clips?|videos?|countdowns?|rules?|spots?|ads?|breaks?|rests?|holds?|gaps?|waits?|lead"
    r"|exposures?|caps?|penalty|penalties|rounds?|bursts?|sprints?|in|into|before|after|per|(?:that\s)?(?:it|he|she|they|we|you|I)\s(?:t[ao]kes?|took|needs?|had|have|spent|waited))\b|\s?[-\u2013+/]\s?\d"
)
_LEAST_MODEL = 100
_BITS = re.compile(r"\s(?:and|or)\s[01]s\b")
_BITS_BEFORE = re.compile(r"\b[01]s\s(?:and|or)\s$")


def _plural(figures: str) -> str:
    """The plural as one says it: ``911s`` are nine elevens, ``404s`` four oh fours, ``3090s`` thirty nineties."""
    number = int(figures)
    if _LEAST_MODEL <= number < 1000 and number % 100:
        hundreds, rest = divmod(number, 100)
        return f"{numbers.cardinal(hundreds)} {numbers.plural(numbers.two_digits(rest))}"
    return numbers.plural(numbers.year(number))


def _counted(match: re.Match[str]) -> str:
    """Seconds stay as they are, for the measures to be read."""
    figures, before = match[1], match.string[max(match.start() - _CONTEXT, 0) : match.start()]
    if _LASTING_AFTER.match(match.string, match.end()):
        return match[0]
    is_model = int(figures) > _LEAST_MODEL and not figures.endswith("0") and not _LASTING_BEFORE.search(before)
    is_bit = figures in ("0", "1") and (_BITS.match(match.string, match.end()) or _BITS_BEFORE.search(before))
    return _plural(figures) if is_model or is_bit or _COUNTED_BEFORE.search(before) else match[0]


def _named(match: re.Match[str]) -> str:
    return f"{match[1]} {_plural(match[2])}"


RULES = (
    rule(r"\b(Boeing|Airbus|Porsche|Peugeot|BMW|Mercedes|iPhone|RTX|GTX)\s([1-9]\d{0,3})s\b", _named, "s"),
    rule(r"(?<=[A-Za-z]-)(\d{1,4})s\b", lambda m: numbers.plural(numbers.number(m[1])), "s"),
    rule(
        r"(?<![\d.][A-Za-z])(?<=[A-Za-z])([1-9]\d{0,3})s\b", lambda m: f" {numbers.plural(numbers.number(m[1]))}", "s"
    ),
    rule(r"(?<![\w.,:$\u20ac\u00a3-])(0|[1-9]\d{0,3})s\b(?!')", _counted, "s"),
)
"""Read after decades, which are named as such, and before measures."""
