"""Chinese, Japanese, Korean and mixed text: tables of sentences, and what holds for any text."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parlando.core.errors import MissingDependencyError
from parlando.core.types import Notation
from parlando.text import east_asian
from parlando.text.markup import VOCAL
from parlando.text.normalize import normalize

TABLES = {"zh": "zh", "ja": "ja", "ko": "ko", "mixed": "en"}
SENTENCES = [
    (language, *line.split("\t"))
    for table, language in TABLES.items()
    for line in (Path(__file__).parent / f"normalize_{table}.tsv").read_text(encoding="utf-8").splitlines()
]
FRAGMENTS = (
    "3", "5", "12", "2024", "年", "月", "个", "的", "我有", "iPhone ", "apple", "15 ", " ", ".", "，", "。", "-", "~",
    "%", "$", "¥", "km", " kg", "°C", "3.14", "1,234", "10:05", "/", "1/3", "は", "です", "개", "저는 ", "시 30분",
    "（", "）", "“", "'", "…", "、", "!?", "[laughter]", "<strong>", "</strong>", "\n", "\n\n", "+", "=", "²", "〇",
    "ー", "ｶ", "１", "：", "No. ", "#", "@", "I have ", "MP3", "-4", "é", "\u0301", "&amp;", "[SPEAKER0]", "*", "_",
    "第", "½", "90s", "①", "图", "2", "·", "时", "√", "^", "번", "일", "元", "每",
)  # fmt: skip
MIXED = st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join)
MARKS = east_asian.MARKS + ",.?!;:-' "


@pytest.mark.parametrize(("language", "written", "said"), SENTENCES, ids=range(len(SENTENCES)))
def test_sentence(language: str, written: str, said: str) -> None:
    assert normalize(written, language) == said


@settings(max_examples=60, deadline=None)
@given(st.one_of(MIXED, st.text(max_size=30)), st.sampled_from(["zh", "ja", "ko", "en"]))
@example("5.. 1,2,3.4.5 99:99 0/0 --- ~~ 12345678901234567890123个", "zh")
@example("３-2時 0時 13時99分", "ja")
@example("0개 00시 99시 999개 -0", "ko")
def test_any_text_gives_letters_and_marks_and_settles(text: str, language: str) -> None:
    said = normalize(text, language, VOCAL)
    outside = re.sub(r"\[\w+\]|</?\w+>|<\|[^|]*\|>", "", said)
    assert all(c.isalpha() or c in MARKS for c in outside), outside
    assert normalize(said, language, VOCAL) == said


@pytest.mark.parametrize("digits", ["7" * 5000, "1" * 9 + "0" * 5000])
@pytest.mark.parametrize("language", ["zh", "ja", "ko"])
def test_five_thousand_digits_are_read(language: str, digits: str) -> None:
    assert len(normalize(digits, language)) >= 5000


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("他[laughter]停了5下，[breath]。好", "他[laughter]停了五下，[breath]。好"),
        ("<strong>勇气</strong>与<strong>3</strong>个", "<strong>勇气</strong>与<strong>三</strong>个"),
        ("[quick_breath]5%[noise]", "[quick_breath]百分之五[noise]"),
        ("[什么]5", "什么，五"),
        ("用四川话说这句话<|endofprompt|>今天5个人。", "用四川话说这句话<|endofprompt|>今天五个人。"),
        ("用四川话说。 <|endofprompt|> 5个", "用四川话说。 <|endofprompt|> 五个"),
    ],
)
def test_tags_of_the_notation_stay_and_others_do_not(written: str, said: str) -> None:
    assert normalize(written, "zh", VOCAL) == said


def test_tags_keep_the_blanks_and_marks_beside_them_in_english() -> None:
    text = "I [breath] have 5 <strong>big</strong>! cats, {k ae1 t s} 2"
    said = "I [breath] have five <strong>big</strong>! cats, {k ae1 t s} two"
    assert normalize(text, "en", Notation(VOCAL.sounds, VOCAL.manners, phones=True)) == said
    assert normalize("a <strong>b</strong>") == "a b"


def test_without_the_library_numbers_are_refused_and_words_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wetext", None)
    east_asian.forget()
    assert normalize("今天天气很好。", "zh") == "今天天气很好。"
    assert normalize("3.14 and 京都") == "three point one four and 京都"
    assert normalize("5개", "ko") == "다섯 개"
    with pytest.raises(MissingDependencyError, match=r"'wetext' is needed .* pip install .*\[languages\]'"):
        normalize("今天5个", "zh")
