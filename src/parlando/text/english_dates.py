"""English dates, years, decades and times of day."""

from __future__ import annotations

import re

from parlando.text import numbers
from parlando.text.rules import rule

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
"""Their names, in order."""

_ABBREVIATED = {name[:3]: name for name in MONTHS} | {"Sept": "September"}
_FULL_DAYS = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?"
_DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Thur": "Thursday",
    "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip

_MONTH_NAME = rf"{'|'.join(MONTHS)}|(?:{'|'.join(sorted(_ABBREVIATED, key=len, reverse=True))})\b\.?"
_MONTH = rf"(?P<month>{_MONTH_NAME})"
_DAY_NUMBER = r"(?:0?[1-9]|[12]\d|3[01])"
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?(?![\d:]|[.,/]\d|\s?%)"
_YEAR = r"(?P<year>1\d{3}|20\d\d)(?![\d%]|[.,]\d)"
_O_CLOCK = "o'clock"
_CONTEXT = 60  # characters before a decade that say what it is
_NEVER_COUNTED = frozenset(("was", "is", "has", "does", "its", "his", "this", "as", "us", "plus", "versus", "thus"))


def _year_words(text: str) -> str:
    return numbers.year(int(text))


def _month_name(text: str) -> str:
    return _ABBREVIATED.get(text.rstrip("."), text)


def expand_year(text: str) -> str:
    """A year of two digits is of this century below 50."""
    value = int(text)
    return numbers.year(value + (2000 if value < 50 else 1900) if len(text) == 2 else value)


def _day_of(month: int, day: int) -> str | None:
    return f"{MONTHS[month - 1]} {numbers.ordinal(day)}" if 1 <= month <= 12 and 1 <= day <= 31 else None


def _numeric(match: re.Match[str]) -> str:
    first, second, year = int(match["first"]), int(match["second"]), match["year"]
    date = _day_of(first, second) or _day_of(second, first)
    return f"{date}, {expand_year(year)}" if date else match[0].replace("/", " slash ")


def _iso(match: re.Match[str]) -> str:
    date = _day_of(int(match["month"]), int(match["day"]))
    return f"{date}, {_year_words(match['year'])}" if date else match[0]


def _month_day(match: re.Match[str]) -> str:
    words = f"{_month_name(match['month'])} {numbers.ordinal(int(match['day']))}"
    last = f" to {numbers.ordinal(int(match['last']))}" if match["last"] else ""
    return words + last + (f", {_year_words(match['year'])}" if match["year"] else "")


def _day_month(match: re.Match[str]) -> str:
    start = match["the"] or "the "
    words = f"{start}{numbers.ordinal(int(match['day']))} of {_month_name(match['month'])}"
    return words + (f", {_year_words(match['year'])}" if match["year"] else "")


def _decade(match: re.Match[str]) -> str:
    """``the 830s`` are the eight thirties; ``30s`` are seconds where nothing says that they are years."""
    text, before = match["decade"], match.string[max(match.start() - _CONTEXT, 0) : match.start()]
    hundreds, rest = divmod(int(text), 100)
    timed = len(text) < 4 and _DURATION_AFTER.match(match.string, match.end())
    named = len(text) > 3 or match["old"] or (not timed and _DECADE_BEFORE.search(before))
    if not named and not (len(text) == 2 and _DECADE_AFTER.match(match.string, match.end())):
        return match[0]
    if len(text) != 3:
        return numbers.plural(numbers.year(int(text)))
    return f"{numbers.cardinal(hundreds)} {numbers.plural(numbers.cardinal(rest) if rest else 'hundred')}"


def _many(match: re.Match[str]) -> str:
    """``100s of people`` are hundreds."""
    return numbers.plural(numbers.cardinal(int(match[1].replace(",", ""))).removeprefix("one "))


def _between_days(match: re.Match[str]) -> str:
    start, month = match["the"] or "the ", _month_name(match["month"])
    joint = match["joint"].strip()
    words = "to the" if joint in ("-", "\u2013", "/", "to") else f"{'and' if joint == '&' else joint} the"
    first, last = numbers.ordinal(int(match["first"])), numbers.ordinal(int(match["last"]))
    date = f"{start}{first} {words} {last} of {month}"
    return date + (f", {_year_words(match['year'])}" if match["year"] else "")


