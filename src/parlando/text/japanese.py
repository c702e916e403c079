"""Japanese verbalisation: own rules for what wetext misreads, then wetext, then what is still left, digit by digit."""

from __future__ import annotations

import re

from parlando.text import east_asian
from parlando.text.numerals import JAPANESE, NUMBER
from parlando.text.rules import apply, rule

_UNITS = {
    "°C": "度", "°F": "華氏度", "°": "度", "km/h": "時速 キロメートル", "m/s": "秒速 メートル",
    "km^2": "平方キロメートル", "m^2": "平方メートル", "m^3": "立方メートル", "km": "キロメートル", "m": "メートル",
    "cm": "センチメートル", "mm": "ミリメートル", "kg": "キログラム", "g": "グラム", "mg": "ミリグラム",
    "L": "リットル", "l": "リットル", "ml": "ミリリットル", "mL": "ミリリットル", "GHz": "ギガヘルツ",
    "MHz": "メガヘルツ", "kHz": "キロヘルツ", "Hz": "ヘルツ", "TB": "テラバイト", "GB": "ギガバイト",
    "MB": "メガバイト", "KB": "キロバイト", "kW": "キロワット", "W": "ワット", "kcal": "キロカロリー",
    "%": "パーセント", "mph": "時速 マイル",
}  # fmt: skip
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_CURRENCIES = {
    "$": "ドル",
    "US$": "ドル",
    "€": "ユーロ",
    "£": "ポンド",
    "¥": "円",
    "₩": "ウォン",
    "USD": "ドル",
    "EUR": "ユーロ",
    "JPY": "円",
}
_SIGNS = {
    "%": "パーセント", "&": "アンド", "@": "アットマーク", "#": "シャープ", "+": "プラス", "=": "イコール",
    "×": "かける", "÷": "わる", "°": "度", "$": "ドル", "€": "ユーロ", "£": "ポンド", "¥": "円", "〇": "ゼロ",
    ">": "大なり", "<": "小なり",
}  # fmt: skip
_FEWEST_CODE_DIGITS, _MONTHS, _DAYS, _LARGEST_DENOMINATOR = 3, 12, 31, 12


def verbalise(text: str) -> str:
    """Replace everything that is not read as it is written; takes plain typography, gives text that is not yet tidy.

    Raises:
        MissingDependencyError: there are numbers, and wetext is not installed.
    """
    if re.search(r"\d", text):
        text = east_asian.reading("ja", apply(_BEFORE, text))
        text = re.sub(r"\d+", lambda match: _digits(match[0]), text)
    return apply(_AFTER, text)


def _digits(text: str) -> str:
    return JAPANESE.digits(text).replace("零", "ゼロ")


def _telephone(match: re.Match[str]) -> str:
    return "の".join(_digits(group) for group in re.findall(r"\d+", match[0]))


def _number(text: str) -> str:
    return JAPANESE.number(text)


def _money(match: re.Match[str]) -> str:
    whole, _, cents = match["number"].partition(".")
    number = whole if cents and not int(cents) else match["number"]
    return f"{_number(number)}{match['scale'] or ''}{_CURRENCIES[match['sign'].strip()]}"


def _measure(match: re.Match[str]) -> str:
    *speed, unit = _UNITS[match["unit"]].split(" ")
    return "".join([*speed, _number(match["number"]), unit])


def _date(match: re.Match[str]) -> str:
    year, month, day = (_number(str(int(group))) for group in match.groups())
    return f"{year}年{month}月{day}日"


def _month_and_day(match: re.Match[str]) -> str:
    """``5/3(金)`` and ``12/25`` are days, ``1/3`` is a fraction."""
    month, day = int(match["month"]), int(match["day"])
    is_day = match["weekday"] or month >= day or day > _LARGEST_DENOMINATOR
    if month > _MONTHS and month >= day:
        return f"{_number(match['month'])}、{_number(match['day'])}"
    if not (is_day and 1 <= month <= _MONTHS and 1 <= day <= _DAYS):
        return match[0]
    return f"{_number(str(month))}月{_number(str(day))}日{match['weekday'] or ''}"


