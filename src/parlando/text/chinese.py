"""Chinese verbalisation: own rules for what wetext misreads, then wetext, then what is still left, digit by digit.

Own are ranges, amounts with separators, decades, measures, degrees, shares, codes and telephone numbers.
"""

from __future__ import annotations

import re

from parlando.text import east_asian
from parlando.text.numerals import CHINESE, NUMBER
from parlando.text.rules import apply, rule

_SIGNED = rf"(?:(?<![A-Za-z\d.)])-)?{NUMBER}"
_CURRENCIES = {
    "$": "美元", "US$": "美元", "HK$": "港元", "€": "欧元", "£": "英镑", "¥": "元", "₩": "韩元", "CNY": "元",
    "RMB": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元", "HKD": "港元", "KRW": "韩元",
}  # fmt: skip
_SCALES = {"k": "千", "K": "千", "M": "百万", "B": "十亿", "bn": "十亿"}
_UNITS = {
    "km^2": "平方公里", "m^2": "平方米", "cm^2": "平方厘米", "m^3": "立方米", "cm^3": "立方厘米", "km": "公里",
    "m": "米", "dm": "分米", "cm": "厘米", "mm": "毫米", "μm": "微米", "nm": "纳米", "kg": "千克", "g": "克",
    "mg": "毫克", "L": "升", "l": "升", "ml": "毫升", "mL": "毫升", "GHz": "吉赫兹", "MHz": "兆赫兹",
    "kHz": "千赫兹", "Hz": "赫兹", "kW": "千瓦", "W": "瓦", "kWh": "千瓦时", "mAh": "毫安时", "V": "伏",
    "min": "分钟", "°C": "摄氏度", "°F": "华氏度", "dB": "分贝", "ms": "毫秒", "kcal": "千卡", "°": "度",
    "度": "度", "摄氏度": "摄氏度",
}  # fmt: skip
_RATES = {
    "km/h": ("小时", "公里"),
    "mph": ("小时", "英里"),
    "m/s": ("秒", "米"),
    "mg/L": ("升", "毫克"),
    "Mbps": ("秒", "兆比特"),
}
_UNIT = "|".join(sorted(map(re.escape, [*_UNITS, *_RATES]), key=len, reverse=True))
_LABEL = (
    "QQ|微信|电话|手机|密码|验证码|编号|卡号|账号|房间|房号|尾号|学号|工号|身份证|订单|单号|车牌|邮编|代码|热线"
    "|拨打|致电"
)
_OPERATORS = {
    "+": "加", "=": "等于", "×": "乘", "÷": "除以", "±": "正负", "≥": "大于等于", "≤": "小于等于", "≠": "不等于",
    "≈": "约等于", ">": "大于", "<": "小于", "*": "乘",
}  # fmt: skip
_SIGNS = {
    "%": "百分之", "‰": "千分之", "&": "和", "@": "at", "#": "井号", "+": "加", "=": "等于", "×": "乘", "÷": "除以",
    "°": "度", "$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "〇": "零",
}  # fmt: skip
_ADDRESS_PARTS = 4
_SHORTEST_CODE, _LONGEST_AMOUNT = 3, 7
_FIRST_YEAR, _LAST_YEAR = 1000, 2199
_MONTHS, _DAYS = 12, 31


def verbalise(text: str) -> str:
    """Replace everything that is not read as it is written; takes plain typography, gives text that is not yet tidy.

    Raises:
        MissingDependencyError: there are numbers, and wetext is not installed.
    """
    if re.search(r"\d", text):
        text = east_asian.reading("zh", apply(_BEFORE, text))
        text = re.sub(r"\d+", lambda match: CHINESE.digits(match[0]), text)
    return apply(_AFTER, text)


def _counted(text: str) -> str:
    """So many things: a two alone is the counting one."""
    return "两" if text == "2" else CHINESE.number(text)


def _code(text: str) -> str:
    return CHINESE.digits(re.sub(r"\D", "", text), one="幺")


def _telephone(match: re.Match[str]) -> str:
    return _code(match[0])


def _labelled(match: re.Match[str]) -> str:
    return match["label"] + _code(match["code"])


def _date(match: re.Match[str]) -> str:
    month, day = int(match["month"]), int(match["day"])
    if month > _MONTHS >= day:
        month, day = day, month
    if not (1 <= month <= _MONTHS and 1 <= day <= _DAYS):
        return match[0]
    return f"{CHINESE.digits(match['year'])}年{CHINESE.cardinal(month)}月{CHINESE.cardinal(day)}日"


def _decade(match: re.Match[str]) -> str:
    decade = match["decade"] + "0"
    return (CHINESE.digits(decade) if len(decade) > 2 else CHINESE.number(decade)) + "年代"


def _money(match: re.Match[str]) -> str:
    scale, amount = match["scale"] or "", match["number"]
    whole, _, cents = amount.partition(".")
    amount = whole if cents and not int(cents) else amount
    return f"{_counted(amount)}{_SCALES.get(scale, scale)}{_CURRENCIES[match['sign'].strip()]}"


def _range(match: re.Match[str]) -> str:
    """The dash between two numbers of which the second is larger; a tilde always is one."""
    first, second = match["first"], match["second"]
    coded = any(len(part) > 1 and part[0] == "0" and part[1] != "." for part in (first, second))
    if match["dash"] == "-" and (coded or float(first) >= float(second)):
        return match[0]
    if all(len(part) == 4 and part.isdigit() and _FIRST_YEAR <= int(part) <= _LAST_YEAR for part in (first, second)):
        return f"{CHINESE.digits(first)}到{CHINESE.digits(second)}"
    return f"{first}{match['unit']}到{second}"


