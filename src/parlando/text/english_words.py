"""English words that are not read as written: titles, abbreviations, initials, acronyms, Roman numerals."""

from __future__ import annotations

import re

from parlando.text import english_romans
from parlando.text.english_capitals import SPELLED, is_word
from parlando.text.english_romans import COUNTED_NAMES, NUMERAL_AFTER_STOP, RULERS
from parlando.text.rules import rule

_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "Rev": "Reverend", "Gen": "General",
    "Sgt": "Sergeant", "Capt": "Captain", "Lt": "Lieutenant", "Col": "Colonel", "Gov": "Governor",
    "Sen": "Senator", "Rep": "Representative", "Pres": "President", "Hon": "Honorable", "Cmdr": "Commander",
    "Maj": "Major", "Pvt": "Private", "Cpl": "Corporal", "Fr": "Father",
    "Messrs": "Messers", "Mt": "Mount", "Ft": "Fort", "Drs": "Doctors", "Supt": "Superintendent",
}  # fmt: skip
_STREETS = {
    "St": "Street", "Dr": "Drive", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane", "Hwy": "Highway",
    "Pkwy": "Parkway", "Ct": "Court", "Pl": "Place", "Sq": "Square",
}  # fmt: skip
# Words that may end a sentence: their full stop stays where a capital or nothing follows.
_PLAIN = {
    "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation", "Co": "Company",
    "Bros": "Brothers", "etc": "et cetera", "approx": "approximately", "dept": "department",
    "Dept": "Department", "est": "established", "Est": "Established", "govt": "government", "Govt": "Government",
    "incl": "including", "misc": "miscellaneous", "tel": "telephone", "Tel": "telephone", "ext": "extension",
    "apt": "apartment", "Apt": "Apartment", "Univ": "University", "Assn": "Association", "Intl": "International",
    "max": "maximum", "Max": "maximum", "avg": "average", "temp": "temperature", "Approx": "Approximately",
    "Jan": "January", "Feb": "February", "Aug": "August", "Sept": "September", "Oct": "October",
    "Nov": "November", "Dec": "December", "al": "al", "ca": "circa", "esp": "especially", "Esq": "Esquire",
}  # fmt: skip
_BEFORE_NUMBER = {
    "No": "number", "no": "number", "Nos": "numbers", "pp": "pages", "p": "page", "pg": "page", "vol": "volume",
    "Vol": "Volume", "ch": "chapter", "Ch": "Chapter", "fig": "figure", "Fig": "Figure", "sec": "section",
    "Sec": "Section", "ver": "version", "Rm": "Room", "Rte": "Route", "eq": "equation", "Eq": "Equation",
    "art": "article", "Art": "Article", "Figs": "Figures", "Op": "Opus",
    "sc": "scene", "Sc": "Scene", "bk": "book", "Bk": "Book", "ll": "lines",
}  # fmt: skip
_WORD_LIST = "MR MRS DR ST NTH MS SR JR VS MPH KPH PHD BLVD HWY SHH HMM PSST TSK NYT HM MMM GRR BRR PFFT SH"
_WORDS = frozenset(_WORD_LIST.split())
_MIXED = {
    "PhD": "P H D", "Ph.D.": "P H D", "Ph.D": "P H D", "OK": "okay", "O.K.": "okay", "iOS": "I O S",
    "macOS": "mac O S", "LaTeX": "lay tek", "SQLite": "S Q L ite", "WiFi": "Wi-Fi", "w/o": "without", "w/": "with",
    "b/c": "because", "a.k.a.": "also known as", "aka": "also known as", "and/or": "and or", "n/a": "not applicable",
    "N/A": "not applicable", "mRNA": "M R N A", "e.g.": "for example", "i.e.": "that is", "eg.": "for example",
    "ie.": "that is", "c/o": "care of", "JPEG": "jay peg", "GIF": "gif", "SaaS": "sass", "YouTube": "You Tube",
    "cf.": "compare", "viz.": "namely", "et al.": "et al", "P.S.": "P S", "R&D": "R and D", "Q&A": "Q and A",
    "C#": "C sharp", "F#": "F sharp",
    "AT&T": "A T and T", "B&B": "B and B", "WWI": "World War one", "WWII": "World War two",
}  # fmt: skip
_NAMED_BY_LETTER = (
    "Vitamin vitamin Plan plan Group group Team Option option Generation Terminal Gate Exhibit Hepatitis Xbox"
)


_SENTENCE_END = re.compile(rf"\s*$|\s+(?!(?:{'|'.join([*_PLAIN, *_STREETS])})\b\.?|(?:[NSEW]|[NS][EW])\b)[\"']?[A-Z]")

# A capital after initials starts a sentence only in words that are no part of a name.
_STARTERS = (
    "The|A|An|It|Its|He|She|They|We|I|You|But|And|So|In|On|At|This|That|These|Those|There|However|Then|What|When"
    "|Where|Who|Why|How|If|As|For|After|Before|Yes|No|Now|My|Our|Your|His|Her|Their|Is|Are|Was|Do|Did|Please|Let|To"
    "|With|Not|Also"
)
_AFTER_LETTERS = re.compile(rf"\s*$|\s+[\"'(]?(?:{_STARTERS})\b")


# A letter and a full stop after one of these is no initial: it is what the thing is called, and may end a sentence.
_LETTERED = frozenset((*COUNTED_NAMES, *_NAMED_BY_LETTER.split()))


def _keeps_stop(match: re.Match[str]) -> bool:
    """Whether the full stop at the end of a match also ended a sentence."""
    return bool(_SENTENCE_END.match(match.string, match.end()))


