"""English readings of measures: units by their symbols, with prefixes and powers; feet and inches by their marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from parlando.text import numbers
from parlando.text.rules import rule, words

_PREFIXES = {
    "k": "kilo", "K": "kilo", "M": "mega", "G": "giga", "T": "tera", "P": "peta", "h": "hecto", "d": "deci",
    "c": "centi",
    "m": "milli", "\u03bc": "micro", "n": "nano", "p": "pico",
}  # fmt: skip
# Symbol, name, plural, prefixes that it is found with; a dot among them is the symbol alone.
_METRIC = (
    ("m", "meter", "meters", ".kcdm\u03bcn"), ("g", "gram", "grams", ".km\u03bcn"),
    ("s", "second", "seconds", ".m\u03bcn"),
    ("Hz", "hertz", "hertz", ".kKMGT"), ("W", "watt", "watts", ".kMGTm"), ("Wh", "watt hour", "watt hours", ".kMGT"),
    ("V", "volt", "volts", ".kMm"), ("A", "ampere", "amperes", "km\u03bc"), ("Ah", "amp hour", "amp hours", ".m"),
    ("VA", "volt ampere", "volt amperes", ".kM"), ("J", "joule", "joules", ".kMG"), ("N", "newton", "newtons", "k"),
    ("Pa", "pascal", "pascals", ".hkMG"), ("bar", "bar", "bar", ".m"), ("l", "liter", "liters", ".mcdh\u03bc"),
    ("L", "liter", "liters", ".md\u03bc"), ("B", "byte", "bytes", "kKMGTP"), ("bit", "bit", "bits", "kMG"),
    ("bps", "bit per second", "bits per second", "kKMGT"), ("b/s", "bit per second", "bits per second", "kMG"),
    ("bit/s", "bit per second", "bits per second", "kMG"), ("eV", "electron volt", "electron volts", ".kMGT"),
    ("cal", "calorie", "calories", ".k"), ("mol", "mole", "moles", ".m\u03bc"),
    ("Sv", "sievert", "sieverts", ".m\u03bc"),
    ("Bq", "becquerel", "becquerels", ".kMG"), ("F", "farad", "farads", "m\u03bcnp"),
    ("H", "henry", "henries", "m\u03bc"),
    ("\u03a9", "ohm", "ohms", ".kMm"), ("T", "tesla", "tesla", "m\u03bc"), ("px", "pixel", "pixels", ".M"),
    ("pc", "parsec", "parsecs", "kM"), ("lm", "lumen", "lumens", "."), ("lx", "lux", "lux", "."),
)  # fmt: skip
_OTHERS = {
    "km/h": ("kilometer per hour", "kilometers per hour"), "mi": ("mile", "miles"), "ft": ("foot", "feet"),
    "yd": ("yard", "yards"), "mph": ("mile per hour", "miles per hour"), "nmi": ("nautical mile", "nautical miles"),
    "NM": ("nautical mile", "nautical miles"), "kn": ("knot", "knots"), "kt": ("knot", "knots"),
    "kts": ("knot", "knots"),
    "ly": ("light year", "light years"), "mpg": ("mile per gallon", "miles per gallon"), "lb": ("pound", "pounds"),
    "oz": ("ounce", "ounces"), "t": ("ton", "tons"), "gal": ("gallon", "gallons"), "qt": ("quart", "quarts"),
    "bbl": ("barrel", "barrels"), "cc": ("cubic centimeter", "cubic centimeters"), "ha": ("hectare", "hectares"),
    "fl oz": ("fluid ounce", "fluid ounces"), "sq ft": ("square foot", "square feet"),
    "sqft": ("square foot", "square feet"),
    "sq. ft": ("square foot", "square feet"), "sq mi": ("square mile", "square miles"),
    "sq km": ("square kilometer", "square kilometers"), "sq m": ("square meter", "square meters"),
    "cu ft": ("cubic foot", "cubic feet"), "cu m": ("cubic meter", "cubic meters"),
    "tbsp": ("tablespoon", "tablespoons"), "tsp": ("teaspoon", "teaspoons"),
    "\u00b0C": ("degree Celsius", "degrees Celsius"),
    "\u00b0F": ("degree Fahrenheit", "degrees Fahrenheit"), "\u00b0K": ("kelvin", "kelvin"),
    "\u00b0": ("degree", "degrees"),
    "%": ("percent", "percent"), "\u2030": ("per mille", "per mille"), "sec": ("second", "seconds"),
    "min": ("minute", "minutes"), "h": ("hour", "hours"), "hr": ("hour", "hours"), "wk": ("week", "weeks"),
    "mo": ("month", "months"), "yr": ("year", "years"), "rpm": ("revolution per minute", "revolutions per minute"),
    "bpm": ("beat per minute", "beats per minute"), "ppm": ("part per million", "parts per million"),
    "ppb": ("part per billion", "parts per billion"), "dpi": ("dot per inch", "dots per inch"),
    "ppi": ("pixel per inch", "pixels per inch"), "fps": ("frame per second", "frames per second"),
    "psi": ("pound per square inch", "pounds per square inch"),
    "mmHg": ("millimeter of mercury", "millimeters of mercury"),
    "inHg": ("inch of mercury", "inches of mercury"), "hp": ("horsepower", "horsepower"), "dB": ("decibel", "decibels"),
    "dBA": ("decibel", "decibels"), "dBm": ("decibel milliwatt", "decibel milliwatts"),
    "Nm": ("newton meter", "newton meters"), "ft-lb": ("foot pound", "foot pounds"),
    "lb-ft": ("pound foot", "pound feet"),
    "MP": ("megapixel", "megapixels"), "KiB": ("kibibyte", "kibibytes"), "MiB": ("mebibyte", "mebibytes"),
    "GiB": ("gibibyte", "gibibytes"), "TiB": ("tebibyte", "tebibytes"), "mAh": ("milliamp hour", "milliamp hours"),
    "mpx": ("megapixel", "megapixels"),
}  # fmt: skip
_ALIASES = {
    "kph": "km/h", "kmh": "km/h", "kmph": "km/h", "KPH": "km/h", "KMH": "km/h", "km/hr": "km/h", "MPH": "mph",
    "mi/h": "mph",
    "kgs": "kg", "Kg": "kg", "KG": "kg", "Kgs": "kg", "kms": "km", "Km": "km", "KM": "km", "yds": "yd", "lbs": "lb",
    "secs": "sec", "mins": "min", "hrs": "hr", "yrs": "yr", "wks": "wk", "mos": "mo", "tbsps": "tbsp", "tsps": "tsp",
    "ozs": "oz", "gals": "gal", "fl. oz": "fl oz", "sq.ft": "sq ft", "kcals": "kcal", "RPM": "rpm", "PSI": "psi",
    "knots": "kn",
    "Kbps": "kbps", "mbps": "Mbps", "cms": "cm", "mls": "ml", "gms": "g", "gm": "g", "gr": "g", "mbar": "mbar",
}  # fmt: skip
_CONTEXT = 300  # characters before a mark in which a quotation may have begun
_POWERS = {"2": "square", "3": "cubic"}
_AFTER_TIME = {"square": "squared", "cubic": "cubed"}
_PERIODS = {"mo": "month", "wk": "week", "y": "year", "d": "day", "month": "month"}


def _metric() -> Iterator[tuple[str, tuple[str, str]]]:
    for symbol, one, many, prefixes in _METRIC:
        for prefix in prefixes:
            name = _PREFIXES.get(prefix, "")
            yield prefix.strip(".") + symbol, (name + one, name + many)


UNITS: dict[str, tuple[str, str]] = dict(_metric()) | _OTHERS
UNITS |= {alias: UNITS[symbol] for alias, symbol in _ALIASES.items()}
"""Units by their symbol: the name of one and of many."""


def alternatives(names: Iterable[str]) -> str:
    """A pattern for any of the names, the longest first."""
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
"""The pattern of a number without its sign."""
MINUS = r"(?P<sign>(?<![\w.)%\u00b0])-)?"
"""A sign before a number, where it is no dash."""

_UNIT = alternatives(UNITS)
_MARK = r"(?P<mark>['\"])(?![\w'\"])"
_RANGE = r"(?:(?:%|\u00b0[CF]?)?\s?[-\u2013]\s?(?P<to>\d+(?:\.\d+)?))?"
_DIMENSION = (
    "(?:wide|thick|tall|long|high|deep|across|apart|away|by|x|in|of|from|to|and|or|above|below|under|over|off|square"
    "|round)"
)
_LENGTHS = ("meter", "mile", "yard", "foot")
_DIMENSION_FOLLOWS = re.compile(rf"\s+{_DIMENSION}\b|\s?[x\u00d7]\s?\d|\s?by\b")
_SIZE_FOLLOWS = re.compile(r"\s+(?:wide|thick|tall|long|high|deep|across)\b|\s?[x\u00d7]\s?\d")
# What is as long as a measure that stands before it: the 10 m race.
_ATTRIBUTED = re.compile(
    r"\s(?:(?:men|women|boys|girls)'?s?'?\s|mixed\s|indoor\s|outdoor\s)?(?:races?|dash(?:es)?|sprints?|hurdles|relays?"
    r"|freestyle|backstroke|breaststroke|butterfly|medley|steeplechase|finals?|heats?|pools?|swims?|runs?|walks?|tracks?"
    r"|boards?|platforms?|record|events?|putts?|jumps?|dives?|drops?|climbs?|lengths?|hikes?|rides?|marathons?)\b"
)
_FEET = "'"
# The other sides of a thing that has several, before its name: a 2' by 4' board.
_OTHER_SIDES = re.compile(r"(?:\sby\s(?:\d+[ -])?\d+(?:[./]\d+)?['\"])*")
_NOUN_FOLLOWS = re.compile(rf"\s(?!{_DIMENSION}\b|(?:on|at|per|for|with|than|is|was|are|were|ago|more|less)\b)[a-z]+")
_DETERMINED = 8  # characters that the longest determiner has
_DETERMINER = re.compile(r"\b(?:an?|the|this|that|my|our|your|his|her|its|their|each|every|another)\s$", re.IGNORECASE)
_LASTING_FOLLOWS = re.compile(rf"(?!\s(?:it|he|she|they|we|you|that|which|later|left)\b){_NOUN_FOLLOWS.pattern}")


def is_one(text: str) -> bool:
    """Whether a number takes the singular."""
    return text in ("1", "1.0")


def _measure(match: re.Match[str]) -> str:
    one, many = UNITS[match["unit"]]
    amount, to = match["amount"].replace(",", ""), match["to"]
    counts = match["article"] and _NOUN_FOLLOWS.match(match.string, match.end())
    is_length = one.endswith(_LENGTHS) and _ATTRIBUTED.match(match.string, match.end())
    singular = (is_one(amount) and not to) or counts or is_length
    below = match["below"]
    name = _powered(one if singular else many, _POWERS.get(match["power"] or "", ""))
    if below:
        name += f" per {_powered(UNITS[below][0], _POWERS.get(match['power_below'] or '', ''), in_time=below == 's')}"
    sign = "minus " if match["sign"] else ""
    last = f" to {numbers.number(to)}" if to else ""
    return f"{match['article'] or ''}{sign}{numbers.number(amount)}{last} {name}"


def _powered(name: str, power: str, in_time: bool = False) -> str:
    """``square meters``, but ``second squared``."""
    return f"{name} {_AFTER_TIME[power]}" if power and in_time else f"{power} {name}".strip()


def mixed(match: re.Match[str]) -> str:
    """A fraction, with a whole number before it or not: ``3/4``, ``1 1/2``."""
    whole, numerator, denominator = (int(group or 0) for group in match.groups()[:3])
    if denominator == 0:
        return match[0].replace("/", " over ")
    words = numbers.fraction(numerator, denominator)
    if not match[1]:
        return words
    return f"{numbers.cardinal(whole)} and {'a' + words[3:] if numerator == 1 else words}"


def _lasting(match: re.Match[str]) -> str:
    """``1h30m``, ``5m30s``: how long something takes; a 2h 30m film is one of two hour thirty minute."""
    parts = (
        (match["hour"], "hour"),
        (match["minute"] or match["minute_alone"], "minute"),
        (match["second"] or match["second_alone"], "second"),
    )
    before = match.string[max(match.start() - _DETERMINED, 0) : match.start()]
    measures = _DETERMINER.search(before) and _LASTING_FOLLOWS.match(match.string, match.end())
    return " ".join(
        f"{int(amount)} {name}{'' if int(amount) == 1 or measures else 's'}" for amount, name in parts if amount
    )


def _part(match: re.Match[str]) -> str:
    """A fraction of a unit: ``3/4 mi`` is of a mile, ``1 1/2 tsp.`` has teaspoons."""
    one, many = UNITS[match[4]]
    return f"{mixed(match)} {many if match[1] else ('of an ' if one[0] in 'aeiou' else 'of a ') + one}"


def _per(match: re.Match[str]) -> str:
    if match[1] not in _COUNTED:
        return match[0]
    below = UNITS[match[2]][0] if match[2] in UNITS else _PERIODS.get(match[2], match[2])
    return f"{match[1]} per {below}"


def _feet_and_inches(match: re.Match[str]) -> str:
    inches = f" {numbers.number(match[2])}" if match[2] else ""
    return f"{numbers.cardinal(int(match[1]))} foot{inches}"


def _arc(match: re.Match[str]) -> str:
    degrees, minutes, seconds = (int(group or 0) for group in match.groups())
    words = f"{numbers.cardinal(degrees)} degrees {numbers.cardinal(minutes)} minutes"
    return f"{words} {numbers.cardinal(seconds)} seconds" if seconds else words


def _is_closing(match: re.Match[str], mark: str) -> bool:
    """Whether a quotation mark that stands after a figure ends a quotation that is open before it."""
    before = match.string[max(match.start() - _CONTEXT, 0) : match.start()]
    if mark == '"':
        quotes = re.sub(r"(?<=\d)\"(?=\s*[x\u00d7,]|\s[a-z]|\s?[-\u2013]\s?\d)", "", before).count('"')
        return quotes % 2 == 1
    return len(re.findall(r"(?<!\w)'(?=[A-Za-z])", before)) > len(re.findall(r"(?<=[a-z.,!?])'(?!\w)", before))


def _marked(match: re.Match[str]) -> str:
    """``5'`` is five feet, ``3-4"`` three to four inches; before what they measure one foot, one inch (a 10" pizza)."""
    if _is_closing(match, match["mark"]) and not _SIZE_FOLLOWS.match(match.string, match.end()):
        return match[0]
    amount, to = match["amount"].replace(",", ""), match["to"]
    last = f" to {numbers.number(to)}" if to else ""
    name = _name_of_mark(match, is_one(amount) and not to)
    gap = "" if match.string[match.end() : match.end() + 1] in (" ", "") else " "
    return f"{numbers.number(amount)}{last} {name}{gap}"


