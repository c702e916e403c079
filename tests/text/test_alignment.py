"""Times of characters: none is lost, none goes back, and words lie where their sentence says them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.core.types import SpokenWord
from parlando.text.alignment import Alignment, SaidSentence, written_words
from parlando.text.reading import Reading
from parlando.text.sentences import spoken_sentences
from parlando.text.words import word_spans


def lasting(said, begin_seconds, end_seconds, words=()):
    return SaidSentence(said, begin_seconds, end_seconds, tuple(words))


def a_second_a_word(said, begin_seconds):
    """A sentence of which each word lasts a second."""
    spans = word_spans(said)
    words = [
        SpokenWord(start, stop, begin_seconds + index, begin_seconds + index + 1, "attention")
        for index, (start, stop) in enumerate(spans)
    ]
    return lasting(said, begin_seconds, begin_seconds + len(spans), words)


def words_of(text, language="en"):
    """What is written and when, if all words that are read out last a second."""
    reading, said, begin = Reading(language), [], 0.0
    for sentence, _ in spoken_sentences(text, reading):
        said.append(a_second_a_word(sentence, begin))
        begin = said[-1].end_seconds
    found = list(written_words(text, said, reading))
    assert all(text[word.start : word.stop] == word.text for word in found)
    assert {word.source for word in found} == {"attention"}
    return [(word.text, word.start_seconds, word.end_seconds) for word in found]


def aligned(text):
    """Every sentence lasts a second; times of the text's characters, in the parts in which they came."""
    reading = Reading("en")
    alignment, parts, count = Alignment(text, reading), [], 0
    for count, (said, _) in enumerate(spoken_sentences(text, reading), start=1):
        parts.append(alignment.sentence(lasting(said, count - 1.0, float(count)))[0])
    return [*parts, alignment.rest(float(count))]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Hello there, all of you. And the same to you!", ["Hello there, all of you. ", "And the same to you!"]),
        ("It cost $3. The dollars fell.", ["It cost $3. ", "The dollars fell."]),
        (
            "Dr. Smith paid $3.50 on 3/4/2025. He left at once.",
            ["Dr. Smith paid $3.50 on 3/4/2025. ", "He left at once."],
        ),
    ],
)
def test_a_sentence_takes_its_own_part_of_the_text(text, sentences):
    parts = aligned(text)
    assert [part.characters for part in parts if part.characters] == sentences
    assert [(part.edges[0], part.edges[-1]) for part in parts[:-1]] == [(0.0, 1.0), (1.0, 2.0)]


LINES = {
    "a rule": "-----" * 200,
    "rules": "=====\n" * 30,
    "a blank": "_" * 300,
    "white": "\n" * 300,
    "faces": "\N{GRINNING FACE}" * 200,
    "a picture": f"![](data:image/png;base64,{'A' * 300})",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
@pytest.mark.parametrize("behind", ["Yes. No. It is fine.", "$3 is fine, he said."])
def test_what_nobody_says_goes_with_the_sentence_behind_it(line, behind):
    text = f"Hello there, all of you.\n\n{line}\n\n{behind}\n\nThat is all of it."
    first, second, third, rest = aligned(text)
    assert (first.characters.strip(), rest.characters) == ("Hello there, all of you.", "")
    assert second.characters.strip().endswith(behind)
    assert third.characters == "That is all of it."


def test_each_row_of_a_table_has_its_own_sentence():
    text = f"| a | b |\n|{'-' * 80}|{'-' * 80}|\n| c | d |\n\nYes. No. It is fine."
    parts = [part.characters for part in aligned(text)]
    assert [parts[0], parts[1][-11:], *parts[2:]] == ["| a | b |\n", "| c | d |\n\n", "Yes. No. It is fine.", ""]


def test_an_address_inside_a_sentence_is_part_of_it():
    picture = f"See ![the shore](data:image/png;base64,{'A' * 300}) first. "
    assert [part.characters for part in aligned(picture + "Then it is all good.")] == [
        picture,
        "Then it is all good.",
        "",
    ]


@pytest.mark.parametrize(
    "unsaid", ["word, " * 300, "words " * 300, "A" * 3000 + " "], ids=["clauses", "one", "address"]
)
def test_words_that_are_not_said_are_passed_over(unsaid):
    alignment = Alignment(f"Hello there. {unsaid}It is fine. Good day to you.", Reading("en"))
    said = [alignment.sentence(lasting(said, 0.0, 1.0))[0].characters for said in ("Hello there.", "It is fine.")]
    assert said == ["Hello there. ", f"{unsaid}It is fine. "]
    assert alignment.sentence(lasting("Good day to you.", 1.0, 2.0))[0].characters == "Good day to you."


def test_a_sentence_that_is_nowhere_takes_no_more_than_the_next_part():
    alignment = Alignment("One. Two. Three.", Reading("en"))
    assert alignment.sentence(lasting("Else.", 0.0, 1.0))[0].characters == "One. "
    assert alignment.sentence(lasting("Two.", 1.0, 2.0))[0].characters == "Two. "


def test_words_that_are_said_as_written_have_their_times():
    first, _ = Alignment("It cost $3 again.", Reading("en")).sentence(lasting("It cost three dollars again.", 0.0, 2.8))
    assert first.edges[3] == pytest.approx(0.3), "cost"
    assert first.edges[8] == pytest.approx(0.8), "the price"
    assert first.edges[11] == pytest.approx(2.2), "again"


@given(st.text("ab 1$.,!\n?", max_size=80).map(lambda text: "Hello " + text))
def test_no_character_is_lost_and_time_goes_on(text):
    parts = aligned(text)
    assert "".join(part.characters for part in parts) == text
    edges = [edge for part in parts for edge in part.edges]
    assert edges == sorted(edges)
    assert all(len(part.edges) == len(part.characters) + 1 for part in parts)


def test_a_long_text_without_marks_goes_on_sentence_by_sentence():
    parts = aligned("word " * 1000)
    sizes = [len(part.characters) for part in parts[:-2]]
    assert len(sizes) > 5
    assert max(sizes) < 2 * min(sizes)


def test_a_number_is_one_word_however_many_it_is_said_as():
    assert words_of("In 1984, he left.") == [("In", 0, 1), ("1984", 1, 4), ("he", 4, 5), ("left", 5, 6)]


def test_numbers_in_a_row_share_what_they_are_said_as_by_their_readings():
    said = words_of("He paid $3.50 21 times.")
    assert said[2:] == [("$3.50", 2, 7), ("21", 7, 9), ("times", 9, 10)], "three dollars and fifty cents, twenty one"


def test_a_list_has_the_times_of_its_items_and_words_go_on_over_sentences():
    words = words_of("One, two.\n\n**Dr. Smith** said [so](http://a.b): well-known!")
    assert [word for word, _, _ in words][:6] == ["One", "two", "Dr", "Smith", "said", "so"]
    assert [begin for _, begin, _ in words] == [0, 1, 2, 3, 4, 5, 6]


def test_characters_of_a_language_without_spaces_are_its_words():
    assert words_of("你好。", "zh") == [("你", 0, 1), ("好", 1, 2)]