def _between_months(match: re.Match[str]) -> str:
    joint = "and" if match["joint"].strip() == "/" else "to"
    return f"{_month_name(match['month'])} {joint} {_month_name(match['last'])}"


def _between_weekdays(match: re.Match[str]) -> str:
    first, last = (_DAYS.get(day.rstrip("."), day) for day in (match["first"], match["last"]))
    return f"{first}{' and ' if match['joint'].strip() == '/' else ' to '}{last}"


def _bare_year(match: re.Match[str]) -> str:
    counted = match["noun"] and match["noun"] not in _NEVER_COUNTED
    words = numbers.cardinal(int(match["year"])) if counted else _year_words(match["year"])
    return words + match[0][len(match["year"]) :]


def _years(match: re.Match[str]) -> str:
    end = match["end"]
    return f"{_year_words(match['year'])} to {numbers.cardinal(int(end)) if len(end) == 2 else _year_words(end)}"


def _season(match: re.Match[str]) -> str:
    """``2021/22``: a year and the next one."""
    if (int(match[1]) + 1) % 100 != int(match[2]) % 100:
        return match[0]
    return (
        f"{_year_words(match[1])} {_year_words(match[2]) if len(match[2]) > 2 else numbers.two_digits(int(match[2]))}"
    )


def _in_year(match: re.Match[str]) -> str:
    return match[0].removesuffix(match[1]) + _year_words(match[1])


def _day_after(match: re.Match[str]) -> str:
    date = _day_of(int(match[1]), int(match[2]))
    return f"{match[0].split()[0]} {date}" if date else match[0]


def _suffix(match: re.Match[str]) -> str:
    letter = match["half"]
    return f" {letter.upper()} M" if letter else ""


def _clock(match: re.Match[str]) -> str:
    hour, minute, second = int(match["hour"]), int(match["minute"]), match["second"]
    if hour > 24 and minute <= 59 and not match["half"]:
        return f"{numbers.cardinal(hour)} {numbers.two_digits(minute)}"
    if hour > 24 or minute > 59:
        return f"{numbers.number(match['hour'])} to {numbers.number(match['minute'])}"
    words = hour_minute(hour, minute, bool(match["half"]))
    words = words if not match["hours"] or minute else f"{numbers.cardinal(hour)} hundred"
    seconds = f" and {numbers.cardinal(int(second))} second{'' if int(second) == 1 else 's'}" if second else ""
    return words + seconds + _suffix(match) + (" hours" if match["hours"] else "")


def _military(match: re.Match[str]) -> str:
    """``0800 hours`` is zero eight hundred hours, ``1500 h`` fifteen hundred."""
    if not match["zero"] and len(match["figures"]) < 4:
        return match[0]
    hour, minute = divmod(int(match["figures"]), 100)
    words = f"{numbers.cardinal(hour)} {numbers.cardinal(minute) if minute else 'hundred'}"
    return f"{'zero ' if match['zero'] else ''}{words} hours"


def hour_minute(hour: int, minute: int, twelve_hours: bool = False) -> str:
    """A time of day: ``14, 30`` is fourteen thirty, ``9, 0`` nine o'clock."""
    if hour == 0 and not twelve_hours:
        return "midnight" if minute == 0 else f"twelve {numbers.two_digits(minute)} A M"
    if minute:
        return f"{numbers.cardinal(hour)} {numbers.two_digits(minute)}"
    if twelve_hours:
        return numbers.cardinal(hour)
    return f"{numbers.cardinal(hour)} {_O_CLOCK if hour <= 12 else 'hundred'}"


