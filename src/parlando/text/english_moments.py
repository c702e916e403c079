"""English dates and times in figures: ranges of days (25-27/12), ISO 8601, times with a dot."""

from __future__ import annotations

import re
from collections.abc import Sequence

from parlando.text import numbers
from parlando.text.english_dates import MONTHS, expand_year, hour_minute
from parlando.text.rules import rule

_MONTHS, _DAYS = 12, 31
_LONGEST_TURN = 6  # months of a range that goes on in the next year
_PARTS_OF_AN_INCH = (2, 4, 8, 16)
_NUMBER = r"\d{1,2}"
_YEAR = r"(?:[12]\d{3}|\d\d)"
_THE = r"(?i:(?P<the>\bthe\s))?(?<![\w./-])"
_JOINT = r"(?P<joint>\s?[-\u2013]\s?|\s(?:to|until|till|through)\s)"
_DONE = r"(?![\w/-]|\.\d|\s?(?:inch|in\b|cups?|[\"']))"
_ZONE = r"(?:Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)"

_Day = tuple[int, int]
"""A month and a day of it."""


def _is_day(month: int, day: int) -> bool:
    return 1 <= month <= _MONTHS and 1 <= day <= _DAYS


def _goes_on(first: _Day, last: _Day) -> bool:
    """Whether a range without years ends after it begins, be it in the next year."""
    return first < last or (first[0] > last[0] and first[0] - last[0] >= _MONTHS - _LONGEST_TURN)


def _joined(match: re.Match[str]) -> str:
    joint = match["joint"].strip()
    return "to" if joint in "-\u2013" else joint


def _in_year(text: str | None) -> str:
    return f", {expand_year(text)}" if text else ""


def _between_dates(match: re.Match[str]) -> str:
    """``30/4-2/5/2024``: both days are written in the same order, the month first unless that makes no range."""
    one, two, three, four = (int(match[name]) for name in ("one", "two", "three", "four"))
    orders = {"month": ((one, two), (three, four)), "day": ((two, one), (four, three))}
    valid = [order for order, days in orders.items() if all(_is_day(*day) for day in days)]
    likely = [order for order in valid if _goes_on(*orders[order])]
    order = next(iter(likely or valid), "")
    is_date = len(match["year"]) >= match["mark"].count(".") * 4 if match["year"] else _is_no_fraction(match, valid)
    if not order or not is_date or not (likely or match["year"]):
        return match[0]
    first, last = orders[order]
    start, end = match["the"] or "", "the " if order == "day" else ""
    said = _month_first if order == "month" else _day_first
    first_words = f"{said(first, start)}{_in_year(match['first_year'])}"
    return f"{first_words} {_joined(match)} {said(last, end)}{_in_year(match['year'])}"


def _is_no_fraction(match: re.Match[str], orders: Sequence[str]) -> bool:
    """Whether ``24/12-2/1`` can be read in one order only, and is no range of parts of an inch (1/8-3/16)."""
    lower = (int(match["two"]), int(match["four"]))
    fractions = lower[0] == lower[1] or all(each in _PARTS_OF_AN_INCH for each in lower)
    return match["mark"] == "/" and (orders == ["day"] or (orders == ["month"] and not fractions))


def _month_first(day: _Day, start: str) -> str:
    return f"{start}{MONTHS[day[0] - 1]} {numbers.ordinal(day[1])}"


def _day_first(day: _Day, start: str) -> str:
    return f"{start or 'the '}{numbers.ordinal(day[1])} of {MONTHS[day[0] - 1]}"


def _between_days(match: re.Match[str]) -> str:
    """``25-27/12``; a proper fraction without a year is one (2-3/4)."""
    first, last, month = int(match["first"]), int(match["last"]), int(match["month"])
    is_fraction = not match["year"] and (match["mark"] == "." or last < month)
    if is_fraction or first >= last or not (_is_day(month, first) and _is_day(month, last)):
        return match[0]
    start = f"{match['the'] or 'the '}{numbers.ordinal(first)}"
    return f"{start} {_joined(match)} {_day_first((month, last), 'the ')}{_in_year(match['year'])}"


