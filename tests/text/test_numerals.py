"""East Asian numerals, against num2words where it has the language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from parlando.text.korean import native
from parlando.text.numerals import CHINESE, JAPANESE, KOREAN, Numerals


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "零"), (10, "十"), (11, "十一"), (101, "一百零一"), (110, "一百一十"), (222, "两百二十二"),
        (1001, "一千零一"), (1010, "一千零一十"), (10_000, "一万"), (10_010, "一万零一十"), (20_000, "两万"),
        (12_345, "一万两千三百四十五"), (100_005, "十万零五"), (10_002_000, "一千万两千"),
        (1000_0000_2000, "一千亿零两千"), (120_000_000, "一亿两千万"), (10**12, "一万亿"),
    ],
)  # fmt: skip
def test_chinese_numbers(number: int, words: str) -> None:
    assert CHINESE.cardinal(number) == words


@given(st.integers(0, 10**16 - 1))
def test_japanese_and_korean_numbers_are_those_of_num2words(number: int) -> None:
    assert JAPANESE.cardinal(number).replace("零", "零") == num2words(number, lang="ja")
    assert KOREAN.cardinal(number) == num2words(number, lang="ko").replace(" ", "")


@given(st.sampled_from([CHINESE, JAPANESE, KOREAN]), st.integers(0, 10**20))
def test_every_number_has_its_own_words(language: Numerals, number: int) -> None:
    assert language.cardinal(number) != language.cardinal(number + 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-3.14", "负三点一四"),
        ("1,234.50", "一千两百三十四点五零"),
        ("007", "零零七"),
        (".5", "零点五"),
        ("9" * 40, "九" * 40),
    ],
)
def test_written_numbers(text: str, words: str) -> None:
    assert CHINESE.number(text) == words


@pytest.mark.parametrize(
    ("number", "words"), [(1, "한"), (4, "네"), (5, "다섯"), (20, "스무"), (21, "스물한"), (99, "아흔아홉")]
)
def test_native_korean_numbers(number: int, words: str) -> None:
    assert native(number) == words
