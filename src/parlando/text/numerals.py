"""East Asian numerals: numbers in groups of four digits, as Chinese, Japanese and Korean read them."""

from __future__ import annotations

from dataclasses import dataclass

NUMBER = r"(?<!\d)(?:\d{1,3}(?:,\d{3})++|\d++)(?:\.\d++)?"
"""The pattern of a number without its sign, with or without separators."""

_GROUP = 10_000


@dataclass(frozen=True)
class Numerals:
    """How one language writes numbers.

    ``ones``, ``places`` (ten, hundred, thousand) and ``scales`` (powers of 10,000, the first of them empty) are its
    words. ``gap`` is said for places that are skipped, ``pair`` is the two of hundreds and larger. ``bare`` says that a
    one before ten, hundred and thousand is left out, ``bare_myriad`` the same of the first scale.
    """

    ones: str
    places: tuple[str, str, str]
    scales: tuple[str, ...]
    point: str
    minus: str
    gap: str = ""
    pair: str = ""
    bare: bool = True
    bare_myriad: bool = False

    def cardinal(self, number: int) -> str:
        """A whole number of any size from zero on; beyond the scales its digits are read."""
        if number == 0:
            return self.ones[0]
        if number >= _GROUP ** len(self.scales):
            return self.digits(str(number))
        said, skipped = "", False
        for power in reversed(range(len(self.scales))):
            group = number // _GROUP**power % _GROUP
            if group:
                gap = self.gap if said and (skipped or group < _GROUP // 10) else ""
                said += gap + self._scaled(group, power)
            skipped = not group
        return self._start(said)

    def digits(self, text: str, one: str = "") -> str:
        """Digits one by one; ``one`` is what a 1 is called where that differs from the number."""
        return "".join(one if one and digit == "1" else self.ones[int(digit)] for digit in text)

    def number(self, text: str) -> str:
        """Any plain number: ``1,234``, ``3.14``, ``-5``, ``007``, ``.5``."""
        sign, text = (self.minus, text[1:]) if text.startswith("-") else ("", text)
        whole, _, decimals = text.replace(",", "").partition(".")
        longest = 4 * len(self.scales)
        read = self.digits if len(whole) > longest or (len(whole) > 1 and whole[0] == "0") else self._whole
        return sign + read(whole) + (self.point + self.digits(decimals) if decimals else "")

    def _whole(self, text: str) -> str:
        return self.cardinal(int(text or "0"))

    def _scaled(self, group: int, power: int) -> str:
        if power and group == 1 and self.bare_myriad and power == 1:
            return self.scales[power]
        if power and group == 2 and self.pair:
            return self.pair + self.scales[power]
        return self._below(group) + self.scales[power]

    def _below(self, number: int) -> str:
        """A number below 10,000."""
        said, skipped = "", False
        for place, unit in ((1000, self.places[2]), (100, self.places[1]), (10, self.places[0]), (1, "")):
            digit = number // place % 10
            if digit:
                gap = self.gap if said and skipped else ""
                said += gap + self._one(digit, place) + unit
            skipped = not digit
        return said

    def _one(self, digit: int, place: int) -> str:
        if digit == 1 and self.bare and place > 1:
            return ""
        return self.pair if digit == 2 and self.pair and place >= 100 else self.ones[digit]

    def _start(self, said: str) -> str:
        """Chinese ten to nineteen have no one in front, though the tens inside a number do."""
        teen = self.ones[1] + self.places[0]
        return said[1:] if not self.bare and said.startswith(teen) else said


CHINESE = Numerals(
    "零一二三四五六七八九", ("十", "百", "千"), ("", "万", "亿", "万亿", "亿亿"),
    point="点", minus="负", gap="零", pair="两", bare=False,
)  # fmt: skip
JAPANESE = Numerals("零一二三四五六七八九", ("十", "百", "千"), ("", "万", "億", "兆", "京"), "点", "マイナス")
KOREAN = Numerals(
    "영일이삼사오육칠팔구", ("십", "백", "천"), ("", "만", "억", "조", "경"), " 점 ", "마이너스 ", bare_myriad=True
)
