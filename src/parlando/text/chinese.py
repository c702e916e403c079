"""Chinese verbalisation: own rules for what wetext misreads, then wetext, then what is still left, digit by digit.

Own are ranges, amounts with separators, decades, measures, degrees, shares, codes and telephone numbers.
"""

from __future__ import annotations

import re
from dataclasses import replace

from parlando.text import east_asian
from parlando.text.numerals import CHINESE, NUMBER
from parlando.text.rules import apply, rule

_FORMAL = replace(CHINESE, pair="")
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
_RATES = {"mph": ("小时", "英里"), "Mbps": ("秒", "兆比特"), "Gbps": ("秒", "吉比特")}
_EACH = {**_UNITS, "h": "小时", "s": "秒", "s^2": "二次方秒", "d": "天"}
_UNIT, _PER = ("|".join(sorted(map(re.escape, names), key=len, reverse=True)) for names in ([*_UNITS, *_RATES], _EACH))
_SHARED_OUT = (
    "月|年|日|天|周|小时|分钟?|秒|人|次|个|斤|公斤|千克|克|吨|平方米|平米|件|套|张|瓶|盒|晚|间|户|台|股|桶|米|升|位"
)
_PAIRED = (
    "个|位|本|只|条|张|件|名|人|家|座|辆|台|把|杯|瓶|碗|双|对|套|种|样|项|场|回|遍|趟|步|次|倍|天|年|岁|份|组|队|批|群|点"
    "|分|秒|周|星期|块|元|[美欧日]元|英镑|毛|米|公里|[千厘毫]米|千克|公斤|克|斤|吨|毫?升|平方|小时|学期|部|集|首|篇|封|幅|支"
    "|枝|根|棵|朵|颗|粒|片|滴|盒|箱|包|袋|桶|口|头|匹|架|艘|间|所|层|节|门|轮|局|盘|句|段|页|行|列|千|万|亿|成|方|国|百"
)
_NOT_PAIRED = (
    "月|日|号|楼|单元|栋|幢|室|班|年级|级|环|线|期|等|维|手|胎|战|路|区|代|者|进制|两|分之|次元|次方|次函数|十"
)
_NAMED = "[歼运轰直强武]|神舟|长征|东风|嫦娥|天宫|北斗|风云|红旗|巨浪|快舟|天舟|梦天|问天"
_LABEL = (
    "QQ|微信|电话|手机|密码|验证码|编号|卡号|账号|房间|房号|尾号|学号|工号|身份证|订单|单号|车牌|邮编|代码|热线"
    "|拨打|致电|波音|空客"
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
_FIRST_YEAR, _LAST_YEAR, _CENTURY = 1000, 2199, 100
_MONTHS, _DAYS = 12, 31


def to_plain(text: str) -> str:
    """As `parlando.text.east_asian.to_plain`; codes after a label in Latin letters are read already."""
    return apply(_CODES, east_asian.to_plain(text))


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


def _year_and_more(match: re.Match[str]) -> str:
    """``2023-24`` is two years, ``2024-05`` a month of one."""
    year, more = int(match["year"]), int(match["more"])
    said = CHINESE.digits(match["year"])
    if len(match["more"]) == len("00") and (more == (year + 1) % _CENTURY or more > _MONTHS):
        return f"{said}到{CHINESE.digits(match['more'])}"
    return match[0] if match["sign"] == "/" or not 1 <= more <= _MONTHS else f"{said}年{CHINESE.cardinal(more)}月"


def _years_long(match: re.Match[str]) -> str:
    """Four digits before ``年`` that are a duration, for no year is so late or has a history."""
    is_year = int(match["years"]) <= _LAST_YEAR and not match["before"] and not match["after"]
    years = match["years"] if is_year else CHINESE.number(match["years"])
    return f"{match['before'] or ''}{years}年{match['after'] or ''}"


def _past_midnight(match: re.Match[str]) -> str:
    return (
        f"零点{CHINESE.digits(match[1]) if match[1][0] == '0' else CHINESE.number(match[1])}分"
        if int(match[1])
        else "零点"
    )


def _degrees(match: re.Match[str]) -> str:
    seconds = f"{CHINESE.number(match['second'])}秒" if match["second"] else ""
    return f"{CHINESE.number(match['degree'])}度{CHINESE.number(match['minute'])}分{seconds}"


def _power(match: re.Match[str]) -> str:
    return "的" + {"2": "平方", "3": "立方"}.get(match[1], f"{CHINESE.number(match[1])}次方")


def _decade(match: re.Match[str]) -> str:
    decade = match["decade"] + "0"
    return (CHINESE.digits(decade) if len(decade) > 2 else CHINESE.number(decade)) + "年代"


def _money(match: re.Match[str]) -> str:
    scale, amount = match["scale"] or "", match["number"]
    whole, _, cents = amount.partition(".")
    amount = f"{whole}.{cents}".rstrip("0").rstrip(".") if cents else amount
    return f"{_counted(amount)}{_SCALES.get(scale, scale)}{_CURRENCIES[match['sign'].strip()]}"


def _range(match: re.Match[str]) -> str:
    """The dash between two numbers of which the second is larger; a tilde always is one."""
    first, second = match["first"], match["second"]
    coded = any(len(part) > 1 and part[0] == "0" and part[1] != "." for part in (first, second))
    if match["dash"] == "-" and (coded or second[0] == "-" or float(first) >= float(second)):
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
    if unit in _RATES or match["per"]:
        each, thing = _RATES[unit] if unit in _RATES else (_EACH[match["per"]], _UNITS[unit])
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


_CODES = (
    rule(r"(?P<label>(?:QQ|ID|Tel\.?)(?:号码?|是|为|:|\s)*)(?P<code>\d[\d-]{4,})(?!\d|[.,]\d)", _labelled, "QDT"),
)

_BEFORE = (
    rule(r"(?<![^\s,;:。])(\d{1,2})\.(?=[^\W\d_A-Za-z])", r"\1,", "."),
    rule(r"(?<![A-Za-z\d.])(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d|\.\d)", _telephone),
    rule(
        r"(?<![A-Za-z\d.])(?:0\d{2,3}-(?:\d{7,8}|\d{3,4}-\d{4})|[48]00-\d{3}-?\d{4}"
        r"|\(0\d{2,3}\) ?\d{3,4}[- ]?\d{4})(?!\d)",
        _telephone,
    ),
    rule(r"(?<![A-Za-z\d.])\+\d{1,3}(?:[- ]\d{2,})+", lambda m: "加" + _code(m[0]), "+"),
    rule(rf"(?P<label>(?:{_LABEL})(?:号码?|是|为|:|\s)*)(?P<code>\d{{3,}})(?!\d|[.,]\d)", _labelled),
    rule(r"(?<![\d.-])(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?!\.?\d)", _date),
    rule(r"(?<![\d/])(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})(?![\d/])", _date, "/"),
    rule(
        r"(?<![A-Za-z\d.])(?P<year>(?:19|20)\d\d)(?P<sign>[-/])(?P<more>\d{1,2})(?![\d/-]|\.\d)", _year_and_more, "-/"
    ),
    rule(r"(?<=公元)前?\d{3,4}(?=年)", lambda m: re.sub(r"\d+", lambda n: CHINESE.digits(n[0]), m[0])),
    rule(
        r"(?P<before>活了|长达|历时|持续了?|已有|超过|将近)?(?<!\d)(?P<years>\d{4})年(?P<after>的?(?:历史|文明|文化)|之久|寿命|古)?",
        _years_long,
        "年",
    ),
    rule(
        r"(?<!\d)([1-9]\d?)\.([1-9]\d?)(?=劳动节|国庆|青年节|儿童节|黄金周|假期)",
        lambda m: CHINESE.cardinal(int(m[1])) + CHINESE.digits(m[2], "一"),
    ),
    rule(r"第 ?(\d+)(?!\d|[.,-]\d)", lambda m: "第" + _FORMAL.number(m[1]), "第"),
    rule(r"(?<!\d)\d{3,4}(?=室|会议室|房间?|教室|病房|包厢)", lambda m: _code(m[0])),
    rule(r"(?<=[图表式例题])(\d+)-(?=\d)", r"\1杠", "-"),
    rule(rf"({_NAMED})-(?=\d)", r"\1", "-"),
    rule(r"(?<![\d.])(?P<decade>\d{3}|(?<!\d)\d)0s\b", _decade, "s"),
    rule(
        rf"(?P<sign>(?:US|HK)?\$|[€£¥₩]|(?<![A-Za-z])(?:CNY|RMB|USD|EUR|GBP|JPY|HKD|KRW) ?)(?P<number>{NUMBER})"
        r"(?P<scale>(?:[kKMB]|bn)(?!\w)|[百千]?[万亿])?",
        _money,
    ),
    rule(r"(?<![\d.])(\d+\.\d)0(?=元)", r"\1", "."),
    rule(rf"(?P<number>{_SIGNED}) ?(?P<scale>)(?P<sign>CNY|RMB|USD|EUR|GBP|JPY|HKD|KRW)(?!\w)", _money),
    rule(r"(?<![\d:])0?0:([0-5]\d)(?![\d:])", _past_midnight, ":"),
    rule(r"(?P<degree>\d+)° ?(?P<minute>\d{1,2})'(?: ?(?P<second>\d{1,2})\")?", _degrees, "°"),
    rule(r"(?<=比分)(\D{0,4}\d+)[:-](\d+)", r"\1比\2"),
    rule(r"(?<![\d:])(\d{1,2}):(\d)(?![\d:])", r"\1比\2", ":"),
    rule(
        r"(?<![A-Za-z\d.:/-])(?P<first>-?\d+(?:\.\d+)?)(?P<unit>%|°C|°F|°|)(?P<dash>[-~])(?P<second>-?\d+(?:\.\d+)?)"
        r"(?![\d:/-]|\.\d)",
        _range,
        "-~",
    ),
    rule(r"(?<![A-Za-z\d./:-])(\d{1,3})-(\d{1,3})(?![\d/-]|\.\d| ?(?:[=+×÷*]|等于|得|是))", r"\1比\2", "-"),
    rule(rf"(?P<number>{_SIGNED}) ?(?P<sign>[%‰])", _share, "%‰"),
    rule(rf"(?P<number>{_SIGNED}) ?(?P<unit>{_UNIT})(?:/(?P<per>{_PER}))?(?![A-Za-z\d^/])", _measure),
    rule(rf"(?<![\d.,])(\d[\d.,]*(?:[^\W\d_A-Za-z]{{1,3}})?)/(?={_SHARED_OUT})", r"\1每", "/"),
    rule(rf"(?<=元)/(?={_SHARED_OUT})", "每", "/"),
    rule(r"(?<=[\d)])\^(\d+)", _power, "^"),
    rule(r"√ ?(?=\d)", "根号", "√"),
    rule(rf"(?<![A-Za-z\d.,:/-])2(?={_NOT_PAIRED})", "二", "2"),
    rule(rf"(?<![A-Za-z\d.,:/-])2(?={_PAIRED})", "两", "2"),
    rule(r"(?<![\d/.])24/7(?![\d/.])", "七乘二十四小时", "/"),
    rule(r"(?<![\d/.])(\d{1,3})/(\d{1,3})(?![\d/.])", _fraction, "/"),
    rule(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\.?\d)", _dotted, "."),
    rule(r"(?:\bNo\. ?|#)(\d+)", lambda m: CHINESE.number(m[1]) + "号"),
    rule(r"(?<=[A-Za-z])-?(?P<digits>\d+(?:\.\d+)?)", _after_letters),
    rule(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", _whole_number, ","),
    rule(r"(?<![\d.])\d{5,}(?:\.\d+)?", _long),
    rule(r"(?<=[\dA-Za-z)]) ?([-+=×÷±≥≤≠≈><*]) ?(?=[-\d(])", lambda m: _OPERATORS.get(m[1], m[1])),
    rule(r"±(?=\d)", "正负", "±"),
    rule(r"(?<![A-Za-z\d.)])-(?=\.?\d)", "负", "-"),
    rule(r"(?<!\d)\.(?=\d)", "零点", "."),
)
"""In order: what is no quantity, money, ranges, quantities with a unit, codes, large numbers, signs of arithmetic."""

_AFTER = (
    rule(r"(?<=[周期拜][一二三四五六日天])-(?=[周星礼])", "到", "-"),
    rule(r"\^2(?!\w)|\^二", "平方", "^"),
    rule(r"\^3(?!\w)|\^三", "立方", "^"),
    rule(r"~+", "，", "~"),
    rule("[" + re.escape("".join(_SIGNS)) + "]", lambda m: _SIGNS[m[0]]),
    rule(r"(?<=[^\W\d_A-Za-z])\.(?=[^\W\d_A-Za-z])", "点", "."),
)
