"""English money, measures, phone numbers, ranges, fractions and signs: everything with digits that is not a date."""

from __future__ import annotations

import re
from collections.abc import Iterable

from parlando.text import numbers
from parlando.text.rules import rule

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "US$": ("U S dollar", "U S dollars", "cent", "cents"),
    "C$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "A$": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "HK$": ("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
    "\u20ac": ("euro", "euros", "cent", "cents"),
    "\u00a3": ("pound", "pounds", "penny", "pence"),
    "\u00a5": ("yen", "yen", "sen", "sen"),
    "\u20b9": ("rupee", "rupees", "paisa", "paise"),
    "\u20a9": ("won", "won", "jeon", "jeon"),
    "\u20bd": ("ruble", "rubles", "kopeck", "kopecks"),
    "\u20bf": ("bitcoin", "bitcoins", "satoshi", "satoshis"),
    "USD": ("U S dollar", "U S dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "JPY": ("yen", "yen", "sen", "sen"),
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "CNY": ("yuan", "yuan", "fen", "fen"),
    "INR": ("rupee", "rupees", "paisa", "paise"),
}
_MAGNITUDES = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "mm": "million",
    "b": "billion", "B": "billion", "bn": "billion", "t": "trillion", "T": "trillion", "tn": "trillion",
}  # fmt: skip
_UNITS = {
    "km/h": ("kilometer per hour", "kilometers per hour"), "kph": ("kilometer per hour", "kilometers per hour"),
    "km": ("kilometer", "kilometers"), "cm": ("centimeter", "centimeters"), "mm": ("millimeter", "millimeters"),
    "m/s": ("meter per second", "meters per second"), "m": ("meter", "meters"), "mi": ("mile", "miles"),
    "nm": ("nanometer", "nanometers"), "\u03bcm": ("micrometer", "micrometers"),
    "ft": ("foot", "feet"), "yd": ("yard", "yards"), "yds": ("yard", "yards"),
    "mph": ("mile per hour", "miles per hour"), "mpg": ("mile per gallon", "miles per gallon"),
    "kg": ("kilogram", "kilograms"), "mg": ("milligram", "milligrams"), "g": ("gram", "grams"),
    "\u03bcg": ("microgram", "micrograms"), "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"), "ml": ("milliliter", "milliliters"), "mL": ("milliliter", "milliliters"),
    "l": ("liter", "liters"), "L": ("liter", "liters"), "gal": ("gallon", "gallons"),
    "\u00b0C": ("degree Celsius", "degrees Celsius"), "\u00b0F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "\u00b0": ("degree", "degrees"), "%": ("percent", "percent"),
    "ms": ("millisecond", "milliseconds"), "s": ("second", "seconds"), "sec": ("second", "seconds"),
    "secs": ("second", "seconds"), "min": ("minute", "minutes"), "mins": ("minute", "minutes"),
    "h": ("hour", "hours"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "yr": ("year", "years"),
    "yrs": ("year", "years"), "kB": ("kilobyte", "kilobytes"),
    "KB": ("kilobyte", "kilobytes"), "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"), "kbps": ("kilobit per second", "kilobits per second"),
    "Mbps": ("megabit per second", "megabits per second"), "Gbps": ("gigabit per second", "gigabits per second"),
    "Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"), "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"), "W": ("watt", "watts"), "kW": ("kilowatt", "kilowatts"),
    "kWh": ("kilowatt hour", "kilowatt hours"), "MW": ("megawatt", "megawatts"), "V": ("volt", "volts"),
    "mAh": ("milliamp hour", "milliamp hours"), "dB": ("decibel", "decibels"), "px": ("pixel", "pixels"),
    "tbsp": ("tablespoon", "tablespoons"),
    "tsp": ("teaspoon", "teaspoons"),
    "kcal": ("kilocalorie", "kilocalories"), "ha": ("hectare", "hectares"),
    "fps": ("frame per second", "frames per second"),
    "kg/m": ("kilogram per meter", "kilograms per meter"), "g/m": ("gram per meter", "grams per meter"),
    "g/cm": ("gram per centimeter", "grams per centimeter"), "mg/m": ("milligram per meter", "milligrams per meter"),
    "\u03bcg/m": ("microgram per meter", "micrograms per meter"), "W/m": ("watt per meter", "watts per meter"),
}  # fmt: skip
_PERIODS = {"mo": ("month",), "wk": ("week",), "y": ("year",), "d": ("day",)}
_POWERS = {"2": "square", "3": "cubic"}
_AFTER_TIME = {"square": "squared", "cubic": "cubed"}
_SIGNS = {
    "+": "plus", "=": "equals", "\u00d7": "times", "\u00f7": "divided by", "\u00b1": "plus or minus",
    "\u2248": "is approximately", "\u2260": "is not equal to", "\u2264": "is at most", "\u2265": "is at least",
    "\u221a": "square root of", "\u03c0": "pi", "\u221e": "infinity", "&": "and", "%": "percent", "\u00b0": "degrees",
    "\u00a7": "section", "\u00a2": "cents", "$": "dollars", "\u20ac": "euros", "\u00a3": "pounds", "@": "at",
    "\u03b1": "alpha", "\u03b2": "beta", "\u03b3": "gamma", "\u03b4": "delta", "\u0394": "delta",
    "\u03bb": "lambda", "\u03bc": "mu", "\u03c3": "sigma", "\u03a3": "sigma", "\u03a9": "omega", "\u03c9": "omega",
    "\u03b8": "theta", "\u03b5": "epsilon",
}  # fmt: skip


