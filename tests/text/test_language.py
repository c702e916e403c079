"""Which part of a mixed text is in which language."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.text.language import Span, detect, spans


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("我有3个apple", "zh", "zh:我有3个|en:apple"),
        ("我有3个apple", "en", "zh:我有3个|en:apple"),
        ("买iPhone 15 Pro手机", "zh", "zh:买|en:iPhone |zh:15 |en:Pro|zh:手机"),
        ("他说 I have 3 apples. 走了5 km", "zh", "zh:他说 |en:I have 3 apples. |zh:走了5 km"),
        ("5%的人 like 5 things", "en", "zh:5%的人 |en:like 5 things"),
        ("Call 911 right now! 好", "zh", "en:Call 911 right now! |zh:好"),
        ("今日は5個", "en", "ja:今日は5個"),
        ("京都 5 回", "ja", "ja:京都 5 回"),
        ("我喜欢の的店3个", "zh", "zh:我喜欢の的店3个"),
        ("이것은 カタカナ 3", "ko", "ko:이것은 |ja:カタカナ |ko:3"),
        ("저는 3개의 apple을", "ko", "ko:저는 3개의 |en:apple|ko:을"),
        ("3.14", "zh", "zh:3.14"),
        ("", "en", ""),
    ],
)
def test_spans(text: str, language: str, expected: str) -> None:
    assert "|".join(f"{span.language}:{span.text}" for span in spans(text, language)) == expected


@given(st.text(alphabet="我3 aあ개.,!%\n-5kmé京", max_size=25), st.sampled_from(["en", "zh", "ja", "ko"]))
def test_spans_joined_are_the_text_and_neighbours_differ(text: str, language: str) -> None:
    found = spans(text, language)
    assert "".join(span.text for span in found) == text
    assert all(a.language != b.language for a, b in pairwise(found))


def test_plain_english_is_one_span() -> None:
    assert spans("I paid $3. Was that much — or not?") == [Span("en", "I paid $3. Was that much — or not?")]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("我用iPhone", "zh"),
        ("The word 你好 is Chinese", "en"),
        ("東京へ行く", "ja"),
        ("나는 간다", "ko"),
        ("123", "en"),
        ("Привет", "en"),
    ],
)
def test_the_language_of_a_text_is_that_of_most_letters(text: str, language: str) -> None:
    assert detect(text) == language