def _marked_part(match: re.Match[str]) -> str:
    """``3/4"`` is of an inch, ``3 1/2'`` are feet, a 3/4" bolt is one of three quarter inch."""
    if _is_closing(match, match["mark"]) and not _SIZE_FOLLOWS.match(match.string, match.end()):
        return match[0]
    name = _name_of_mark(match)
    if match[1]:
        return f"{mixed(match)} {name}"
    if name in ("foot", "inch"):
        return f"{mixed(match).removesuffix('s')} {name}"
    return f"{mixed(match)} of {'a foot' if match['mark'] == _FEET else 'an inch'}"


def _name_of_mark(match: re.Match[str], is_single: bool = False) -> str:
    one, many = ("foot", "feet") if match["mark"] == _FEET else ("inch", "inches")
    others = _OTHER_SIDES.match(match.string, match.end())
    measures = _NOUN_FOLLOWS.match(match.string, others.end() if others else match.end())
    return one if is_single or measures else many


_COUNTED: frozenset[str] = frozenset(name for names in UNITS.values() for name in names if " " not in name) | words(
    "dollar dollars euro euros pound pounds yen cent cents pence penny rupee rupees franc francs yuan"
)

RULES = (
    rule(
        r"\b(?:(?P<hour>\d{1,3})h ?(?P<minute>\d{1,2})(?:m|min)?(?: ?(?P<second>\d{1,2})s)?"
        r"|(?P<minute_alone>\d{1,3})m ?(?P<second_alone>\d{1,2})s)\b",
        _lasting,
        "hm",
    ),
    rule(r"(?<=\d)(?: ?)ft\.?(?= \d{1,2} ?in\b)", " ft", "f"),
    rule(r"(?<=\d) ?in\.(?= [a-z])", " inches", "i"),
    rule(r"\b([Aa]n? \d+|(?<![\d.])1)in\b(?!\.\w)", r"\1 inch", "i"),
    rule(r"(?<=\d)in\b(?!\.\w)", " inches", "i"),
    rule(r"(?<=\d) ?(sq|cu|fl)\. ?(?=ft|in|mi|km|m|oz)", r" \1 ", "scf"),
    rule(r"\b(\d{1,3})\u00b0\s?(\d{1,2})'(?:\s?(\d{1,2})\")?", _arc, "\u00b0"),
    rule(r"(?<=\d) ?([kcmd]?m)([23])(?!\w)", r" \1^\2", "23"),
    rule(
        r"(\d ?(?:m|cm|mm|km|ft|px|in)|\d['\"]"
        r"|\d(?= ?[x\u00d7] ?\d+(?:\.\d+)? ?(?:m|cm|mm|km|ft|px|in)\b)) ?[x\u00d7] ?(?=\d)",
        r"\1 by ",
        "x\u00d7",
    ),
    rule(r"\b(\d{1,3})'\s?-?\s?(\d{1,2}(?:\.\d+)?)(?:\"|''|(?=\s|[.,;:!?)]|$))", _feet_and_inches, "'"),
    rule(r"(?<=\d\sft)(\s\d{1,2}) ?in\b\.?", r"\1 inches", "f"),
    rule(rf"(?<![\w./])(?:(\d{{1,15}})[\s-])?(\d{{1,2}})/(\d{{1,2}}){_MARK}", _marked_part, "'\""),
    rule(rf"(?<![\w.,/'-])(?P<amount>{NUMBER})['\"]?\s?[-\u2013]\s?(?P<to>{NUMBER}){_MARK}", _marked, "'\""),
    rule(rf"(?<![\w.,/'])(?P<amount>{NUMBER})(?P<to>){_MARK}", _marked, "'\""),
    rule(rf"(?<![\w./])(?:(\d{{1,15}})[\s-])?(\d{{1,2}})/(\d{{1,2}})\s?({_UNIT})(?![\w'/])\.?", _part, "/"),
    rule(
        rf"(?P<article>\b[Aa]n?\s|\b[Ee]very\s"
        rf"|\b[Ee]ach\s)?(?<![\w.,/])(?<![A-Za-z]-){MINUS}(?P<amount>{NUMBER}){_RANGE}[\s-]?"
        rf"(?P<unit>{_UNIT})(?:\^(?P<power>[23]))?(?:/(?P<below>{_UNIT})(?:\^(?P<power_below>[23]))?)?"
        r"(?![\w'])(?:\.(?=\s+[a-z]))?",
        _measure,
    ),
    rule(r"\bdegrees? ([CF])\b", lambda m: m[0][:-1] + {"C": "Celsius", "F": "Fahrenheit"}[m[1]], "CF"),
    rule(r"\b([a-z]+)\s?/\s?([A-Za-z]+)\b", _per, "/"),
)
"""Numbers with a unit, read after dates and before words in capitals are spelled."""
