"""English readings of Roman numerals: of chapters, rulers, centuries and years, where they are numerals at all."""

from __future__ import annotations

import re

from parlando.text import numbers
from parlando.text.rules import rule

_COUNTED = (
    "Chapter|Part|Act|Scene|Section|Volume|Vol\\.|Book|War|Phase|Type|Title|Article|Level|Grade|Bowl|Fantasy|Rocky"
    "|Appendix|Class|Mark|Figure|Table|Unit|Lesson|Episode|Season|Group|Stage|Division|Category|Apollo|Canto|Psalm"
    "|Verse|Clause|Paragraph|Note|Step|Schedule|Annex|Factor|Corps|Region|Plate|Page|Sonnet|Symphony|Tablet|Scroll"
    "|Star Wars|Vatican|Amendment|Round|Module|Item|Exercise|Question|Example|Theorem|Lemma|Generation"
    "|Formula|Number|Opus"
)
_COUNTED_SMALL = (
    "chapter|part|act|scene|section|volume|book|phase|type|appendix|stage|lesson|unit|canto|verse|page|article"
    "|clause|paragraph|note|step|figure|table|psalm|level|grade|class|category|group|episode|season|sonnet|item"
    "|question|exercise|amendment|schedule|number|equation"
)
COUNTED_NAMES = frozenset((*_COUNTED.split("|"), *_COUNTED_SMALL.split("|")))
"""What is followed by a number or a letter that names it."""

_RULER_NAMES = (
    "Henry|Louis|Elizabeth|George|Charles|James|Edward|William|Richard|Philip|Paul|Benedict|Pius|Leo|Francis"
    "|Napoleon|Catherine|Frederick|Alexander|Nicholas|Ivan|Peter|Mary|Ramesses|Ramses|Rameses|Leopold|Albert|Innocent"
    "|Gregory|Clement|Urban|Boniface|Otto|Wilhelm|Gustav|Christian|Ferdinand|Alfonso|Malcolm|Robert|David|Ptolemy"
    "|Xerxes|Darius|Queen|Pope|Thutmose|Amenhotep|Seti|Baldwin|Conrad|Sixtus|Julius|Adrian|Celestine|Haakon|Harald"
    "|Olaf|Magnus|Christopher|Maximilian|Rudolf|Joseph|Isabella|Juan|Carlos|Felipe|Pedro|Umberto|Victor Emmanuel"
    "|Mehmed|Selim|Murad|Suleiman|Constantine|Theodosius|Justinian|Cyrus|Artaxerxes|Antiochus|Seleucus|Mithridates"
    "|Cleopatra|Margrethe|Beatrix|Wilhelmina|Oscar|Karl|Friedrich|Ludwig|Sigismund|Casimir|Stephen|Bela|Andrew"
    "|Kamehameha|Rama|Mohammed|Hassan|Abdul Hamid|Hussein|Tutankhamun|Sancho|Manuel|Afonso|Matthias"
)
RULERS = frozenset(_RULER_NAMES.split("|"))
"""Names of kings, queens and popes, and what they are called by."""

_ORDERED = (
    "[Cc]entur(?:y|ies)|[Dd]ynast(?:y|ies)|Olympiad|Olympics|Olympic|Congress|Legion|Corps|Army|Republic|Reich"
    "|Council|Brigade|Division"
)
# A lone I is a numeral only where no verb can follow it; lone C, D, L and M are letters.
# So are V and X before another lone letter: they are a spelled word (X P).
_LONE = r"[VX](?!\s[B-HJ-Z](?![\w']))"
_NUMERAL = (
    rf"{_LONE}|[IVXLC]{{2,}}|I(?=\s*$|\s*[.,;:?!)\-\u2013]|\s(?:of|and|to|is|in|scene|verse|part|chapter)\b|\s[A-Z])"
)
_SMALL_NUMERAL = r"[ivxl]{2,}|[vx]|i(?=\s*$|\s*[.,;:?!)\u2013]|\s(?:of|and|to|is|in)\b)"
NUMERAL_AFTER_STOP = r"(?:[IVXL]{2,}|[VX]|[ivxl]{2,}|[vx])(?![\w'])"
"""The pattern of a numeral that an abbreviation may stand before; a lone I begins a sentence."""

_PLAIN_NUMERAL = r"I{2,3}|IV|VI{1,3}|IX|XI{1,3}|XI?V|XVI{0,3}|XIX|XXI?V?|XXI{1,3}"
_NOT_LATER = r"(?![\w'])(?!\.\w)"
_JOINT = r"(?:,? (?:and|or|to|through|&) |, |\s?[-\u2013]\s?)"
_WORD_AFTER = re.compile(r"\s([a-z]+)")
_FIRST_YEAR, _LAST_YEAR = 1400, 2100


def _value(text: str) -> int | None:
    return numbers.roman(text.upper())


def _numeral(match: re.Match[str]) -> str:
    value = _value(match["numeral"])
    counted = _WORD_AFTER.match(match.string, match.end())
    if counted and counted[1].lower() in numbers.NUMBER_WORDS:  # V five one zero is no numeral
        return match[0]
    if value is None or (value == 1 and match["name"][0].islower() and match["numeral"] == "I"):
        return match[0]
    return f"{match['name']} {numbers.cardinal(value)}"


def _small(match: re.Match[str]) -> str:
    """``Section iv.`` loses its stop where the sentence goes on."""
    value = _value(match["numeral"])
    if value is None:
        return match[0]
    ends = not match["stop"] or not re.match(r"\s+[a-z]", match.string[match.end() : match.end() + 2])
    return f"{match['name']} {numbers.cardinal(value)}{match['stop'] if ends else ''}"


