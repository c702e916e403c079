"""Words in capitals that may be abbreviations or words (US, IT, LA): which they are, told from what is beside them."""

from __future__ import annotations

import re

from parlando.text.rules import words

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
SPELLED = frozenset(_SPELLED_LIST.split())
"""Abbreviations that are said letter by letter."""

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
_DETERMINERS = words("THE A AN MY OUR YOUR HIS HER ITS THEIR EVERY FORMER NEW CURRENT")
_PREPOSITIONS = words(
    "OF BY WITH AGAINST BETWEEN AND OR IN FROM FOR TO AS ON AT ABOUT OVER UNDER ACROSS THROUGH INTO VIA"
)
# What a country has: of the first, nobody is given one without an article (MEET US PRESIDENT).
_OF_A_COUNTRY = words(
    "PRESIDENT SENATE CONGRESS TREASURY ECONOMY ARMY NAVY EMBASSY GOVERNMENT MILITARY SUPREME CONSTITUTION DOLLAR "
    "SENATOR AMBASSADOR PASSPORT ELECTION PRESIDENTIAL BORDER GOVT"
)
_OF_COUNTRIES = words(
    "CITIZEN CITIZENS TROOPS FORCES SOLDIERS OFFICIALS MARKET MARKETS DOLLARS STATES ELECTIONS SANCTIONS TARIFFS "
    "MEDIA COMPANIES FIRMS STOCKS TAXES TAX VISA LAW LAWS COURT COURTS POLICY OPEN AIR BASED BACKED LED CUSTOMERS "
    "VOTERS COAST MARINES AIRLINES INFLATION EXPORTS IMPORTS TRADE"
)
_COUNTRY = (
    r"(?:THE )?(?:UK|U K|EU|E U|UN|U N|USA|UAE|CHINA|RUSSIA|CANADA|MEXICO|JAPAN|IRAN|INDIA|GERMANY|FRANCE|BRITAIN"
    r"|ISRAEL|UKRAINE|KOREA|CUBA|AUSTRALIA)\b"
)
_WITH_COUNTRY = re.compile(rf"(?:,? (?:AND|OR|VS\.?|VERSUS) |, |\s?[-\u2013/]\s?){_COUNTRY}")
_COUNTRY_WITH = re.compile(rf"\b{_COUNTRY}(?:,? (?:AND|OR|VS\.?|VERSUS) |, |\s?[-\u2013/]\s?)$")
_PEOPLE_AFTER = words("AND OR TWO THREE FOUR ALL BOTH GUYS GIRLS BOYS KIDS TOO EITHER NOW IN VERSUS VS")  # us two
_BEFORE_CITY = words(
    "IN TO FROM OF NEAR FOR AT AROUND THROUGH OUTSIDE LEAVE LEAVING LEFT VISIT VISITING LOVE HATE MISS GREATER "
    "DOWNTOWN EAST WEST SOUTH NORTH CENTRAL AND OR BEYOND VIA BOUND"
)
_AFTER_CITY = words(
    "OFFICE TEAM LAKERS CLIPPERS RAMS KINGS DODGERS GALAXY CHARGERS SPARKS TIMES TRAFFIC AREA COUNTY STREETS RIOTS "
    "BASED FIRES WILDFIRES MAYOR POLICE AIRPORT SCENE STUDIO TODAY TOMORROW TONIGHT AGAIN THIS NEXT LAST SOON AFTER "
    "BEFORE SINCE UNTIL BECAUSE WHILE DURING"
)
_SUNG = words("LA DE OOH TRA VIVA")  # LA LA LAND
_WORD_BEFORE, _WORD_AFTER = re.compile(r"\b([A-Z]+) $"), re.compile(r" ([A-Z]+)\b")


def is_word(match: re.Match[str]) -> bool:
    """Whether what is found in capitals is a word, and no abbreviation that is written alike."""
    if match[1] not in _ALSO_WORDS or _is_department(match) or _is_name(match):
        return False
    return (
        _is_among_shouted(match) or _is_it_or_am(match) or (match[0] == "LA" and not _SUNG.isdisjoint(_beside(match)))
    )


