"""Korean verbalisation by own rules: counted things take native numbers, everything else Sino-Korean ones.

No library is used: num2words has only Sino-Korean cardinals (it is the peer of our tests), and wetext has no Korean.
"""

from __future__ import annotations

import re

from parlando.text.numerals import KOREAN, NUMBER
from parlando.text.rules import apply, rule

_SIGNED = rf"(?:(?<![A-Za-z\d.)])-)?{NUMBER}"
_PARTICLE = re.compile("(?:에서?|[은는이가을를의도과와로]|으로|부터|까지|입니다|이다|예요|이에요)(?![가-힣])|에서 ")
_NATIVE_ONES = ("", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")
_NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_BEFORE_COUNTER = {"하나": "한", "둘": "두", "셋": "세", "넷": "네", "스물": "스무"}
_THINGS = "살 명 마리 개 권 잔 병 송이 그루 채 벌 켤레 자루 번째 번 가지 사람 장 곡 통 줄 달 군데 그릇 조각 곳 쌍"
_COUNTERS = "|".join(["시간", "시", "개월", "분(?!의)", *_THINGS.split(" ")])
_SINO_COUNTERS = ("개월",)
_UNITS = {
    "km/h": "시속 킬로미터", "km^2": "제곱킬로미터", "m^2": "제곱미터", "m^3": "세제곱미터", "km": "킬로미터",
    "m": "미터", "cm": "센티미터", "mm": "밀리미터", "kg": "킬로그램", "g": "그램", "mg": "밀리그램", "L": "리터",
    "l": "리터", "ml": "밀리리터", "mL": "밀리리터", "GHz": "기가헤르츠", "MHz": "메가헤르츠", "kHz": "킬로헤르츠",
    "Hz": "헤르츠", "TB": "테라바이트", "GB": "기가바이트", "MB": "메가바이트", "KB": "킬로바이트",
    "kW": "킬로와트", "W": "와트", "kcal": "킬로칼로리", "%": "퍼센트", "m/s": "초속 미터",
}  # fmt: skip
_DEGREES = {"°C": "도", "°F": "화씨 도", "°": "도", "도": "도"}
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_CURRENCIES = {
    "$": "달러",
    "US$": "달러",
    "€": "유로",
    "£": "파운드",
    "¥": "엔",
    "₩": "원",
    "USD": "달러",
    "EUR": "유로",
    "KRW": "원",
}
_CENTS = {"달러": "센트", "유로": "센트", "파운드": "펜스"}
_SIGNS = {
    "%": "퍼센트", "&": "앤드", "@": "골뱅이", "#": "샵", "+": "더하기", "=": "은", "×": "곱하기", "÷": "나누기",
    "°": "도", "$": "달러", "€": "유로", "£": "파운드", "¥": "엔", "₩": "원",
}  # fmt: skip
_LARGEST_NATIVE, _FEWEST_CODE_DIGITS, _HOURS, _MONTHS = 99, 3, 12, 12


def verbalise(text: str) -> str:
    """Replace everything that is not read as it is written; takes plain typography, gives text that is not yet tidy."""
    if re.search(r"\d", text):
        text = apply(_RULES, text)
    return re.sub("[" + re.escape("".join(_SIGNS)) + "]", lambda match: f" {_SIGNS[match[0]]} ", text)


def native(number: int) -> str:
    """A native number from 1 to 99 as it stands before what is counted: ``21`` is ``스물한``."""
    tens, ones = divmod(number, 10)
    last = _NATIVE_ONES[ones] if ones else _NATIVE_TENS[tens]
    return (_NATIVE_TENS[tens] if ones else "") + _BEFORE_COUNTER.get(last, last)


def _digits(text: str) -> str:
    return KOREAN.digits(text).replace("영", "공")


def _telephone(match: re.Match[str]) -> str:
    return " ".join(_digits(group) for group in re.findall(r"\d+", match[0]))


def _counted(match: re.Match[str]) -> str:
    number, counter = int(match["number"]), match["counter"]
    sino = not 1 <= number <= _LARGEST_NATIVE or (counter == "시" and number > _HOURS) or counter in _SINO_COUNTERS
    return f"{KOREAN.cardinal(number) if sino else native(number)} {counter}"


def _clock(match: re.Match[str]) -> str:
    return _hour_and_minute(match) if int(match["minute"]) else _hours(int(match["hour"]))


def _date(match: re.Match[str]) -> str:
    return f"{KOREAN.number(match['year'])} 년 {_month(int(match['month']))} {KOREAN.cardinal(int(match['day']))} 일"


def _month(month: int) -> str:
    return {6: "유", 10: "시"}.get(month, KOREAN.cardinal(month)) + "월"


def _month_name(match: re.Match[str]) -> str:
    month = int(match[1])
    return _month(month) if 1 <= month <= _MONTHS else f"{KOREAN.cardinal(month)}월"


def _money(match: re.Match[str]) -> str:
    currency, (whole, _, cents) = _CURRENCIES[match["sign"].strip()], match["number"].partition(".")
    if match["scale"] or not cents or not int(cents) or currency not in _CENTS or len(cents) != 2:
        amount = match["number"] if cents and int(cents) else whole
        return f"{KOREAN.number(amount)}{match['scale'] or ''} {currency}"
    return f"{KOREAN.number(whole)} {currency} {KOREAN.cardinal(int(cents))} {_CENTS[currency]}"


def _degrees(match: re.Match[str]) -> str:
    number, unit = match["number"], _DEGREES[match["unit"]]
    below = "영하 " if number.startswith("-") else ""
    *scale, degrees = unit.split(" ")
    return " ".join([*scale, f"{below}{KOREAN.number(number.lstrip('-'))} {degrees}"])


def _measure(match: re.Match[str]) -> str:
    *speed, unit = _UNITS[match["unit"]].split(" ")
    return " ".join([*speed, KOREAN.number(match["number"]), unit])


def _range(match: re.Match[str]) -> str:
    if match["dash"] == "-" and float(match["first"]) >= float(match["second"]):
        return match[0]
    return f"{match['first']}{match['unit']}에서 {match['second']}"


def _after_letters(match: re.Match[str]) -> str:
    digits = match["digits"]
    code = digits.isdigit() and len(digits) >= _FEWEST_CODE_DIGITS
    return " " + (_digits(digits) if code else KOREAN.number(digits))


def _bare(match: re.Match[str]) -> str:
    """A number and the word it is written together with: in Korean they are two words, but for particles."""
    following = match.string[match.end() :]
    apart = following[:1].isalpha() and not _PARTICLE.match(following)
    return KOREAN.number(match["number"]) + (match["scale"] or "") + (" " if apart else "")


def _hour_and_minute(match: re.Match[str]) -> str:
    return f"{_hours(int(match['hour']))} {KOREAN.cardinal(int(match['minute']))} 분"


def _hours(hour: int) -> str:
    return f"{native(hour) if 1 <= hour <= _HOURS else KOREAN.cardinal(hour)} 시"


_RULES = (
    rule(r"(?<![A-Za-z\d.])(?:\+82[- ]?)?0?1[016789][- ]?\d{3,4}[- ]?\d{4}(?!\d)", _telephone),
    rule(r"(?<![A-Za-z\d.])(?:\+\d{1,3}[- ])?0?\d{1,4}-\d{2,4}-\d{4}(?!\d)", _telephone, "-"),
    rule(r"(?<![A-Za-z\d.])1[568]\d\d-\d{4}(?!\d)", _telephone, "-"),
    rule(r"(?<![\d.])(\d{3}|(?<!\d)\d)0s\b", lambda m: KOREAN.number(m[1] + "0") + "년대", "s"),
    rule(r"(?<![\d/.-])(?P<year>\d{4})[-/.] ?(?P<month>\d{1,2})[-/.] ?(?P<day>\d{1,2})\b\.?(?!\d)", _date),
    rule(
        rf"(?P<sign>(?:US)?\$|[€£¥₩]|(?<![A-Za-z])(?:USD|EUR|KRW) ?)(?P<number>{NUMBER})(?P<scale>[백천]?[만억조])?",
        _money,
    ),
    rule(r"(?<![\d:])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?![\d:])", _clock, ":"),
    rule(r"(?<![\d:])(\d+):(\d+)(?![\d:])", r"\1 대 \2", ":"),
    rule(
        r"(?<![A-Za-z\d.:/-])(?P<first>\d+(?:\.\d+)?)(?P<unit>%|°C|°|)(?P<dash>[-~])(?P<second>\d+(?:\.\d+)?)(?![\d:/-]|\.\d)",
        _range,
        "-~",
    ),
    rule(rf"(?P<number>{_SIGNED}) ?(?P<unit>°C|°F|°|도(?!\w))", _degrees),
    rule(r"(?<![A-Za-z\d.)])-(?=\.?\d)", "마이너스 ", "-"),
    rule(rf"(?P<number>{NUMBER}) ?(?P<unit>{_UNIT})(?![A-Za-z\d^/])", _measure),
    rule(
        r"(?<![\d/.])(\d{1,3})/(\d{1,3})(?![\d/.])", lambda m: f"{KOREAN.number(m[2])} 분의 {KOREAN.number(m[1])}", "/"
    ),
    rule(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\.?\d)", lambda m: " 점 ".join(map(KOREAN.number, m[0].split("."))), "."),
    rule(r"(?:\bNo\. ?|#)(?=\d)", "넘버 "),
    rule(r"(?<=[A-Za-z])[- ]?(?P<digits>\d+(?:\.\d+)?)", _after_letters),
    rule(r"(?<!\d)(\d{1,2})월", _month_name, "월"),
    rule(r"(?P<hour>\d+)시 ?(?P<minute>\d+)분", _hour_and_minute),
    rule(r"(?<![\d.,제])(?P<number>\d{1,3}) ?(?P<counter>" + _COUNTERS + ")", _counted),
    rule(rf"(?P<number>{NUMBER})(?P<scale>[십백천]?[만억조]|[십백천])?", _bare),
    rule(r"\d+", lambda m: KOREAN.digits(m[0])),
)
"""In order: what is no quantity, dates and times, money, ranges, units, codes, counted things, and the rest."""
