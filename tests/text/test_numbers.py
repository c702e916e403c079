"""Number words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.text import numbers


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety nine"),
        (100, "one hundred"),
        (1001, "one thousand one"),
        (1_000_000, "one million"),
        (2_000_019_300, "two billion nineteen thousand three hundred"),
        (-7, "minus seven"),
        (10**21, "one" + " zero" * 21),
    ],
)
def test_cardinals(value: int, words: str) -> None:
    assert numbers.cardinal(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1, "first"),
        (5, "fifth"),
        (8, "eighth"),
        (12, "twelfth"),
        (20, "twentieth"),
        (33, "thirty third"),
        (100, "one hundredth"),
    ],
)
def test_ordinals(value: int, words: str) -> None:
    assert numbers.ordinal(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1066, "ten sixty six"),
        (1900, "nineteen hundred"),
        (1905, "nineteen oh five"),
        (2000, "two thousand"),
        (2009, "two thousand nine"),
        (2010, "twenty ten"),
        (476, "four hundred seventy six"),
    ],
)
def test_years(value: int, words: str) -> None:
    assert numbers.year(value) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,234", "one thousand two hundred thirty four"),
        ("-3.05", "minus three point zero five"),
        (".5", "zero point five"),
        ("007", "zero zero seven"),
        ("9" * 30, " ".join(["nine"] * 30)),
    ],
)
def test_written_numbers(text: str, words: str) -> None:
    assert numbers.number(text) == words


@pytest.mark.parametrize(
    ("numerator", "denominator", "words"),
    [
        (1, 2, "one half"),
        (3, 2, "three halves"),
        (3, 4, "three quarters"),
        (1, 3, "one third"),
        (5, 16, "five sixteenths"),
        (1, 100, "one one hundredth"),
        (3, 21, "three over twenty one"),
    ],
)
def test_fractions(numerator: int, denominator: int, words: str) -> None:
    assert numbers.fraction(numerator, denominator) == words


def test_plurals() -> None:
    assert [numbers.plural(w) for w in ("sixty", "hundred", "six")] == ["sixties", "hundreds", "sixes"]


@pytest.mark.parametrize(
    ("text", "value"), [("IV", 4), ("XIX", 19), ("MCMXCIV", 1994), ("IIII", None), ("VX", None), ("", None)]
)
def test_roman_numerals(text: str, value: int | None) -> None:
    assert numbers.roman(text) == value


@given(st.integers(0, 10**21 - 1))
def test_every_cardinal_has_its_own_words(value: int) -> None:
    assert numbers.cardinal(value) != numbers.cardinal(value + 1)
    assert numbers.cardinal(value).replace(" ", "").isalpha()
