"""Korean verbalisation by own rules: counted things take native numbers, everything else Sino-Korean ones.

No library is used: num2words has only Sino-Korean cardinals (it is the peer of our tests), and wetext has no Korean.
"""

from __future__ import annotations

import re

from parlando.text import punctuation
from parlando.text.numerals import KOREAN, NUMBER
from parlando.text.rules import apply, rule

_SIGNED = rf"(?:(?<![A-Za-z\d.)])-)?{NUMBER}"
_PARTICLE = re.compile("(?:에서?|[은는이가을를의도과와로]|으로|부터|까지|여|입니다|이다|예요|이에요)(?![가-힣])|에서 ")
_NATIVE_ONES = ("", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")
_NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_BEFORE_COUNTER = {"하나": "한", "둘": "두", "셋": "세", "넷": "네", "스물": "스무"}
_THINGS = (
    "살 명 마리 개 권 잔 병 송이 그루 채 벌 켤레 자루 번째 번 가지 사람 장 곡 통 줄 달 군데 그릇 조각 곳 쌍 배 척 차례"
    " 끼 박스 상자 세트 접시 봉지 컵 편 건 골 과목 걸음 바퀴 방울 모금 포기 식구 시간 시"
)
_COUNTERS = "|".join(["개월", "개국", "장조", "번지", "시즌", *sorted(_THINGS.split(" "), key=len, reverse=True)])
_SINO_COUNTERS = ("개월", "개국", "장조", "번지", "시즌")
_NUMBERED = (
    "출구|버스|문제|홈|게이트|승강장|국도|좌석|테이블|타자|선수|트랙|채널|레인|문항|환자|척추|염색체|교향곡|마을버스"
)
_VEHICLES = "차|자동차|승용차|버스|택시|트럭|컴퓨터|노트북|비행기|로봇|카메라|자전거|오토바이|피아노|드론|휴대폰"
_GUESTS = "손님|고객|어르신|선생님|일행|관객|참가자"
_FEW = ("", "한두", "두세", "서너", "네다섯", "대여섯", "예닐곱", "일고여덟", "여덟아홉")
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
_LARGEST_NATIVE, _FEWEST_CODE_DIGITS, _HOURS, _MONTHS, _DAYS = 99, 3, 12, 12, 31
_FIRST_SYLLABLE, _FINALS = "가", 28
_LONGEST_NATIVE_HOURS, _LARGEST_DENOMINATOR = 20, 12


def to_plain(text: str) -> str:
    """As `parlando.text.punctuation.to_plain`; days that events are named after (6·25) are read already."""
    return punctuation.to_plain(re.sub(r"(?<![\d.])(\d{1,2})[·ㆍ‧](\d{1,2})(?![\d.])", _event, text))


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


def _event(match: re.Match[str]) -> str:
    """``6·25`` digit by digit; the months above nine are numbers, and a twelfth of December too."""
    month, day = match[1], match[2]
    return KOREAN.number(month) + (KOREAN.number(day) if month == day else KOREAN.digits(day))


def _telephone(match: re.Match[str]) -> str:
    return " ".join(_digits(group) for group in re.findall(r"\d+", match[0]))


def _counted(match: re.Match[str]) -> str:
    number, counter = int(match["number"]), match["counter"]
    if number == 1 and counter == "번째":
        return "첫 번째"
    most = {"시": _HOURS, "시간": _LONGEST_NATIVE_HOURS}.get(counter, _LARGEST_NATIVE)
    sino = not 1 <= number <= most or counter in _SINO_COUNTERS
    return f"{KOREAN.cardinal(number) if sino else native(number)} {counter}"


def _of_them(match: re.Match[str]) -> str:
    return match["before"] + _counted(match)


def _few(match: re.Match[str]) -> str:
    """``2~3개`` in the words for neighbours (``두세 개``), other ranges with the counter said twice."""
    first, second, counter = int(match["first"]), int(match["second"]), match["counter"]
    if counter in _SINO_COUNTERS or first >= second or first < 1:
        return match[0]
    if second == first + 1 and second < len(_FEW) + 1:
        return f"{_FEW[first]} {counter}"
    return f"{first}{counter}에서 {second}{counter}"


def _clock(match: re.Match[str]) -> str:
    return _hour_and_minute(match) if int(match["minute"]) else _hours(int(match["hour"]))


def _date(match: re.Match[str]) -> str:
    return f"{KOREAN.number(match['year'])} 년 {_month(int(match['month']))} {KOREAN.cardinal(int(match['day']))} 일"


def _month_and_day(match: re.Match[str]) -> str:
    """``12/25`` is a day, ``1/3`` a fraction."""
    first, second = int(match[1]), int(match[2])
    if first <= _MONTHS and 1 <= second <= _DAYS and (first >= second or second > _LARGEST_DENOMINATOR):
        return f"{_month(first)} {KOREAN.cardinal(second)} 일"
    return f"{KOREAN.number(match[2])} 분의 {KOREAN.number(match[1])}"


def _equals(match: re.Match[str]) -> str:
    last = match[1][-1]
    syllable = KOREAN.ones[int(last)] if last.isdigit() else last
    closed = syllable >= _FIRST_SYLLABLE and (ord(syllable) - ord(_FIRST_SYLLABLE)) % _FINALS
    return f"{match[1]}{'은' if closed else '는'} "


def _month(month: int) -> str:
    return {6: "유", 10: "시"}.get(month, KOREAN.cardinal(month)) + "월"


def _month_name(match: re.Match[str]) -> str:
    month, gap = int(match[1]), " " if match.string[match.end() :][:1].isdigit() else ""
    return (_month(month) if 1 <= month <= _MONTHS else f"{KOREAN.cardinal(month)}월") + gap


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
    return " " + (_digits(digits) if code else KOREAN.number(digits)) + _gap(match)


def _bare(match: re.Match[str]) -> str:
    return KOREAN.number(match["number"]) + (match["scale"] or "") + _gap(match)


def _gap(match: re.Match[str]) -> str:
    """Between a number and the word it is written together with: in Korean they are two words, but for particles."""
    following = match.string[match.end() :]
    return " " if following[:1].isalpha() and not _PARTICLE.match(following) else ""


def _hour_and_minute(match: re.Match[str]) -> str:
    return f"{_hours(int(match['hour']))} {KOREAN.cardinal(int(match['minute']))} 분"


def _hours(hour: int) -> str:
    return f"{native(hour) if 1 <= hour <= _HOURS else KOREAN.cardinal(hour)} 시"


_RULES = (
    rule(r"(?<=[가-힣])(?<!제)(?=\d)", " "),
    rule(r"(?<![A-Za-z\d.])(?:\+82[- ]?)?0?1[016789][- ]?\d{3,4}[- ]?\d{4}(?!\d)", _telephone),
    rule(r"(?<![A-Za-z\d.])(?:\+\d{1,3}[- ])?0?\d{1,4}-\d{2,4}-\d{4}(?!\d)", _telephone, "-"),
    rule(r"(?<![A-Za-z\d.])1[568]\d\d-\d{4}(?!\d)", _telephone, "-"),
    rule(r"(?<![\d.])(\d{3}|(?<!\d)\d)0s\b", lambda m: KOREAN.number(m[1] + "0") + "년대", "s"),
    rule(r"(?<![\d/.-])(?P<year>\d{4})[-/.] ?(?P<month>\d{1,2})[-/.] ?(?P<day>\d{1,2})\b\.?(?!\d)", _date),
    rule(
        rf"(?P<sign>(?:US)?\$|[€£¥₩]|(?<![A-Za-z])(?:USD|EUR|KRW) ?)(?P<number>{NUMBER})(?P<scale>[백천]?[만억조])?",
        _money,
    ),
    rule(r"(?<![\w-])11[249](?=에|로| ?신고| ?번| ?구급| ?상황실)", lambda m: KOREAN.digits(m[0])),
    rule(r"(?<=[월화수목금토일])[-~](?=[월화수목금토일](?!\w))", "에서 ", "-~"),
    rule(r"(?<![\d:])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?![\d:])", _clock, ":"),
    rule(r"(?<![\d:])(\d+):(\d+)(?![\d:])", r"\1 대 \2", ":"),
    rule(rf"(?<![\w.:/-])(?P<first>\d{{1,2}})[-~](?P<second>\d{{1,2}}) ?(?P<counter>{_COUNTERS})", _few, "-~"),
    rule(
        r"(?<![A-Za-z\d.:/-])(?P<first>\d+(?:\.\d+)?)(?P<unit>%|°C|°|)(?P<dash>[-~])(?P<second>\d+(?:\.\d+)?)"
        r"(?![\d:/-]|\.\d)",
        _range,
        "-~",
    ),
    rule(r"(?<![A-Za-z\d./:-])(\d{1,3})-(\d{1,3})(?![\d/-]|\.\d| ?[=+×÷*])", r"\1 대 \2", "-"),
    rule(r"(?<=\d) ?- ?(?=\d+ ?=)", " 빼기 ", "-"),
    rule(r"√ ?(?=\d)", "루트 ", "√"),
    rule(r"(?<=[일월년시분원명개회도주])~(?=[\d가-힣])", "에서 ", "~"),
    rule(
        r"(?<=\d)\^(\d+)",
        lambda m: f"의 {'' if m[1] in '23' else KOREAN.number(m[1]) + ' '}{'세' if m[1] == '3' else ''}제곱",
        "^",
    ),
    rule(rf"(?P<number>{_SIGNED}) ?(?P<unit>°C|°F|°|도(?!\w))", _degrees),
    rule(r"([\w]) ?= ?(?=[\w-])", _equals, "="),
    rule(r"(?<![A-Za-z\d.)])-(?=\.?\d)", "마이너스 ", "-"),
    rule(rf"(?P<number>{NUMBER}) ?(?P<unit>{_UNIT})(?![A-Za-z\d^/])", _measure),
    rule(r"(?<![\d/.])(\d{1,3})/(\d{1,3})(?![\d/.])", _month_and_day, "/"),
    rule(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\.?\d)", lambda m: " 점 ".join(map(KOREAN.number, m[0].split("."))), "."),
    rule(r"(?:\bNo\. ?|#)(?=\d)", "넘버 "),
    rule(r"(?<=[A-Za-z])[- ]?(?P<digits>\d+(?:\.\d+)?)", _after_letters),
    rule(r"(?<!\d)(\d{1,2})월", _month_name, "월"),
    rule(r"(?<!\d)(?P<hour>\d{1,2})시 ?(?P<minute>\d{1,2})분", _hour_and_minute),
    rule(rf"(?<!\d)(\d+)번(?= (?:{_NUMBERED}))", lambda m: KOREAN.number(m[1]) + " 번", "번"),
    rule(rf"(?P<before>(?:{_VEHICLES})[가를는은이]? )(?P<number>\d{{1,2}})(?P<counter>대)(?!\w)", _of_them, "대"),
    rule(rf"(?P<before>(?:{_GUESTS})[이은]? )(?P<number>\d{{1,2}})(?P<counter>분)(?!\w)", _of_them, "분"),
    rule(r"(?<![\d.,제])(?P<number>\d{1,3}) ?(?P<counter>" + _COUNTERS + ")", _counted),
    rule(rf"(?P<number>{NUMBER})(?P<scale>[십백천]?[만억조]|[십백천])?", _bare),
    rule(r"\d+", lambda m: KOREAN.digits(m[0])),
)
"""In order: what is no quantity, dates and times, money, ranges, units, codes, counted things, and the rest."""
