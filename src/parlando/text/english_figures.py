"""English readings of figures by how they are grouped: versions, thousands, leading zeros, and words stuck to them."""

from __future__ import annotations

import re
from itertools import pairwise

from parlando.text import numbers
from parlando.text.english_units import UNITS, alternatives
from parlando.text.rules import rule, words

_STAGES = {
    "rc": "R C", "a": "alpha", "b": "beta", "alpha": "alpha", "beta": "beta", "dev": "dev", "post": "post",
    "pre": "pre",
    "preview": "preview", "snapshot": "snapshot", "build": "build", "p": "P", "patch": "patch", "final": "final",
    "stable": "stable", "lts": "L T S", "hotfix": "hotfix", "r": "R", "ga": "G A",
}  # fmt: skip
_STAGE_NAMES = "|".join(sorted(_STAGES, key=len, reverse=True))
_STAGE = rf"[-._+]?(?P<stage>{_STAGE_NAMES})[-.]?(?P<of>\d{{0,4}})(?!\w|\.\d)"
_LETTERED_STAGES = ("a", "b")  # unless a number follows: 1.0a1 is alpha one, 3.0.2a a patch
_BYTE = 255
_GROUPS_OF_AN_ADDRESS = 4
_NUMBERED = (
    "chapter|episode|season|part|section|lesson|track|page|step|level|day|week|month|year|unit|volume|issue|figure"
    "|fig|table|item|question|exercise|scene|act|book|verse|stage|phase|round|module|line|row|seat|platform|gate"
    "|number|no|nr|exhibit|appendix|task|problem|example|slide|note|article|rule|tip|vol|ch|ep|pt|pp?|room|unit|team"
    "|group|version|build|block|floor|lane|day|disc|disk|side|set|lot|box|case|entry|sample|session|series|game"
    "|match|heat|lap|hole|channel|camera|door|window|bus|route|size|grade|class|form|sheet|file|photo|image|picture"
    "|map|plate|drawing|track|song|poem|letter|sonnet|psalm|point"
)
# Short words that are no unit: longer ones are told by their length.
_SHORT_WORDS = words("of to or is at on by if as it we he no so up")
_SUFFIXES = words(
    "st nd rd th am pm bn mn mm tn mln mio mil kr rs ers ths nds ies kbit mbit oclock fps usd eur gbp chf"
)
_GLUED = {"ea": "each", "pp": "per person", "pcm": "per calendar month", "pw": "per week", "pa": "per annum"}
_LONGEST_UNIT = 3
_ABBREVIATED = alternatives(name for name in UNITS if name.isalpha())
_GOING_ON = (
    "of|and|or|for|per|each|to|with|at|on|in|the|a|is|was|are|were|plus|more|less|x|by|wide|long|tall|high|deep|thick"
)
# What has no thousandths: three figures after a stop are thousands, unless it is a price (1.899 euros per litre).
_WHOLE = (
    "\u20ac|EUR|euros?|people|inhabitants|visitors|residents|members|men|women|children|soldiers|spectators|voters|copies"
    "|fans|users|customers|employees|workers|students|followers|subscribers|participants|jobs|cars|houses|books|tickets"
)
_PRICED = (
    r"\s?(?:per|an?|/)\s?(?:lit(?:er|re)|l|gallon|kWh|kilowatt|MWh|kilo|kg|gram|g|minute|share|unit|km|kilomet(?:er|re)"
    r"|barrel|ton(?:ne)?|dollar|pound)s?\b"
)
# What is written with decimals, but hardly with three zeros: those are thousands.
_COUNTED_BY_THOUSANDS = f"{_WHOLE}|dollars?|pounds?|yen|francs?|units|km|miles|years|times|words|steps|pages"


