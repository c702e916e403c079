"""Normalisation: a table of sentences, and what holds for any text."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parlando.core.errors import ConfigError, TextError
from parlando.text.normalize import TAG, check_speakable, normalize
from parlando.text.punctuation import MARKS

TABLE = [
    tuple(line.split("\t"))
    for line in (Path(__file__).parent / "normalize_en.tsv").read_text(encoding="utf-8").splitlines()
]
FRAGMENTS = (
    "Dr. ", "St. ", "$3.50", "5", "-", ".", ",", "10:05", " ", "a.m.", "J. ", "R. ", "X", "Henry VIII", "No. 5",
    "1990s", "%", "km", "3/4", "#", "@", "/", "'", '"', "(", ")", "\u2014", "\u2026", "...", "!", "?", "\n\n", "\n",
    "e.g.", "etc.", "FBI", "I", "II", "and", "is", "example.com", "*", "_", "`", "<", ">", "&amp;", "|", "\u00bd",
    "\u200b", "\u00e9", "\u0130", "\u4eac", "[SPEAKER0]", "[", "]", "0", ":", ";", "Mr", "M.", "May", "th", "oh", "x",
    "^2", "\u00b0C",
)  # fmt: skip
MIXED = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)


@pytest.mark.parametrize(("written", "said"), TABLE, ids=range(len(TABLE)))
def test_sentence(written: str, said: str) -> None:
    assert normalize(written) == said


def test_the_table_has_at_least_150_sentences() -> None:
    assert len({written for written, _ in TABLE}) >= 150


def _outside_tags(text: str) -> str:
    return TAG.sub("", text)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), MIXED))
@example("Mr#\n\n[SPEAKER0]")
@example("1st-2nd 3/0 0/0 $. -$ 99:99 ''' --- ... 1,2,3.4.5")
@example("\u0665\u066b\u0663 \u2460\u2461 \u2167 \u3007 \u00b2\u00b3\u2074")
def test_any_text_gives_letters_and_marks_and_settles(text: str) -> None:
    said = normalize(text)
    # Scripts that write vowels as marks on their consonants keep these, and none without a letter.
    signs = [unicodedata.category(c) in ("Mn", "Mc") for c in _outside_tags(said)]
    letters = [c.isalpha() for c in _outside_tags(said)]
    assert all(
        letter or (sign and (letters[i - 1] or signs[i - 1]) and i > 0) or c in f"{MARKS}' "
        for i, (c, letter, sign) in enumerate(zip(_outside_tags(said), letters, signs, strict=True))
    )
    assert normalize(said) == said


@pytest.mark.parametrize(
    "tag", ["[SPEAKER0]", "[SPEAKER12]", "<SE>[Laughter]</SE>", "<|eot_id|>", "<SE_s>[Music]</SE_s>"]
)
def test_tags_stay_as_they_are(tag: str) -> None:
    assert normalize(f"{tag} I have 5 & {tag} more.") == f"{tag} I have five and {tag} more."


@pytest.mark.parametrize(
    "form", ["{}", "{}th", "${}.00", "{} 1/2", "{}'5\"", "{},000", "{} km", "{}:00", "{}-{}", "#{}", "{}%"]
)
def test_five_thousand_digits_are_read_one_by_one(form: str) -> None:
    said = normalize(form.format("7" * 5000, "7" * 5000))
    assert said.count("seven") >= 5000


@pytest.mark.parametrize("text", ["A. ", "ABC ", "a.", "1.", "1,", "-", "'", "(5) ", "on Aa Bb ", "*a", "<|a", "$1 "])
@pytest.mark.timeout(60)
def test_repetitive_text_does_not_hang(text: str) -> None:
    said = normalize(text * (12_000 // len(text)))
    assert len(said) < 200_000


def test_words_in_an_all_capital_sentence_are_not_spelled() -> None:
    assert normalize("IT IS FOR US. THE FBI KNOWS.") == "IT IS FOR US. THE F B I KNOWS."
    assert normalize("It is for the US. The FBI knows.") == "It is for the U S. The F B I knows."


def test_an_unknown_language_is_named() -> None:
    with pytest.raises(ConfigError, match="language 'enn'; there is: en, zh, ja, ko. Did you mean 'en'"):
        normalize("hello", "enn")


@pytest.mark.parametrize("text", ["", "  \n", "\u200b "])
def test_empty_text_is_refused(text: str) -> None:
    with pytest.raises(TextError):
        check_speakable(text)


@pytest.mark.parametrize("text", ["...", "?!", "[SPEAKER0] -", "<|eot_id|>", "\U0001f600" * 60])
def test_text_without_letter_or_digit_is_refused(text: str) -> None:
    with pytest.raises(TextError, match="nothing to pronounce in .* give at least one word"):
        check_speakable(text)


@pytest.mark.parametrize("text", ["a", "5", "\u4eac", "[SPEAKER0] x"])
def test_a_letter_or_digit_is_enough(text: str) -> None:
    check_speakable(text)


@pytest.mark.parametrize("text", ["नमस्ते दुनिया", "สวัสดีครับ", "مَرحَبا"])
def test_vowels_that_are_written_as_marks_stay(text):
    assert normalize(text) == text