def _decade(match: re.Match[str]) -> str:
    return _number(match["decade"] + "0") + "年代"


def _range(match: re.Match[str]) -> str:
    if match["dash"] == "-" and float(match["first"]) >= float(match["second"]):
        return match[0]
    return f"{match['first']}{match['unit']}から{match['second']}"


def _after_letters(match: re.Match[str]) -> str:
    digits = match["digits"]
    return _digits(digits) if digits.isdigit() and len(digits) >= _FEWEST_CODE_DIGITS else _number(digits)


_BEFORE = (
    rule(r"〒? ?(?<!\d)\d{3}-\d{4}(?![\d-])", _telephone, "-"),
    rule(r"(?<![A-Za-z\d.])(?:\+\d{1,3}[- ])?0?\d{1,4}-\d{2,4}-\d{3,4}(?!\d)", _telephone, "-"),
    rule(r"(?<![\d.])(?P<decade>\d{3}|(?<!\d)\d)0s\b", _decade, "s"),
    rule(r"(?<![\d/.-])(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\.?\d)", _date),
    rule(
        r"(?<![\d/.])(?P<month>\d{1,3})/(?P<day>\d{1,3})(?![\d/]|\.\d)(?P<weekday> ?\([月火水木金土日]\))?",
        _month_and_day,
        "/",
    ),
    rule(r"(?<!\d)0(?=時)", "零", "0"),
    rule(
        rf"(?P<sign>(?:US)?\$|[€£¥₩]|(?<![A-Za-z])(?:USD|EUR|JPY) ?)(?P<number>{NUMBER})(?P<scale>[百千]?[万億兆])?",
        _money,
    ),
    rule(
        r"(?<![A-Za-z\d.:/-])(?P<first>\d+(?:\.\d+)?)(?P<unit>%|°C|°|)(?P<dash>[-~])(?P<second>\d+(?:\.\d+)?)"
        r"(?![\d:/-]|\.\d)",
        _range,
        "-~",
    ),
    rule(r"(?<![A-Za-z\d./:-])(\d{1,3})-(\d{1,3})(?![\d/-]|\.\d| ?[=+×÷*])", r"\1対\2", "-"),
    rule(r"(?<![\d:])(\d{1,2}):(\d)(?![\d:])", r"\1対\2", ":"),
    rule(r"√ ?(?=\d)", "ルート", "√"),
    rule(r"(?<=[\d)])\^(\d+)", lambda m: f"の{_number(m[1])}乗", "^"),
    rule(r"(?<![A-Za-z\d.)])-(?=\.?\d)", "マイナス", "-"),
    rule(rf"(?P<number>{NUMBER}) ?(?P<unit>{_UNIT})(?![A-Za-z\d^/])", _measure),
    rule(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\.?\d)", lambda m: "点".join(map(_number, m[0].split("."))), "."),
    rule(r"(?:\bNo\. ?|#)(?=\d)", "ナンバー"),
    rule(r"(?<=[A-Za-z])-?(?P<digits>\d+(?:\.\d+)?)", _after_letters),
    rule(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", lambda m: _number(m[0]), ","),
    rule(r"(?<![\d.])\d{5,}(?:\.\d+)?", lambda m: _number(m[0])),
    rule(r"(?<!\d)\.(?=\d)", "零点", "."),
)
"""In order: what is no quantity, money, ranges, quantities with a unit, codes, large numbers."""

_AFTER = (
    rule(r"(?<=[月火水木金土日])[-~](?=[月火水木金土日](?!\w))", "から", "-~"),
    rule(r"(?<=[\u4e00-\u9fff])~(?=[\u4e00-\u9fff])", "から", "~"),
    rule(r"~+", "、", "~"),
    rule(r"(?<=\w)\^[2二](?!\w)", "の二乗", "^"),
    rule("[" + re.escape("".join(_SIGNS)) + "]", lambda m: _SIGNS[m[0]]),
    rule(r"(?<=[^\W\d_A-Za-z])\.(?=[^\W\d_A-Za-z])", "点", "."),
)