_STEPS = {1, 2, 5, 10, 20, 50, 100}
_MOST_PORTIONS = 20
_PORTIONS_AFTER = re.compile(
    r"\s?(?:m|mm|cm|km|yd|ml|g|mg|kg|W|V|MB|GB)\s(?:[a-z]+s|relay|run|race|dash)\b"
)  # 3 100 m races
# A name ends in a number of its own (iPhone 15 256 GB); words that begin a sentence and currencies have none.
_NAME_BEFORE = re.compile(
    r"\b(?!(?:A|About|Above|Across|Add|After|All|Almost|An|And|Approximately|Around|As|At|Before|Below|Between|But|By|Circa"
    r"|Count|Every|Exactly|Fewer|For|From|Give|Have|He|I|If|In|Is|It|Its|Just|Less|Like|Maybe|More|Most|My|Nearly|No|Now"
    r"|Of|On|Once|Only|Or|Our|Over|Paid|Pay|Perhaps|Population|Roughly|She|So|Some|Than|That|The|Their|Then|There|These"
    r"|They|This|Those|To|Total|Under|Until|Up|Was|We|When|Where|Which|With|Within|You|Your"
    r"|AUD|CAD|CHF|CZK|DKK|EUR|GBP|HUF|INR|JPY|NOK|PLN|RUB|SEK|US|USD|ZAR)\s)[a-z]?[A-Z][\w.]*\s\+?$"
)
_CONTEXT = 40  # characters before a number that say what it is
_NUMBERED_BEFORE = re.compile(
    rf"\b(?:(?:{_NUMBERED})s?\.?|call(?:ed)?|dial(?:l?ed)?|(?:tele)?phone|tel\.?|mobile|fax|text|whatsapp|pin|code|zip|score"
    r"|january|february|march|april|may|june|july|august|september|october|november|december)"
    r"(?: (?:is|was|at|us|me|no\.?|number))?:?\s\+?$",
    re.IGNORECASE,
)


def _version(match: re.Match[str]) -> str:
    stage, number = (match["stage"] or "").lower(), match["of"] or ""
    if stage in _LETTERED_STAGES and not number:
        return _patched(match)
    named = f" {_STAGES[stage]}" if stage else ""
    return f"{_release(match)}{named}" + (f" {numbers.number(number)}" if number else "")


def _patched(match: re.Match[str]) -> str:
    """``1.1.1w`` ends in the letter of a patch; a small one that would be an article is a capital."""
    return _release(match) + "".join(f" {'A' if letter == 'a' else letter}" for letter in match["stage"])


def _release(match: re.Match[str]) -> str:
    words = " point ".join(numbers.number(part) for part in match["figures"].split("."))
    return f"v {words}" if match["v"] else words


def _named_version(match: re.Match[str]) -> str:
    return f"{match[1]} {' point '.join(numbers.number(part) for part in match['figures'].split('.'))}"


def _dotted(match: re.Match[str]) -> str:
    """``10.000.000`` has thousands; four small groups are an address, unless they are round."""
    groups = match[0].split(".")
    is_address = len(groups) == _GROUPS_OF_AN_ADDRESS and all(int(group) <= _BYTE for group in groups)
    return match[0] if is_address and int("".join(groups[1:])) else "".join(groups)


def _ungrouped(match: re.Match[str]) -> str:
    return re.sub(r"\D", "", match[0])


def _thousands(match: re.Match[str]) -> str:
    """With a comma, ``1.500`` is no year."""
    return match[0].replace(".", ",")


def _grouped(match: re.Match[str]) -> str:
    """``12 500`` is one number; not what is counted up (101 102) or numbered (page 3 100), nor a telephone's."""
    before = match.string[max(match.start() - _CONTEXT, 0) : match.start()]
    first, *others = (int(group) for group in match[0].partition(".")[0].split(" "))
    steps = {later - earlier for earlier, later in pairwise((first, *others))}
    is_list = steps == {1} or (len(others) > 1 and len(steps) == 1 and steps <= _STEPS)
    is_portion = first < _MOST_PORTIONS and _PORTIONS_AFTER.match(match.string, match.end())
    # With commas it is no year.
    is_named = _NUMBERED_BEFORE.search(before) or _NAME_BEFORE.search(before)
    return match[0] if is_list or is_portion or is_named else match[0].replace(" ", ",")


def _continental(match: re.Match[str]) -> str:
    return match[1].replace(".", "") + "." + match[2]


def _spaced(match: re.Match[str]) -> str:
    return match[0].replace(" ", "").replace(",", ".")


def _unled(match: re.Match[str]) -> str:
    return match["name"] + (match["figures"].lstrip("0") or "0")


def _episode(match: re.Match[str]) -> str:
    return f"season {int(match[1])} episode {int(match[2])}"


def _unstuck(match: re.Match[str]) -> str:
    """Words that are stuck to a figure: ``£15each``, ``30people``; but not ``30km``, ``30th``."""
    word, folded = match[1], match[1].lower()
    if word in UNITS or folded in UNITS or folded in _SUFFIXES:
        return word
    if folded in _GLUED:
        return f" {_GLUED[folded]}"
    return f" {word}" if folded in _SHORT_WORDS or (len(word) >= _LONGEST_UNIT and word.islower()) else word