def _alternatives(names: Iterable[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
_SYMBOLS = _alternatives(name for name in _CURRENCIES if not name.isalpha())
_CURRENCY = rf"(?P<currency>{_SYMBOLS}|(?:USD|EUR|GBP|JPY|CHF|CAD|AUD)\s)"
_CODE = r"(?P<currency>USD|EUR|GBP|JPY|CHF|CAD|AUD|CNY|INR|\u20ac|\u00a3)"
_SCALE = rf"(?:\s?(?P<scale>thousand|million|billion|trillion|hundred)\b|(?P<short>{_alternatives(_MAGNITUDES)})\b)"


def _is_one(text: str) -> bool:
    return text in ("1", "1.0")


def _money(match: re.Match[str]) -> str:
    one, many, cent, cents = _CURRENCIES[match["currency"].strip()]
    amount, group = match["amount"].replace(",", ""), match.groupdict()
    sign = "minus " if group.get("sign") else ""
    scale = group.get("scale") or _MAGNITUDES.get(group.get("short") or "", "")
    if group.get("to"):
        scale_words, first = f" {scale}" if scale else "", _MAGNITUDES.get(group.get("first") or "", scale)
        first_words = f" {first}" if first != scale else ""
        return f"{sign}{numbers.number(amount)}{first_words} to {numbers.number(group['to'])}{scale_words} {many}"
    if scale:
        return f"{sign}{numbers.number(amount)} {scale} {one if group.get('article') else many}"
    whole, _, fraction = amount.partition(".")
    if len(fraction) != 2:
        name = one if _is_one(amount) or group.get("article") else many
        return f"{sign}{numbers.number(amount)} {name}"
    parts = []
    if whole.strip("0") or not int(fraction):
        parts.append(f"{numbers.number(whole or '0')} {one if whole == '1' else many}")
    if int(fraction):
        parts.append(f"{numbers.cardinal(int(fraction))} {cent if fraction == '01' else cents}")
    return sign + " and ".join(parts)


def _notes(match: re.Match[str]) -> str:
    """``$20s`` are twenties, ``$100s`` hundreds."""
    return numbers.plural(numbers.number(match["amount"]).removeprefix("one "))


def _scientific(match: re.Match[str]) -> str:
    return f"{numbers.number(match[1])} times ten to the power of {numbers.number(match[2].lstrip('+'))}"


def _article_money(match: re.Match[str]) -> str:
    return f"{match['article']} {_money(match)}"


def _measure(match: re.Match[str]) -> str:
    one, many = _UNITS[match["unit"]]
    power = _POWERS.get(match["power"] or "", "")
    amount = match["amount"].replace(",", "")
    sign = "minus " if match["sign"] else ""
    name = one if _is_one(amount) else many
    to = f" to {numbers.number(match['to'])}" if match["to"] else ""
    if match["to"]:
        name = many
    return f"{sign}{numbers.number(amount)}{to} {_powered(name, power)}"


def _powered(name: str, power: str) -> str:
    """``square meters``, ``kilograms per cubic meter``, ``meters per second squared``."""
    above, per, below = name.partition(" per ")
    if not power or not per:
        return f"{power} {name}".strip()
    return f"{name} {_AFTER_TIME[power]}" if below == "second" else f"{above} per {power} {below}"


def _phone(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match[0])
    return ("plus " if match[0].startswith("+") else "") + ", ".join(numbers.digits(group) for group in groups)


def _mixed(match: re.Match[str]) -> str:
    whole, numerator, denominator = (int(group or 0) for group in match.groups()[:3])
    if denominator == 0:
        return match[0].replace("/", " over ")
    words = numbers.fraction(numerator, denominator)
    if not match[1]:
        return words
    return f"{numbers.cardinal(whole)} and {'a' + words[3:] if numerator == 1 else words}"


def _range(match: re.Match[str]) -> str:
    return f"{numbers.number(match[1])} to {numbers.number(match[2])}"


def _part(match: re.Match[str]) -> str:
    """A fraction of a unit: ``3/4 mi`` is of a mile, ``1 1/2 tsp.`` has teaspoons."""
    one, many = _UNITS[match[4]]
    return f"{_mixed(match)} {many if match[1] else 'of a ' + one}"


def _version(match: re.Match[str]) -> str:
    return " point ".join(numbers.number(part) for part in match[0].split("."))


def _cardinal(match: re.Match[str]) -> str:
    return numbers.number(match[0])


def _per(match: re.Match[str]) -> str:
    if match[1] not in _COUNTED:
        return match[0]
    return f"{match[1]} per {_UNITS.get(match[2], _PERIODS.get(match[2], (match[2],)))[0]}"


def _feet(match: re.Match[str]) -> str:
    inches = f" {numbers.cardinal(int(match[2]))}" if match[2] else ""
    return f"{numbers.cardinal(int(match[1]))} foot{inches}"


def _letter_k(match: re.Match[str]) -> str:
    """``4K`` of pixels and ``10K`` of a race keep their letter."""
    return f"{numbers.number(match[1])} K"


_IN_PIXELS = "(?:videos?|screens?|TVs?|displays?|monitors?|cameras?|movies|films|projectors?|pixels)\\b"
_COUNTED = frozenset(name for names in (*_CURRENCIES.values(), *_UNITS.values()) for name in names if " " not in name)
_RANGE = r"(?:(?:%|\u00b0[CF]?)?\s?[-\u2013]\s?(?P<to>\d+(?:\.\d+)?))?"
_MONEY_TAIL = (
    rf"(?P<amount>{_NUMBER})(?:(?P<first>bn|[kKmMbB])?\s?[-\u2013]\s?(?:[$\u20ac\u00a3])?(?P<to>\d+(?:\.\d+)?))?"
    rf"{_SCALE}?(?![\d])"
)
_MINUS = r"(?P<sign>(?<![\w.)%\u00b0])-)?"

PHONES_AND_MONEY = (
    rule(r"\b1-8\d\d-(?=[A-Z])", lambda m: f"{numbers.digits('1')}, {numbers.digits(m[0][2:5])}, ", "1"),
    rule(r"(?<!\w)\d{4}(?:[ -]\d{4}){3}(?![\w-])", _phone, " -"),
    rule(r"(?<=\bISBN )[\d-]{10,17}\b|(?<=\bISBN: )[\d-]{10,17}\b", _phone, "I"),
    rule(r"(?<=, [A-Z]{2} )\d{5}(?![\w,])", lambda m: numbers.digits(m[0]), ","),
    rule(r"(?<![\w.])(?:\+?\d{1,3}[ .-]?)?\(\d{3}\)\s?\d{3}[ .-]\d{4}\b", _phone, "("),
    rule(r"(?<![\w.-])(?:\+?\d{1,3}[ .-])?\d{3}([-. ])\d{3}\1\d{4}\b", _phone, "-. "),
    rule(r"(?<![\w.])\+\d{1,3}(?:[ .-]\d{1,5}){2,5}\b", _phone, "+"),
    rule(r"(?<![\w.-])\d{3}-\d{4}\b(?!-)", _phone, "-"),
    rule(r"(?<![\w.-])0\d{2,4}[ -]\d{3,4}[ -]\d{3,4}\b", _phone, "0"),
    rule(r"(?<![\w.-])\d{3}-\d{2}-\d{4}\b", _phone, "-"),
    rule(r"(?i:\b(?:dial|call|phone)(?:ed|ing)?\s+)\d{3}\b", lambda m: m[0][:-3] + numbers.digits(m[0][-3:])),
    rule(
        rf"\b(?P<article>[Aa]n?|[Pp]er|[Ee]ach) {_CURRENCY}(?P<amount>{_NUMBER}){_SCALE}?(?=[\s-][a-zA-Z])",
        _article_money,
        "$\u20ac\u00a3\u00a5",
    ),
    rule(rf"{_CURRENCY}(?P<amount>\d{{1,3}}(?:,\d{{3}})*|\d+)s\b", _notes, "s"),
    rule(rf"{_MINUS}{_CURRENCY}{_MONEY_TAIL}", _money),
    rule(rf"(?<![\w.]){_MINUS}(?P<amount>{_NUMBER}){_SCALE}?\s?{_CODE}(?!\w)", _money),
    rule(r"(?<![\w.])(\d+)\s?\u00a2", lambda m: f"{numbers.number(m[1])} cent{'' if m[1] == '1' else 's'}", "\u00a2"),
)
"""Numbers that must be read before dates are looked for."""

MEASURES = (
    rule(r"\b(\d{1,3})h ?(\d{1,2})(?:m|min)?\b", lambda m: f"{m[1]} hours {m[2]} minutes", "h"),
    rule(r"(?<=\d) ?ft\.(?= \d{1,2} ?in\b)", " ft", "f"),
    rule(r"(?<=\d) ?in\.(?= [a-z])", " inches", "i"),
    rule(r"\b(\d{1,3})'\s?(\d{1,2})\"", _feet, "'"),
    rule(r"(?<=\d\sft)(\s\d{1,2}) ?in\b\.?", r"\1 inches", "f"),
    rule(
        r"(\d ?(?:m|cm|mm|km|ft|px)|\d(?= ?[x\u00d7] ?\d+(?:\.\d+)? ?(?:m|cm|mm|km|ft|px)\b)) ?[x\u00d7] ?(?=\d)",
        r"\1 by ",
        "x\u00d7",
    ),
    rule(
        rf"(?<![\w./])(?:(\d{{1,15}})[\s-])?(\d{{1,2}})/(\d{{1,2}})\s?({_alternatives(_UNITS)})(?![\w'/])\.?",
        _part,
        "/",
    ),
    rule(r"\b(\d0)/\1\b", lambda m: f"{numbers.number(m[1])} {numbers.number(m[1])}", "/"),
    rule(r"(?<=[A-Za-z]-)(\d{1,4})s\b", lambda m: numbers.plural(numbers.number(m[1])), "s"),
    rule(r"(?i:\bzip(?: code)?\s)\d{5}\b", lambda m: m[0][:-5] + numbers.digits(m[0][-5:]), "zZ"),
    rule(
        r"\b(Room|Flight|Highway|Route|Interstate|Suite|Boeing)\s([1-9])(\d[1-9]|[1-9]\d)\b",
        lambda m: f"{m[1]} {numbers.digits(m[2])} {numbers.two_digits(int(m[3]))}",
    ),
    rule(
        rf"(?<![\w.,/])(?<![A-Za-z]-){_MINUS}(?P<amount>{_NUMBER}){_RANGE}[\s-]?(?P<unit>{_alternatives(_UNITS)})(?:\^(?P<power>[23]))?(?![\w'])(?:\.(?=\s+[a-z]))?",
        _measure,
    ),
    rule(r"\b([a-z]+)\s?/\s?([a-z]+)\b", _per, "/"),
)
"""Numbers with a unit, read after dates and before words in capitals are spelled."""

RULES = (
    rule(rf"(?<![\w.])({_NUMBER})[eE]([-+]?\d{{1,3}})(?!\w)", _scientific, "eE"),
    rule(rf"(?<![\w.])([248]|16)K(?!\w)(?!\s(?!{_IN_PIXELS})(?:[a-z]+s\b|people))", _letter_k, "K"),
    rule(r"(?<![\w.])(\d{1,2})K(?=\s(?:race|run|walk|route|road))", _letter_k, "K"),
    rule(r"(?<=[\w)])\^2\b", " squared", "^"),
    rule(r"(?<=[\w)])\^3\b", " cubed", "^"),
    rule(r"(?<=[\w)])\^(?=[\w-])", " to the power of ", "^"),
    rule(rf"(?<![\w.,])({_NUMBER})(k|K|M|bn)(?!\w)", lambda m: f"{numbers.number(m[1])} {_MAGNITUDES[m[2]]}", "kKMb"),
    rule(r"(?<=\d)(?:st|nd|rd|th)\s?[-\u2013]\s?(?=\d+(?:st|nd|rd|th)\b)", lambda m: m[0][:2] + " to ", "-\u2013"),
    rule(
        r"(?<![\w.])(\d{1,3}(?:,\d{3}){1,5}|\d{1,18})(?:st|nd|rd|th)\b",
        lambda m: numbers.ordinal(int(m[1].replace(",", ""))),
        "tnrs",
    ),
    rule(r"(?<![\w./])(?:(\d{1,15})[\s-])?(\d{1,4})/(\d{1,4})(?![\w/])", _mixed, "/"),
    rule(r"(?<![\w.])\d+(?:\.\d+){2,}(?!\w)", _version, "."),
    rule(rf"(?<![\w.,-])({_NUMBER})\s?[-\u2013]\s?({_NUMBER})(?![\w-]|\s?=)", _range, "-\u2013"),
    rule(r"(?<=\d)\s?[-\u2013]\s?(?=\d+\s?=)", " minus ", "-\u2013"),
    rule(r"(?<=\d)\s?[xX*]\s?(?=\d)", " times ", "xX*"),
    rule(r"(?<=[\w)]) ?/ ?(?=\d)", " over ", "/"),
    rule(r"\b([Ii]s|are|was|were) ?< ?(?=[\d.-])", r"\1 less than ", "<"),
    rule(r"\b([Ii]s|are|was|were) ?> ?(?=[\d.-])", r"\1 greater than ", ">"),
    rule(r"(?<=[\w)])\s?<\s?(?=[\d.-])|(?<=\d)\s?<\s?(?=\w)", " is less than ", "<"),
    rule(r"(?<=[\w)])\s?>\s?(?=[\d.-])|(?<=\d)\s?>\s?(?=\w)", " is greater than ", ">"),
    rule(r"<\s?(?=\d)", " less than ", "<"),
    rule(r">\s?(?=\d)", " more than ", ">"),
    rule(r"~\s?(?=\d)", " about ", "~"),
    rule(r"#\s?(?=\d)", " number ", "#"),
    rule(r"(?<=[\d)])-(?=\d)", " to ", "-"),
    rule(r"(?<![\w.)-])-\s?(?=\.?\d)", " minus ", "-"),
    rule(r"(?<=\d)\+(?!\s?[\d(])", " plus ", "+"),
)
"""The other numbers with signs around them."""

SIGNS = (
    rule(r"(?<=\b[A-F])-(?=[\s.,;]|$)", " minus", "-"),
    rule(rf"[{re.escape(''.join(_SIGNS))}]", lambda m: f" {_SIGNS[m[0]]} "),
)
"""Signs that are words, wherever they stand."""

BARE = (
    rule(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)", " "),
    rule(r"(?<=[^\W\d_])-(?=\d)|(?<=[A-Za-z] \d)-(?=[A-Z])", " "),
    rule(rf"(?<![\w.]){_NUMBER}(?!\.?\d)", _cardinal),
    rule(r"\d+", lambda m: f" {numbers.number(m[0])} "),
)
"""The numbers that are left."""
