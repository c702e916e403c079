"""English number words: cardinals, ordinals, years, decimals, fractions, digit strings, Roman numerals."""

from __future__ import annotations

import re

SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
HUNDRED = "hundred"
SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
NUMBER_WORDS = frozenset((*SMALL, *TENS[2:], HUNDRED, *SCALES[1:]))
"""Words that numbers consist of."""
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ROMAN_FORM = re.compile(r"M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})")
_LARGEST = 1000 ** len(SCALES) - 1
_LARGEST_NAMED_DENOMINATOR = 20


def cardinal(number: int) -> str:
    """``1234`` is ``one thousand two hundred thirty four``; beyond quintillions the digits are read."""
    if number < 0:
        return "minus " + cardinal(-number)
    if number > _LARGEST:
        return digits(str(number))
    if number < 1000:
        return _below_thousand(number)
    groups = []
    for scale in SCALES:
        number, rest = divmod(number, 1000)
        if rest:
            groups.append(f"{_below_thousand(rest)} {scale}".strip())
        if not number:
            break
    return " ".join(reversed(groups))


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{SMALL[hundreds]} {HUNDRED}"] if hundreds else []
    if rest or not hundreds:
        words.append(_below_hundred(rest))
    return " ".join(words)


def _below_hundred(number: int) -> str:
    if number < len(SMALL):
        return SMALL[number]
    tens, ones = divmod(number, 10)
    return f"{TENS[tens]} {SMALL[ones]}" if ones else TENS[tens]


def ordinal(number: int) -> str:
    """``22`` is ``twenty second``."""
    *before, last = cardinal(number).split(" ")
    return " ".join([*before, ordinal_word(last)])


def ordinal_word(word: str) -> str:
    """The ordinal of a single number word: ``twenty`` is ``twentieth``."""
    if word in _ORDINALS:
        return _ORDINALS[word]
    return word[:-1] + "ieth" if word.endswith("y") else word + ("h" if word.endswith("t") else "th")


def year(number: int) -> str:
    """``1905`` is ``nineteen oh five``, ``2000`` ``two thousand``, ``2025`` ``twenty twenty five``."""
    century, rest = divmod(number, 100)
    if not 1010 <= number < 10_000 or (century % 10 == 0 and rest < 10):
        return cardinal(number)
    if rest == 0:
        return f"{_below_hundred(century)} hundred"
    return f"{_below_hundred(century)} {two_digits(rest)}"


def two_digits(number: int) -> str:
    """Two digits as in a year or a time: ``5`` is ``oh five``."""
    return f"oh {SMALL[number]}" if number < 10 else _below_hundred(number)


def plural(words: str) -> str:
    """The plural of number words: ``nineteen sixty`` is ``nineteen sixties``."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("x") else "s")


def digits(text: str) -> str:
    """Digits one by one."""
    return " ".join(SMALL[int(digit)] for digit in text)


def number(text: str) -> str:
    """Any plain number: ``1,234``, ``3.14``, ``-5``, ``007``, ``.5``."""
    sign, text = ("minus ", text[1:]) if text.startswith("-") else ("", text)
    whole, point, decimals = text.replace(",", "").partition(".")
    if len(whole) > 1 and whole.startswith("0"):
        words = digits(whole)
    else:
        words = cardinal(int(whole or "0")) if len(whole) <= len(str(_LARGEST)) else digits(whole)
    return f"{sign}{words} point {digits(decimals)}" if point and decimals else sign + words


def fraction(numerator: int, denominator: int) -> str:
    """``3/4`` is ``three quarters``; unusual denominators are read ``over``."""
    names = {2: ("half", "halves"), 4: ("quarter", "quarters")}
    if denominator in names:
        name = names[denominator][numerator != 1]
    elif 2 < denominator <= _LARGEST_NAMED_DENOMINATOR or denominator in (100, 1000):
        name = ordinal(denominator) + ("" if numerator == 1 else "s")
    else:
        return f"{cardinal(numerator)} over {cardinal(denominator)}"
    return f"{cardinal(numerator)} {name}"


def roman(text: str) -> int | None:
    """The value of a well-formed upper-case Roman numeral, else ``None``."""
    if not text or not _ROMAN_FORM.fullmatch(text):
        return None
    values = [_ROMAN[letter] for letter in text]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))