_DECADE = r"\d{0,2}\d0s"
_DECADE_BEFORE = re.compile(
    r"(?:\b(?:[Tt]he|[Ee]arly|[Mm]id|[Ll]ate|[Hh]is|[Hh]er|[Mm]y|[Oo]ur|[Yy]our|[Tt]heir|[Ii]ts|low|high|upper"
    r"|lower|swinging"
    rf"|roaring|1\d\d0s|20\d0s)[ -]|\bfrom the )(?:'?{_DECADE}(?:,? (?:and|or|to|through) |, |\s?[-/\u2013]\s?)'?)*$"
    r"|\b1\d\d0s(?:,? (?:and|or|to) |, |\s?[-/\u2013]\s?)$"
)
_DURATION_AFTER = re.compile(
    r"\s(?:left|more|later|ago|remaining|timers?|pauses?|delays?|longer|long|apart|each|of silence)\b"
)
_DECADE_AFTER = re.compile(
    r"'?\s(?:music|kids|style|rock|fashion|era|movies?|hits|pop|disco|films?|songs?|childhood|look|cinema"
    r"|television|TV|decade"
    r"|sound|vibes?|nostalgia|party|hair|dance|soul|jazz|babies)\b"
)

_HALF = r"(?:\s?(?P<half>[aApP])(?:\.[mM]\.(?=\s+[^\WA-Z]|\s*[,;:?!)])|\.?[mM]\b))"