def _days_of_month(match: re.Match[str]) -> str:
    """``12/25-27``, ``6/3-5/2024``; a sixteenth is a size (5/16-18)."""
    month, first, last = int(match["month"]), int(match["first"]), int(match["last"])
    is_fraction = not match["year"] and (first <= _MONTHS or first in _PARTS_OF_AN_INCH)
    if is_fraction or first >= last or not (_is_day(month, first) and _is_day(month, last)):
        return match[0]
    start = _month_first((month, first), match["the"] or "")
    return f"{start} {_joined(match)} {numbers.ordinal(last)}{_in_year(match['year'])}"


def _zone(text: str | None) -> str:
    """``Z`` is U T C, ``+05:30`` U T C plus five thirty."""
    if not text:
        return ""
    hour, minute = int(text[1:3] or 0), int(text[3:].lstrip(":") or 0)
    if not hour and not minute:
        return " U T C"
    sign = "minus" if text[0] == "-" else "plus"
    return f" U T C {sign} {numbers.cardinal(hour)}{f' {numbers.two_digits(minute)}' if minute else ''}"


def _moment(match: re.Match[str]) -> str:
    """``2024-03-05T14:30Z``: the day, the time of it and its zone, if it is said."""
    month, day, hour, minute = (int(match[name]) for name in ("month", "day", "hour", "minute"))
    if not _is_day(month, day):
        return match[0]
    date = f"{_month_first((month, day), '')}, {numbers.year(int(match['year']))}"
    second = (match["second"] or "").replace(",", ".")
    seconds = f" and {numbers.number(second.removeprefix('0'))} second{'' if second == '01' else 's'}"
    return f"{date}, {hour_minute(hour, minute)}{seconds if second.strip('0.') else ''}{_zone(match['zone'])}"


_CLOCK = r"(?P<hour>[01]\d|2[0-4]):(?P<minute>[0-5]\d)"
_SECOND = r"(?P<second>[0-5]\d(?:[.,]\d{1,9})?)"
_DATE = r"(?<![\w.-])(?P<year>[12]\d{3})-(?P<month>\d\d)-(?P<day>\d\d)"
_HALF = r"\s?[ap]\.?m\b"
_HOUR = r"(?:1[0-2]|0?[1-9])"

RULES = (
    rule(
        rf"{_THE}(?P<one>{_NUMBER})(?P<mark>[/.])(?P<two>{_NUMBER})(?:(?P=mark)(?P<first_year>{_YEAR})|\.)?{_JOINT}"
        rf"(?P<three>{_NUMBER})(?P=mark)(?P<four>{_NUMBER})(?:(?P=mark)(?P<year>{_YEAR}))?{_DONE}",
        _between_dates,
        "/.",
    ),
    rule(
        rf"{_THE}(?P<first>{_NUMBER})\.?{_JOINT}(?P<last>{_NUMBER})(?P<mark>[/.])(?P<month>{_NUMBER})"
        rf"(?:(?P=mark)(?P<year>{_YEAR}))?{_DONE}",
        _between_days,
        "/.",
    ),
    rule(
        rf"{_THE}(?P<month>{_NUMBER})/(?P<first>{_NUMBER}){_JOINT}(?P<last>{_NUMBER})(?:/(?P<year>[12]\d{{3}}))?{_DONE}",
        _days_of_month,
        "/",
    ),
    rule(
        r"(?<![\w.-])(?P<year>[12]\d{3})(?P<month>\d\d)(?P<day>\d\d)T(?P<hour>[01]\d|2[0-4])(?P<minute>[0-5]\d)"
        rf"{_SECOND}?(?P<zone>{_ZONE})?(?![\w:])",
        _moment,
        "T",
    ),
    rule(rf"{_DATE}[Tt]{_CLOCK}(?::{_SECOND})?(?P<zone>{_ZONE})?(?![\w:])", _moment, "-"),
    rule(rf"{_DATE} {_CLOCK}:{_SECOND} ?(?P<zone>{_ZONE})(?![\w:])", _moment, "-"),
    rule(r"(?<=:\d\d)Z\b", " U T C", "Z"),
    rule(r"(?<=\d-\d\d-\d\d)\s?[\u2013/]\s?(?=[12]\d{3}-\d\d-\d\d(?!\d))", " to ", "\u2013/"),
    rule(
        rf"(?<![\d:.,/$\u20ac\u00a3])({_HOUR})\.([0-5]\d)(?=(?:\s?[-\u2013]\s?{_HOUR}(?:[.:][0-5]\d)?)?{_HALF})",
        r"\1:\2",
        ".",
        ignore_case=True,
    ),
)
"""Rules in order, before versions and groups of digits are looked for."""
