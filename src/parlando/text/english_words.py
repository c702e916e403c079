"""English words that are not read as written: titles, abbreviations, initials, acronyms, Roman numerals."""

from __future__ import annotations

import re

from parlando.text import english_romans
from parlando.text.english_romans import COUNTED_NAMES, NUMERAL_AFTER_STOP, RULERS
from parlando.text.rules import rule, words

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
_SPELLED_LIST = """
FBI CIA USA UK UN US EU NBA NFL NHL NSA IRS IBM CEO CFO CTO COO CPU GPU USB URL API AI ML UI UX IT ID TV PC DVD CD DJ
HQ IQ VIP FAQ DIY ETA LED LCD OLED ATM DNA RNA GDP AM PM BC AD BCE CE MBA BA MA UFO BBC CNN NBC ABC CBS HBO MTV NYC LA
DC UAE USSR SUV VPN WWW HTML CSS XML SQL PHP SDK IDE LLM TTS ASR NLP MIT UCLA UCL GPS AC EV IPO IOU RSVP ASMR EP LP
OCD ADHD ICU ER IPA EKG IV FDA EPA OS IP IOS SSD HDD FM AA AAA UFC WWE NGO HIV AGI ISP PDF MP OCR RPG FPS MMO NPC AR
VR XR DOI ISBN YMCA AOL ESPN EDM HR PR RV SOS QA ALS UTC EST EDT XYZ
ASAP FYI LOL OMG AWS IEEE OECD IMF WTO EEG ECG MRI PTSD HTTP HTTPS FTP SSH TCP UDP SMS MMS KFC BMW VW GM GE AOC
UAV ETF CPI PPE CPR RIP ROI KPI SEO CRM ERP HVAC LGBT LGBTQ NHS NAACP ACLU FAA FCC SEC FTC EEC UNHCR
IAEA EPFL ETH LSE MLB MLS USPS UPS USD EUR GBP API SDK GUI CLI IDE OOP UTF RGB
"""
_WORD_LIST = "MR MRS DR ST NTH MS SR JR VS MPH KPH PHD BLVD HWY SHH HMM PSST TSK NYT HM MMM GRR BRR PFFT SH"
_CONTEXT_CHARACTERS = 40
# Abbreviations that are words as well: which, what stands beside them says.
_ALSO_WORDS = frozenset(("IT", "US", "AM", "AD", "MA", "PA", "ID", "OS", "HQ", "ER", "LA"))
_SMALL_WORDS = words(
    "THE OF IS ARE WAS WERE AND SO TO FOR NOT YOU WE HE SHE THEY THIS THAT BE DO DID DOES HAVE HAS HAD CAN WILL WITH "
    "ON IN AT BY MY ME YOUR HIS HER ITS OUR THEIR WHAT WHY HOW WHEN WHERE NO YES GO GET LET LOOK ALL OR BUT IF FROM "
    "AS UP OUT DOWN OVER ABOUT SAY SAID MAKE TAKE GIVE TELL STOP NOW HERE THERE THEN PLEASE DON'T CAN'T WON'T ISN'T "
    "IT'S I'M LOVE LIKE WANT NEED KNOW JUST EVERY ONE EVER NEVER VERY TOO MUST SHOULD WOULD COULD THEM HIM LEAVE "
    "HELP SEE COME WAIT WENT BACK AN READ USE KEEP PUT"
)
_CAPITALS_BEFORE = re.compile(r"(?:\b[A-Z]+(?:'[A-Z]+)?[,;:\"]?\s+)+$")
_CAPITALS_AFTER = re.compile(r"(?:'[A-Z]+)?(?:[,;:\"]?\s+[A-Z]+(?:'[A-Z]+)?\b)+|'[A-Z]+")
_SHOUTED = re.compile(r"\b[A-Z]{2,}(?:'[A-Z]+)?\b")
_LETTERS_ONLY = re.compile(r"[^A-Z']")
_SENTENCE_END_BEFORE, _SENTENCE_END_AFTER = re.compile(r"[.?!]\s"), re.compile(r"[.?!](?=\s|$)")
_BEFORE_DEPARTMENT = re.compile(
    r"\b(?:the|an|our|your|my|his|her|their|its|works? in|working in|worked in)\s+$", re.IGNORECASE
)
_AFTER_DEPARTMENT = re.compile(
    r"\s+(?:support|departments?|teams?|staff|managers?|guys?|help|helpdesk|desk|persons?|people|specialists?|industry"
    r"|sector|jobs?|company|companies|security|budgets?|infrastructure|services?|systems?|professionals?|consultants?"
    r"|directors?|skills|workers?|admins?|projects?|equipment|policy|policies|training)\b",
    re.IGNORECASE,
)
_SPELLED = frozenset(_SPELLED_LIST.split())
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
    if word in _ALSO_WORDS and not _is_department(match) and (_is_among_shouted(match) or _is_word(match)):
        return match[0]
    spelled = word in _SPELLED or (not vowels and len(word) > 1 and word not in _WORDS and not _is_shout(word))
    if not spelled:
        return match[0]
    return " ".join(word) + ("'s" if plural else "")


def _is_among_shouted(match: re.Match[str]) -> bool:
    """Whether words beside it that are no abbreviations are in capitals, too."""
    before = _CAPITALS_BEFORE.search(match.string, max(match.start() - _CONTEXT_CHARACTERS, 0), match.start())
    after = _CAPITALS_AFTER.match(match.string, match.end(), match.end() + _CONTEXT_CHARACTERS)
    run = f"{before[0] if before else ''} {match[0]} {after[0] if after else ''}"
    beside = [word for word in re.findall(r"[A-Z']+", run) if word not in _ALSO_WORDS]
    return "I AM" in " ".join(run.split()) or any(word in _SMALL_WORDS for word in beside)


def _is_word(match: re.Match[str]) -> bool:
    """Whether ``IT`` or ``AM`` is a word for what is in capitals near it: ``GOT IT?``, ``AM I?``, ``do NOT do IT``."""
    word, text = match[0], match.string
    if word not in ("IT", "AM"):
        return False
    before = text[max(match.start() - _CONTEXT_CHARACTERS, 0) : match.start()]
    after = _CAPITALS_AFTER.match(text, match.end(), match.end() + _CONTEXT_CHARACTERS)
    found = _CAPITALS_BEFORE.search(before)
    beside = [*(found[0].split()[-1:] if found else ()), *(after[0].split()[:1] if after else ())]
    if any(_LETTERS_ONLY.sub("", each) not in _SPELLED for each in beside):
        return True
    sentence = f"{_SENTENCE_END_BEFORE.split(before)[-1]} {_SENTENCE_END_AFTER.split(text[match.end() :], 1)[0]}"
    return word == "IT" and any(each in _SMALL_WORDS for each in _SHOUTED.findall(sentence))


def _is_department(match: re.Match[str]) -> bool:
    """Whether ``IT`` follows an article or stands before what a department has."""
    before = match.string[max(match.start() - _CONTEXT_CHARACTERS, 0) : match.start()]
    named = _BEFORE_DEPARTMENT.search(before) or _AFTER_DEPARTMENT.match(match.string, match.end())
    return match[0] == "IT" and bool(named)


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