RULES = (
    rule(r"\b[Ss](\d{1,2})\s?[Ee](\d{1,2})\b", _episode, "Ss"),
    rule(
        rf"(?<![\w.])(?P<v>[vV]\.?\s?)(?P<figures>\d+(?:\.\d+)+)(?:\.[xX*])?(?:{_STAGE})?(?![\w%]|\.\d)",
        _version,
        "vV",
    ),
    rule(r"(?<![\w.,])[1-9]\d{0,2}(?:\.\d{3}){2,}(?!\w|[.,]\d)", _dotted, "."),
    rule(r"(?<![\w.,])([1-9]\d{0,2}(?:\.\d{3})+),(\d{1,2})(?![\w,]|\.\d)", _continental, ","),
    rule(rf"(?<![\w.,])[1-9]\d{{0,2}}\.000(?=\s?(?:{_COUNTED_BY_THOUSANDS})(?!\w))", _ungrouped, "."),
    rule(rf"(?<![\w.,])[1-9]\d{{0,2}}\.\d{{3}}(?=\s?(?:{_WHOLE})(?!\w|{_PRICED}))", _thousands, "."),
    rule(
        rf"(?<=\u20ac)\s?[1-9]\d{{0,2}}\.\d{{3}}(?![.,]?\d|\s?(?:[kKmMbB]|bn|million|billion)\b|{_PRICED})",
        _thousands,
        ".",
    ),
    rule(rf"(?<=\bEUR )[1-9]\d{{0,2}}\.\d{{3}}(?![.,]?\d|\s?(?:million|billion)\b|{_PRICED})", _thousands, "E"),
    rule(r"(?<=[$\u20ac\u00a3])\s?[1-9]\d{0,2}\.000(?![.,]?\d|\s?(?:[kKmMbB]|bn|million|billion)\b)", _ungrouped, "."),
    rule(r"(?<![\w.,])[1-9]\d{0,2}(?: \d{3})+,\d{2}(?![\w,]|\.\d)", _spaced, " "),
    rule(r"(?<=\d \d{3}[-\u2013])[1-9]\d{0,2}(?: \d{3})+(?!\w|[.,:/]\d| ?\d|-)", _grouped, "-\u2013"),
    rule(
        r"(?<![\w.,])(?<![\w.,]-)(?<!\d )[1-9]\d{0,2}(?: \d{3})+(?:\.\d+)?"
        r"(?!\w|[.,:/]\d| ?\d|[-\u2013]\d(?!\d{0,2}[ ,]\d{3}\b)|,? (?:and|or) \d{1,3}\b(?! \d{3}\b))",
        _grouped,
        " ",
    ),
    rule(r"(?<![\w.,'])[1-9]\d{0,2}(?:'\d{3})+(?![\w'])", _ungrouped, "'"),
    rule(r"(?<![\w.,])\d{1,3}(?:_\d{3})+(?!\w)", _ungrouped, "_"),
    rule(r"(?<![\w.,])\d{1,2}(?:,\d{2})+,\d{3}(?![\w,])", _ungrouped, ","),
    rule(r"(?<=[A-Za-z])[ _-]?(?=\d+(?:\.\d+){2,})", " ", "."),
    rule(
        rf"(?<![\w.-])(?P<v>)(?P<figures>\d+(?:\.\d+)+)(?=\s?[-._+]?[A-Za-z]){_STAGE}(?![\w%]|\.\d)",
        _version,
        ".",
    ),
    rule(
        r"(?<![\w.-])(?:(?P<v>[vV]\.?\s?)|(?=\d+\.\d+\.))(?P<figures>\d+(?:\.\d+)+)(?P<stage>[A-Za-z]{1,2})"
        r"(?![\w%]|\.\d)",
        _patched,
        ".",
    ),
    rule(
        r"(?i:\b(python|pypy|cp|php|ruby|lua|perl|node|gcc|clang|llvm|cuda|java))-?(?P<figures>\d+\.\d+)(?![\w.])",
        _named_version,
    ),
    rule(
        rf"(?P<name>\b(?:{_NUMBERED})\.?\s(?:#\s?)?|#\s?)(?P<figures>0\d{{1,2}})(?![\w:]|[.,/-]\d)",
        _unled,
        "0",
        ignore_case=True,
    ),
    rule(rf"(?<=\d)( ?(?:{_ABBREVIATED}))\.(?=(?:{_GOING_ON})\b)", r"\1 ", "."),
    rule(r"(?<=\d)([A-Za-z]{2,})\b(?!\.\w)", _unstuck),
)
"""Rules in order: versions before groups, since both have dots."""