def _several(match: re.Match[str]) -> str:
    """``Acts I and II``, ``chapters ii-iv``."""
    numerals = re.split(rf"({_JOINT})", match["numerals"])
    values = [_value(numeral) for numeral in numerals[::2]]
    if None in values:
        return match[0]
    joints = (" to " if joint.strip() in "-\u2013" else joint for joint in numerals[1::2])
    words = [numbers.cardinal(value or 0) for value in values]
    return match["name"] + " " + "".join(w + j for w, j in zip(words, [*joints, ""], strict=True))


def _parted(match: re.Match[str]) -> str:
    """``Book I, ii``: a part of it, in small numerals."""
    values = [_value(numeral) for numeral in re.split(r",\s?", match["parts"])]
    return (
        match["name"] + "".join(f", {numbers.cardinal(value)}" for value in values if value)
        if all(values)
        else match[0]
    )


def _ruler(match: re.Match[str]) -> str:
    value = _value(match["numeral"])
    return match[0] if value is None else f"{match['name']} the {numbers.ordinal(value)}"


def _ordered(match: re.Match[str]) -> str:
    """``the XIX century`` is the nineteenth."""
    found = re.split(rf"({_JOINT})", match["numerals"])
    values = [_value(numeral.removesuffix("th").removesuffix("st").removesuffix("nd")) for numeral in found[::2]]
    if None in values or values == [1]:
        return match[0]
    joints = (" to " if joint.strip() in "-\u2013" else joint for joint in found[1::2])
    words = [numbers.ordinal(value or 0) for value in values]
    return "".join(w + j for w, j in zip(words, [*joints, ""], strict=True)) + match["gap"]


def _year(match: re.Match[str]) -> str:
    value = _value(match[0])
    return numbers.year(value) if value and _FIRST_YEAR <= value <= _LAST_YEAR else match[0]


def _item(match: re.Match[str]) -> str:
    value = _value(match[0])
    return numbers.cardinal(value) if value else match[0]


_ONE_ORDERED = r"(?:[IVX]+(?:th|st|nd|rd)?)"

RULES = (
    rule(r"\bWorld War (I{1,2})\b", lambda m: f"World War {numbers.cardinal(len(m[1]))}", "W"),
    rule(
        rf"(?<![\w.])(?P<numerals>{_ONE_ORDERED}(?:{_JOINT}{_ONE_ORDERED})*)(?P<gap>[ -](?=(?:{_ORDERED})\b))",
        _ordered,
        "IVX",
    ),
    rule(
        rf"\b(?P<name>(?:{_COUNTED}|{_COUNTED_SMALL})s)\s"
        rf"(?P<numerals>(?:[IVXL]+(?:{_JOINT}[IVXL]+)+|[ivxl]+(?:{_JOINT}[ivxl]+)+)){_NOT_LATER}",
        _several,
        "IVXivx",
    ),
    rule(
        rf"(?P<name>\b(?:{_COUNTED}|{_COUNTED_SMALL})\s(?:[IVXLC]+|[ivxl]+|\d+)),\s?"
        rf"(?P<parts>(?:{_SMALL_NUMERAL})(?![\w'-])(?:,\s?(?:{_SMALL_NUMERAL})(?![\w'-]))*)",
        _parted,
        "ivx",
    ),
    rule(rf"\b(?P<name>{_COUNTED}|{_COUNTED_SMALL})\s(?P<numeral>{_NUMERAL}){_NOT_LATER}", _numeral, "IVX"),
    rule(
        rf"\b(?P<name>{_COUNTED}|{_COUNTED_SMALL}|{_COUNTED_SMALL.title()})\s(?P<numeral>{_SMALL_NUMERAL})(?![\w'-])"
        r"(?P<stop>\.?)(?!\w)",
        _small,
        "ivx",
    ),
    rule(
        rf"\b(?!Malcolm X\b)(?P<name>{_RULER_NAMES})\s(?:the\s)?"
        r"(?P<numeral>[IVX]*[VX][IVX]*|I{2,3}|I(?=\s(?:of|was|had|became|ruled|died|and|reigned)\b|[.,;:?!']"
        r"|\s*$))(?![\w])",
        _ruler,
        "IVX",
    ),
    rule(
        r"(?P<name>\b(?:King|Queen|Pope|Emperor|Empress|Tsar|Czar|Sultan|Prince|Pharaoh|Duke|Kaiser|Shah)\s[A-Z]\w+)\s"
        rf"(?P<numeral>{_PLAIN_NUMERAL}|V|X|I(?=\s[a-z]|[.,;:?!'] |[.!?]?$))\b(?!\.\w)",
        _ruler,
        "IVX",
    ),
    rule(rf"(?P<name>[A-Z][a-z]+)\s(?P<numeral>{_PLAIN_NUMERAL})\b(?!\.\w|-)", _numeral, "IVX"),
    rule(rf"^(?:{_PLAIN_NUMERAL})(?=[.)]\s)", _item, "IVX"),
    rule(rf"(?:^|(?<=[.!?:;] ))(?:{_PLAIN_NUMERAL.lower()}|[ivx])(?=[.)]\s\w\w)", _item, "ivx"),
    rule(r"\bM{1,2}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\b(?<=\w{4})", _year, "M"),
)
"""Rules in order: what several numerals share before single ones."""