def _share(match: re.Match[str]) -> str:
    number = match["number"]
    sign = "负" if number.startswith("-") else ""
    return f"{sign}{'千' if match['sign'] == '‰' else '百'}分之{CHINESE.number(number.lstrip('-'))}"


def _measure(match: re.Match[str]) -> str:
    number, unit = match["number"], match["unit"]
    if unit in _RATES:
        each, thing = _RATES[unit]
        return f"每{each}{_counted(number)}{thing}"
    if unit[0] in "°度摄" and number.startswith("-"):
        return f"零下{CHINESE.number(number[1:])}{_UNITS[unit]}"
    return _counted(number) + _UNITS[unit]


def _fraction(match: re.Match[str]) -> str:
    if int(match[1]) >= int(match[2]):
        return f"{CHINESE.number(match[1])}、{CHINESE.number(match[2])}"
    return f"{CHINESE.number(match[2])}分之{CHINESE.number(match[1])}"


def _dotted(match: re.Match[str]) -> str:
    parts = match[0].split(".")
    return "点".join(map(_code if len(parts) == _ADDRESS_PARTS else CHINESE.number, parts))


def _after_letters(match: re.Match[str]) -> str:
    digits = match["digits"]
    return _code(digits) if digits.isdigit() and len(digits) >= _SHORTEST_CODE else CHINESE.number(digits)


def _long(match: re.Match[str]) -> str:
    """Five digits and more: an amount, or a code where there are many and no zeros at the end."""
    digits = match[0]
    whole = digits.partition(".")[0]
    return _code(digits) if len(whole) > _LONGEST_AMOUNT and whole[-4:] != "0000" else CHINESE.number(digits)


def _whole_number(match: re.Match[str]) -> str:
    return CHINESE.number(match[0])


_BEFORE = (
    rule(r"(?<![A-Za-z\d.])(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d|\.\d)", _telephone),
    rule(r"(?<![A-Za-z\d.])(?:0\d{2,3}-\d{7,8}|[48]00-\d{3}-?\d{4}|\(0\d{2,3}\) ?\d{7,8})(?!\d)", _telephone),
    rule(r"(?<![A-Za-z\d.])\+\d{1,3}(?:[- ]\d{2,})+", lambda m: "加" + _code(m[0]), "+"),
    rule(rf"(?P<label>(?:{_LABEL})(?:号码?|是|为|:|\s)*)(?P<code>\d{{3,}})(?!\d|[.,]\d)", _labelled),
    rule(r"(?<![\d.-])(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?!\.?\d)", _date),
    rule(r"(?<![\d/])(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})(?![\d/])", _date, "/"),
    rule(r"(?<![\d.])(?P<decade>\d{3}|(?<!\d)\d)0s\b", _decade, "s"),
    rule(
        rf"(?P<sign>(?:US|HK)?\$|[€£¥₩]|(?<![A-Za-z])(?:CNY|RMB|USD|EUR|GBP|JPY|HKD|KRW) ?)(?P<number>{NUMBER})"
        r"(?P<scale>(?:[kKMB]|bn)(?!\w)|[百千]?[万亿])?",
        _money,
    ),
    rule(rf"(?P<number>{_SIGNED}) ?(?P<scale>)(?P<sign>CNY|RMB|USD|EUR|GBP|JPY|HKD|KRW)(?!\w)", _money),
    rule(r"(?<=比分)(\D{0,4}\d+)[:-](\d+)", r"\1比\2"),
    rule(r"(?<![\d:])(\d{1,2}):(\d)(?![\d:])", r"\1比\2", ":"),
    rule(
        r"(?<![A-Za-z\d.:/-])(?P<first>-?\d+(?:\.\d+)?)(?P<unit>%|°C|°F|°|)(?P<dash>[-~])(?P<second>\d+(?:\.\d+)?)"
        r"(?![\d:/-]|\.\d)",
        _range,
        "-~",
    ),
    rule(rf"(?P<number>{_SIGNED}) ?(?P<sign>[%‰])", _share, "%‰"),
    rule(rf"(?P<number>{_SIGNED}) ?(?P<unit>{_UNIT})(?![A-Za-z\d^/])", _measure),
    rule(r"(?<![\d/.])(\d{1,3})/(\d{1,3})(?![\d/.])", _fraction, "/"),
    rule(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\.?\d)", _dotted, "."),
    rule(r"(?:\bNo\. ?|#)(\d+)", lambda m: CHINESE.number(m[1]) + "号"),
    rule(r"(?<=[A-Za-z])-?(?P<digits>\d+(?:\.\d+)?)", _after_letters),
    rule(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", _whole_number, ","),
    rule(r"(?<![\d.])\d{5,}(?:\.\d+)?", _long),
    rule(r"(?<=[\d)]) ?([-+=×÷±≥≤≠≈><*]) ?(?=[-\d(])", lambda m: _OPERATORS.get(m[1], m[1])),
    rule(r"±(?=\d)", "正负", "±"),
    rule(r"(?<![A-Za-z\d.)])-(?=\.?\d)", "负", "-"),
    rule(r"(?<!\d)\.(?=\d)", "零点", "."),
)
"""In order: what is no quantity, money, ranges, quantities with a unit, codes, large numbers, signs of arithmetic."""

_AFTER = (
    rule(r"\^2(?!\w)|\^二", "平方", "^"),
    rule(r"\^3(?!\w)|\^三", "立方", "^"),
    rule(r"~+", "，", "~"),
    rule("[" + re.escape("".join(_SIGNS)) + "]", lambda m: _SIGNS[m[0]]),
    rule(r"(?<=[^\W\d_A-Za-z])\.(?=[^\W\d_A-Za-z])", "点", "."),
)