def _plain(match: re.Match[str]) -> str:
    return _PLAIN[match[1]] + ("." if _keeps_stop(match) else "")


def _street(match: re.Match[str]) -> str:
    stop = "." if match[0].endswith(".") and _keeps_stop(match) else ""
    return f"{match['name']}{_STREETS[match['kind']]}{stop}"


def _abbreviated_street(match: re.Match[str]) -> str:
    *before, kind = match["name"].split(" ")
    stop = "." if match[0].endswith(".") and _keeps_stop(match) else ""
    return " ".join([*before, _STREETS[kind]]) + stop


def _letters(match: re.Match[str]) -> str:
    stop = "." if match[0].endswith(".") and _AFTER_LETTERS.match(match.string, match.end()) else ""
    return " ".join(match[0].replace(".", "").upper()) + stop


def _initials(match: re.Match[str]) -> str:
    before = match.string[: match.start()].split()
    rules = bool(before) and before[-1] in RULERS and match[0].strip() in ("I.", "V.", "X.")
    if rules or (before and before[-1] in _LETTERED):
        return match[0]
    return "".join(f"{letter} " for letter in match[0] if letter.isupper())


def _acronym(match: re.Match[str]) -> str:
    word, plural = match[1], match[2]
    vowels = any(letter in "AEIOUY" for letter in word)
    if is_word(match):
        return match[0]
    spelled = word in SPELLED or (not vowels and len(word) > 1 and word not in _WORDS and not _is_shout(word))
    if not spelled:
        return match[0]
    return " ".join(word) + ("'s" if plural else "")


def _is_shout(word: str) -> bool:
    """``BRRR`` is a sound; so is anything that repeats one letter three times, except Roman numerals and ``AAA``."""
    return any(letter * 3 in word for letter in set(word))


_MIXED_FORM = "|".join(re.escape(word) for word in sorted(_MIXED, key=len, reverse=True))
_STREET_KINDS = "|".join(_STREETS)
_ADDRESS = r"(?:\b(?:on|at|down|along|to|from|off|near|in|up|of|onto)\s+|\d\s+|\d(?:st|nd|rd|th)\s+)"

RULES = (
    rule(rf"(?<![\w.])(?:{_MIXED_FORM})(?!\w)", lambda m: _MIXED[m[0]]),
    rule(rf"(?P<name>\d(?:st|nd|rd|th)\s+)(?P<kind>{_STREET_KINDS})\b\.?", _street, "snrt"),
    rule(rf"(?P<name>{_ADDRESS}(?:[A-Z][\w'-]*\s+){{1,3}})(?P<kind>{_STREET_KINDS})\b\.?", _street),
    rule(r"(?P<name>\b[A-Z][a-z]+\s+)(?P<kind>St|Dr)\.(?=\s*$|\s*,|\s+[a-z])", _street, "."),
    rule(r"\bDr\b\.?(?=\s+[A-Z])", "Doctor", "D"),
    rule(r"\b([Tt]he|[Aa]|[Mm]y|[Oo]ur|[Yy]our) Dr\.(?=\s+[a-z])", r"\1 Doctor", "D"),
    rule(r"\bSt\.(?=\s+[A-Z])", "Saint", "S"),
    rule(r"\bSte\.(?=\s+[A-Z])", "Sainte", "S"),
    rule(rf"\b({'|'.join(_TITLES)})\.(?=\s)", lambda m: _TITLES[m[1]], "."),
    rule(r"\b(Mr|Mrs|Ms)\b(?=\s+[A-Z])", lambda m: _TITLES[m[1]], "M"),
    rule(rf"\b({'|'.join(_PLAIN)})\.(?!\w)", _plain, "."),
    rule(rf"\b({'|'.join(_BEFORE_NUMBER)})\.\s*(?=\d|{NUMERAL_AFTER_STOP})", lambda m: _BEFORE_NUMBER[m[1]] + " ", "."),
    rule(r"\bvs\b\.?", "versus", "v"),
    rule(r"(?<=[a-z] )v\.(?= [A-Z][a-z])", "versus", "v"),
    rule(r"\b(?P<name>(?:[A-Z]\w+\s)?(?:Ave|Blvd|Rd))\b\.?", _abbreviated_street, "ABR"),
    rule(r"\b(?:[A-Za-z]\.){2,}(?!\w)", _letters, "."),
    rule(r"\b(?:[A-Z]\.){2,}[A-Z](?!\w)", _letters, "."),
    rule(
        r"(?:^|(?<=[\s(\"']))(?<![A-Z] )(?<![A-Z]\. )(?:[A-Z]\. ?){1,8}(?=[A-Z][a-z])(?<!\bI\. )"
        + rf"(?!(?:{_STARTERS})\b)",
        _initials,
        ".",
    ),
    *english_romans.RULES,
    rule(r"\b[A-Z]{2,3}(?=-?\d)", lambda m: " ".join(m[0])),
    rule(r"\b(?<!')([A-Z]{2,5})('?s)?\b(?!-[A-Z]|'(?:[MDST]|RE|LL|VE)\b)", _acronym),
)
"""Rules in order: fixed forms, streets before titles, initials before acronyms."""

NEVER_LAST = frozenset((*_TITLES, "Dr", "St", "Ste", "vs", "e.g", "i.e", "cf", "viz", "approx", "ca"))
"""Abbreviations (without their last full stop) that no sentence ends with."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec")
BEFORE_NUMBER = frozenset((*_BEFORE_NUMBER, *_MONTHS, "Rs", "Re", "kr", "ep", "Ep", "pt", "Pt"))
"""Abbreviations that a sentence may end with, unless a digit or a numeral follows."""