def _beside(match: re.Match[str]) -> tuple[str, str]:
    """The words in capitals before and behind, where no mark is between."""
    text, start = match.string, match.start()
    before = _WORD_BEFORE.search(text, max(start - _CONTEXT_CHARACTERS, 0), start)
    after = _WORD_AFTER.match(text, match.end())
    return before[1] if before else "", after[1] if after else ""


def _is_name(match: re.Match[str]) -> bool:
    """Whether ``US`` or ``LA`` is surely a place, ``ID`` or ``ER`` a thing: THE US, A US CITIZEN, GO TO LA NOW."""
    word, (before, after) = match[1], _beside(match)
    if word == "US":
        return before in _DETERMINERS or _is_country(match, before, after)
    if word == "LA":
        return _is_city(before, after)
    return word == "HQ" or (word in ("ID", "OS", "ER") and before in _DETERMINERS)


def _is_country(match: re.Match[str], before: str, after: str) -> bool:
    start = match.string[max(match.start() - _CONTEXT_CHARACTERS, 0) : match.start()]
    if after in _OF_A_COUNTRY or _WITH_COUNTRY.match(match.string, match.end()) or _COUNTRY_WITH.search(start):
        return True
    if after in _OF_COUNTRIES:
        return not before or before in _PREPOSITIONS
    begins = not start.strip() or _SENTENCE_END_BEFORE.search(start[-2:])
    return bool(begins and after and after not in _PEOPLE_AFTER)


def _is_city(before: str, after: str) -> bool:
    if before == "THE":
        return after in _AFTER_CITY
    if not before:
        return after in _AFTER_CITY or after in _SMALL_WORDS
    return before in _BEFORE_CITY and (not after or after in _AFTER_CITY or after in _SMALL_WORDS)


def _is_among_shouted(match: re.Match[str]) -> bool:
    """Whether words beside it that are no abbreviations are in capitals, too."""
    before = _CAPITALS_BEFORE.search(match.string, max(match.start() - _CONTEXT_CHARACTERS, 0), match.start())
    after = _CAPITALS_AFTER.match(match.string, match.end(), match.end() + _CONTEXT_CHARACTERS)
    run = f"{before[0] if before else ''} {match[0]} {after[0] if after else ''}"
    beside = [word for word in re.findall(r"[A-Z']+", run) if word not in _ALSO_WORDS]
    return "I AM" in " ".join(run.split()) or any(word in _SMALL_WORDS for word in beside)


def _is_it_or_am(match: re.Match[str]) -> bool:
    """Whether ``IT`` or ``AM`` is a word for what is in capitals near it: ``GOT IT?``, ``AM I?``, ``do NOT do IT``."""
    word, text = match[0], match.string
    if word not in ("IT", "AM"):
        return False
    before = text[max(match.start() - _CONTEXT_CHARACTERS, 0) : match.start()]
    after = _CAPITALS_AFTER.match(text, match.end(), match.end() + _CONTEXT_CHARACTERS)
    found = _CAPITALS_BEFORE.search(before)
    beside = [*(found[0].split()[-1:] if found else ()), *(after[0].split()[:1] if after else ())]
    if any(_LETTERS_ONLY.sub("", each) not in SPELLED for each in beside):
        return True
    sentence = f"{_SENTENCE_END_BEFORE.split(before)[-1]} {_SENTENCE_END_AFTER.split(text[match.end() :], 1)[0]}"
    return word == "IT" and any(each in _SMALL_WORDS for each in _SHOUTED.findall(sentence))


def _is_department(match: re.Match[str]) -> bool:
    """Whether ``IT`` follows an article or stands before what a department has."""
    before = match.string[max(match.start() - _CONTEXT_CHARACTERS, 0) : match.start()]
    named = _BEFORE_DEPARTMENT.search(before) or _AFTER_DEPARTMENT.match(match.string, match.end())
    return match[0] == "IT" and bool(named)
