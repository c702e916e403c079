"""Segmentation: sentence ends, lengths, and that nothing is lost however the text arrives."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parlando.core.errors import ConfigError
from parlando.text.normalize import normalize
from parlando.text.segment import IncrementalSegmenter, segment

SENTENCES = [
    ["Dr. Smith lives on Main St. near us.", "He is a very kind man."],
    ["Mr. and Mrs. Jones paid $3.50 for it.", "That was a lot then."],
    ["We use e.g. apples, i.e. fruit, for this.", "Nothing else is needed."],
    ["J. R. R. Tolkien wrote The Hobbit.", "George W. Bush read it, perhaps."],
    ["The U.S. Army is large and old.", "See No. 5 on the list, please.", "No. I will not do it."],
    ['"Are you coming?" she asked him.', '"Not today, I am afraid!"', "He left without a word."],
    ["Wait... what did you say?", "I said (quietly, I admit.)", "Then we all went home."],
    ["She left the house at 5 p.m.", "Nobody saw her go.", "It was Jan. 5 then."],
    [
        "\u4eca\u5929\u5929\u6c14\u5f88\u597d\uff0c\u6211\u4eec\u53bb\u516c\u56ed\u3002",
        "\u597d\u7684\uff0c\u6211\u4eec\u73b0\u5728\u5c31\u53bb\u516c\u56ed\u73a9\uff01",
    ],
    ["1. First we open the box.", "2. Then we look inside."],
]  # fmt: skip
PIECES = (
    "Dr. ", "Hi. ", "Yes! ", "word ", "a, ", "b; ", "I. ", "J. ", "no ", '"', ") ", "\n\n", ". ", "...", " ", "U.S. ",
    "5", "longerwords ", "\u3002", "\u4eac", "?", "e.g. ", "No. ", "Then ", "[SPEAKER0] ", "- ",
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=80), st.lists(st.sampled_from(PIECES), max_size=25).map("".join))


TAG = re.compile(r"\[[\w -]*\]|<[/|]?[\w|]*>|\{[a-z0-9 ]*\}")


def _letters(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("sentences", SENTENCES, ids=lambda s: s[0][:24])
def test_sentence_ends(sentences: list[str]) -> None:
    assert segment(" ".join(sentences)) == sentences


def test_a_spelled_initialism_can_end_a_sentence_once_it_is_normalised() -> None:
    text = normalize("He met the FBI. They were polite.")
    assert segment(text) == ["He met the F B I.", "They were polite."]


def test_paragraphs_end_sentences_without_a_mark() -> None:
    assert segment("A title of the page\n\nThe text of the page") == ["A title of the page", "The text of the page"]


def test_a_short_paragraph_does_not_join_the_next_one() -> None:
    segmenter = IncrementalSegmenter()
    assert segmenter.feed("12\n\nkg of flour") + segmenter.flush() == ["12", "kg of flour"]


def test_line_breaks_inside_a_paragraph_are_spaces() -> None:
    assert segment("one line\nand another line.") == ["one line and another line."]


def test_long_sentences_are_cut_at_clause_marks_then_at_words() -> None:
    text = "When the rain had stopped, they walked along the river; nobody spoke a single word until the evening came"
    assert segment(text, longest_characters=60) == [
        "When the rain had stopped, they walked along the river;",
        "nobody spoke a single word until the evening came",
    ]
    assert segment("aaa bbb ccc ddd eee", longest_characters=12, shortest_characters=2) == ["aaa bbb ccc", "ddd eee"]
    assert segment("a" * 25, longest_characters=10, shortest_characters=2) == ["a" * 10, "a" * 10, "a" * 5]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (
            "今天天气真不错我们一起去公园玩吧" * 4,
            "今天天气真不错我们一起去公园玩吧今天天气真不错我们一起去公园玩吧今天天气真不错",
        ),
        (
            "とても長い文章でありまして句読点がまったくないのでどこで切ればよいのかわからないのですが"
            "それでも切る必要があるときには助詞のあとで切るように",
            "とても長い文章でありまして句読点がまったくないのでどこで切ればよいのかわからないのですがそれでも",
        ),
        (
            "오늘은 날씨가 매우 좋아서 공원에 가려고 했지만 갑자기 비가 와서 집에 있었습니다 그리고 친구를 만났습니다",
            "오늘은 날씨가 매우 좋아서 공원에 가려고 했지만 갑자기 비가 와서 집에 있었습니다",
        ),
    ],
)
def test_long_sentences_without_marks_are_cut_between_phrases(text: str, first: str) -> None:
    assert segment(text)[0] == first


def test_very_short_sentences_join_a_neighbour() -> None:
    assert segment("Yes. I will come with you. No.") == ["Yes. I will come with you. No."]
    assert segment("No. " + "x" * 118 + ".") == ["No.", "x" * 118 + "."]


def test_nothing_gives_nothing() -> None:
    assert segment("") == segment(" \n\n ") == []


def test_lengths_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"shortest_characters \(9\) must be .* below longest_characters \(5\)"):
        segment("x", longest_characters=5, shortest_characters=9)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(5, 40))
def test_no_text_is_lost_and_no_segment_is_too_long(text: str, longest: int) -> None:
    sentences = segment(text, longest_characters=longest, shortest_characters=4)
    assert _letters("".join(sentences)) == _letters(text)
    assert all(0 < len(sentence) <= longest or TAG.fullmatch(sentence) for sentence in sentences)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 200), max_size=8), st.integers(5, 40))
@example("Yes. No. Dr. Who. Then he left.", [3, 4, 5, 9, 12], 12)
def test_any_cutting_into_pieces_gives_the_same_sentences(text: str, cuts: list[int], longest: int) -> None:
    whole, pieces = IncrementalSegmenter(longest, 4), IncrementalSegmenter(longest, 4)
    expected = whole.feed(text) + whole.flush()
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    found = [s for start, end in pairwise(bounds) for s in pieces.feed(text[start:end])]
    assert found + pieces.flush() == expected


@pytest.mark.parametrize("text", ["This is a sentence of a book. ", "a.", "word ", "x", " ", "\n\n", "Dr. ", "..."])
@pytest.mark.timeout(60)
def test_a_quarter_of_a_million_characters_do_not_hang(text: str) -> None:
    book = text * (250_000 // len(text))
    assert len("".join(segment(book))) <= len(book)


def test_a_sentence_comes_out_when_the_next_one_begins() -> None:
    segmenter = IncrementalSegmenter()
    assert segmenter.feed("The first sentence is here. ") == []
    assert segmenter.feed("T") == ["The first sentence is here."]
    assert segmenter.feed("he rest") == []
    assert segmenter.flush() == ["The rest"]
    assert segmenter.flush() == []
