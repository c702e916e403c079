"""Text that arrives: however it is cut, the words are those of the whole text, and each comes as early as it may."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parlando.core.errors import TextError
from parlando.text.arriving import ArrivingSentences
from parlando.text.markup import VOCAL
from parlando.text.pieces import ArrivalLimits
from parlando.text.reading import Reading
from parlando.text.sentences import sentences, spoken_sentences
from parlando.text.user_lexicon import UserLexicon

WORDS = re.compile(r"[\w']+|<[^>]*>|\[[^\]]*\]")
READING = Reading("en", notation=VOCAL)
PARTS = (
    "King Henry VIII", "Mr Smith", "Main St", "the USA", "see you on May", "5", "at 3 pm", "it costs", "$3.50", "and",
    "We'll go", "<strong>now</strong>", "[laughter]", "(maybe)", "or not", "No", "12", "kg", "J. Smith", "www.a.com",
)  # fmt: skip
TEXTS = {
    "zh": "你好，世界。今天天气很好我们一起去公园玩吧，2025年3月5日见。他说hello然后走了。",
    "ja": "こんにちは、世界。今日は3月5日です。",
    "ko": "안녕하세요 세계. 오늘은 좋은 날 입니다.",
    "auto": "Hello 你好 world。今天很好. And so on, hello there.",
}


def arriving(pieces, reading=READING):
    return ["".join(words) for words in ArrivingSentences(pieces, reading)]


def words_of(sentences_said):
    return WORDS.findall(" ".join(sentences_said).lower())


def whole(text, reading=READING):
    return words_of(sentence for sentence, _ in spoken_sentences(text, reading))


def cut(text, places):
    ends = sorted({place % (len(text) + 1) for place in places})
    return [text[start:end] for start, end in itertools.pairwise([0, *ends, len(text)])]


@st.composite
def texts(draw):
    chosen = draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=14))
    marks = draw(st.lists(st.sampled_from([" ", " ", ", ", ". ", "? ", "\n\n", "; "]), min_size=14, max_size=14))
    return "".join(part + mark for part, mark in zip(chosen, marks, strict=False)) + "end"


@settings(max_examples=60, deadline=None)
@given(texts(), st.lists(st.integers(0, 400), max_size=12))
@example("$3.50 12\n\nkg end", [])
def test_any_cutting_gives_the_words_of_the_whole_text(text, places):
    assert words_of(arriving(cut(text, places))) == whole(text)


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_other_languages_are_read_as_the_whole_is(language, size):
    if language in ("zh", "auto"):
        pytest.importorskip("wetext")
    text, reading = TEXTS[language], Reading(language, notation=VOCAL)
    assert words_of(arriving([text[i : i + size] for i in range(0, len(text), size)], reading)) == whole(text, reading)


def test_plain_words_come_at_once_and_numbers_signs_and_tags_wait():
    given_out = []

    def pieces():
        for piece in ("We have ", "some bread ", "and 12 ", "eggs today", ". ", "<strong>Yes</strong>", " please."):
            given_out.append(piece)
            yield piece

    heard = [[(part, len(given_out)) for part in sentence] for sentence in ArrivingSentences(pieces(), READING)]
    assert heard == [
        [("We ", 1), ("have some ", 2), ("bread ", 3), ("and twelve eggs today.", 6)],
        [("<strong>Yes</strong> please.", 7)],
    ]


def test_a_sentence_may_be_left_unread_and_so_may_the_rest():
    text = ["One is here. ", "Two is there. ", "Three is nowhere."]
    arrived = iter(ArrivingSentences(text, READING))
    assert next(next(arrived)) == "One "
    assert "".join(next(arrived)) == "Two is there."
    arrived.close()
    skipping = [next(words) for words in ArrivingSentences(["One more word ", "comes. Then another one."], READING)]
    assert skipping == ["One more ", "Then "]


def test_a_lexicon_holds_words_back_to_the_end_of_their_sentence():
    reading = Reading("en", UserLexicon.collect(["two=t uw1"]), replace(VOCAL, phones=True))
    pieces = ["Say two ", "words ", "now. "]
    assert [list(words) for words in ArrivingSentences(pieces, reading)] == [["Say {t uw1} words now."]]


def test_a_tag_over_two_sentences_is_closed_and_opened_again():
    pieces = ["<strong>One is here. ", "Two ", "is</strong> there."]
    assert arriving(pieces) == ["<strong>One is here.</strong>", "<strong>Two is</strong> there."]
    with pytest.raises(TextError, match="<strong> is not closed before the text ends"):
        arriving(["<strong>One is here."])
    with pytest.raises(TextError, match="closes nothing"):
        arriving(["One</strong> is here. ", "Two."])


def test_a_sentence_cut_for_its_length_goes_on_with_a_comma():
    text = "and so it goes " * 20
    said = arriving(text[i : i + 7] for i in range(0, len(text), 7))
    assert [sentence[-1] for sentence in said] == [","] * (len(said) - 1) + ["."]
    assert len(said) > 1
    assert words_of(said) == whole(text)


def test_nothing_and_blanks_are_no_sentence():
    assert arriving([]) == arriving(["", " ", "\n\n"]) == []


def failing(*pieces):
    yield from pieces
    raise OSError("the line is cut")


@pytest.mark.parametrize("pieces", [(), ("One ",), ("One two. ",), ("One two. Three",)])
def test_what_the_source_raises_is_raised_as_it_is(pieces):
    with pytest.raises(OSError, match="the line is cut"):
        arriving(failing(*pieces))


def test_an_error_that_the_speaker_took_for_the_sentences_own_ends_the_text_all_the_same():
    arrived = iter(ArrivingSentences(["One ", 7, "Two."], READING))
    words = next(arrived)
    with pytest.raises(TextError, match="a piece of text is int"):
        list(words)
    with pytest.raises(TextError, match="a piece of text is int"):
        next(arrived)


@pytest.mark.parametrize(
    ("piece", "message"), [("", "101 blank pieces"), (" \n", "101 blank pieces"), ("word ", "1000 characters")]
)
def test_what_never_ends_is_an_error(piece, message):
    with pytest.raises(TextError, match=message):
        list(map("".join, ArrivingSentences(itertools.repeat(piece), READING, ArrivalLimits(100, 1000))))


@pytest.mark.parametrize("piece", [7, b"bytes", None, ["list"]])
def test_a_piece_that_is_no_string_is_refused_whoever_reads(piece):
    with pytest.raises(TextError, match="let the iterable yield str"):
        arriving(["One ", piece])
    with pytest.raises(TextError, match="let the iterable yield str"):
        list(sentences(["One ", piece]))


def test_blank_pieces_without_end_are_refused_by_whole_sentences_too():
    with pytest.raises(TextError, match="1001 blank pieces"):
        list(sentences(itertools.repeat(" ")))