RULES = (
    rule(r"\b([ap])\.m\.\s?[-\u2013]\s?(?=\d)", r"\1m to ", "-\u2013", ignore_case=True),
    rule(r"(?<![\d/.])((?:19|20)\d\d)/(\d\d|(?:19|20)\d\d)(?![\d/]|\.\d)", _season, "/"),
    rule(rf"\b({'|'.join(_DAYS)})\b\.?(?=,?\s+{_MONTH}|,?\s+\d)", lambda m: _DAYS[m[1]]),
    rule(r"(?<=\d[ap]m|:\d\d)\s?[-\u2013]\s?(?=\d{1,2}(?::\d\d|[ap]m))", " to ", "-\u2013", ignore_case=True),
    rule(r"(?<=\d)\s?[-\u2013]\s?(?=\d{1,2}(?::\d\d)?\s?[ap]\.?m\b)", " to ", "-\u2013", ignore_case=True),
    rule(
        rf"(?i:(?P<the>\bthe\s))?(?<![\w./-])(?P<first>{_DAY_NUMBER})(?:st|nd|rd|th)?(?P<joint>\s?[-\u2013/&]\s?"
        rf"|\s(?:to|and|or|until|till|through)\s)(?:the\s)?(?P<last>{_DAY_NUMBER})(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}"
        rf"(?:,?\s+{_YEAR})?",
        _between_days,
    ),
    rule(
        rf"(?P<day>\b{_DAY_NUMBER})(?:st|nd|rd|th)?\s+{_MONTH}\s?[-\u2013]\s?(?={_DAY_NUMBER}(?:st|nd|rd"
        rf"|th)?\s+(?:{_MONTH_NAME})\b)",
        lambda m: re.sub(r"\s?[-\u2013]\s?$", " to ", m[0]),
        "-\u2013",
    ),
    rule(
        rf"\b{_MONTH}\s+(?P<day>{_DAY_NUMBER})(?:st|nd|rd|th)?\s?[-\u2013]\s?(?=(?:{_MONTH_NAME})\b)",
        lambda m: re.sub(r"\s?[-\u2013]\s?$", " to ", m[0]),
        "-\u2013",
    ),
    rule(r"(?i:\b(?:on|by|until|since|before|after)\s)(\d{1,2})/(\d{1,2})(?![\d/])", _day_after, "/"),
    rule(r"(?<![\d/.])(0?[1-9]|1[0-2])/(2[1-9]|3[01])(?![\d/])", lambda m: _day_of(int(m[1]), int(m[2])) or m[0], "/"),
    rule(
        r"\b([ap]\.m)\.(?=\s+(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|\s+(?:[ECMP][SD]?T|GMT|UTC)\b)",
        r"\1",
        ".",
        ignore_case=True,
    ),
    rule(r"(?i:\b(?:in|by|since|until|till|year|circa)\s)(1\d{3}|2[0-2]\d\d)(?![\w%]|[.,:/-]\d|\s[a-z]+s\b)", _in_year),
    rule(r"\b9/11\b(?!/)", "nine eleven", "/"),
    rule(r"\b24/7\b", "twenty four seven", "/"),
    rule(r"(?<![\d.-])(?P<year>[12]\d{3})-(?P<month>\d\d)-(?P<day>\d\d)(?![\d-])", _iso, "-"),
    rule(r"(?<![\d/.])(?P<first>\d{1,2})/(?P<second>\d{1,2})/(?P<year>[12]\d{3}|\d\d)(?![\d/])", _numeric, "/"),
    rule(r"(?<![\d.])(?P<first>\d{1,2})([.-])(?P<second>\d{1,2})\2(?P<year>[12]\d{3})(?![\d.-]\d)", _numeric, ".-"),
    rule(rf"(?i:(?P<the>\bthe\s))?\b{_DAY}(?:\s+of)?\s+{_MONTH}(?:,?\s+{_YEAR})?", _day_month),
    rule(
        rf"\b{_MONTH}\s+(?:the\s+)?{_DAY}(?:\s?[-\u2013/]\s?(?P<last>[12]?\d|3[01])(?:st|nd|rd"
        rf"|th)?\b(?![/.]\d))?(?:,?\s+{_YEAR})?",
        _month_day,
    ),
    rule(rf"\b{_MONTH},?\s+{_YEAR}", lambda m: f"{_month_name(m['month'])} {_year_words(m['year'])}"),
    rule(
        rf"(?<![\d:.])(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::(?P<second>[0-5]\d))?(?!\d"
        rf"|:\d){_HALF}?(?P<hours>\s?(?:h|hrs?|hours)\b)?",
        _clock,
        ":",
    ),
    rule(r"(?<![\w.,:$])(?P<zero>0)?(?P<figures>[1-9]\d00|[1-9]00|\d[1-5][05])\s?(?:hrs?|hours|h)\b", _military, "h"),
    rule(rf"{_O_CLOCK}\s+{_O_CLOCK}", _O_CLOCK, "'"),
    rule(
        rf"(?<![\d:.,/$])(?P<hour>1[0-2]|0?[1-9]){_HALF}", lambda m: numbers.cardinal(int(m["hour"])) + _suffix(m), "mM"
    ),
    rule(
        r"(?<![\d$.,-])(\d{1,4}):(\d{1,4})(?![\d:]|\.\d)",
        lambda m: f"{numbers.number(m[1])} to {numbers.number(m[2])}",
        ":",
    ),
    rule(r"(?<=\d0s)\s?[-\u2013]\s?(?=(?:\d\d)?\d0s)", " to ", "-\u2013"),
    rule(r"\b(1,?000|100?)'?s(?= of\b)", _many, "s"),
    rule(r"(?<![\w$.,])(?P<old>')?(?P<decade>[12]\d\d0|[1-9]\d0|[2-9]0)'?s\b", _decade, "s"),
    rule(r"(?<![\w'])'(\d\d)\b(?!')", lambda m: numbers.two_digits(int(m[1])), "'"),
    rule(
        r"(?<![\d])(?P<year>1[1-9]\d\d|20\d\d)\s?[-\u2013]\s?(?P<end>1[1-9]\d\d|20\d\d|\d\d)(?![\d-])",
        _years,
        "-\u2013",
    ),
    rule(
        r"(?<![\w$\u20ac\u00a3\u00a5\u20b9#.,/:+=*<>~^-])(?P<year>1[1-9]\d\d|20\d\d)(?![\w%\u00b0$]|[.,:/]\d|-\w"
        r"|\s?[+=*/<>^\u00d7]"
        r"|\s(?:hundred|thousand|million|billion|trillion|percent)\b)(?:\s+(?P<noun>[a-z]+s|people|men|women"
        r"|children)\b)?",
        _bare_year,
    ),
)
"""Rules in order; years last, so that dates have taken theirs."""

WEEKDAYS = (
    rule(
        rf"\b(?P<first>{_FULL_DAYS}|(?:{'|'.join(_DAYS)})\.?)(?P<joint>\s?[-\u2013/]\s?)"
        rf"(?P<last>{_FULL_DAYS}|(?:{'|'.join(_DAYS)})\b)",
        _between_weekdays,
        "-\u2013/",
    ),
    rule(rf"\b{_MONTH}(?P<joint>\s?[-\u2013/]\s?)(?P<last>{_MONTH_NAME})(?!\w)", _between_months, "-\u2013/"),
)
"""Ranges of days and months, which need no digit."""
