"""Times of characters: none is lost, none goes back, and words lie where their sentence says them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.core.types import SentenceReport
from parlando.result import Chunk
from parlando.serve.alignment import Alignment, LiveAlignment, as_json, spread
from parlando.text.reading import Reading
from parlando.text.sentences import spoken_sentences

REPORT = SentenceReport("", 25, 1, "end", 0)


def aligned(text):
    """Every sentence lasts a second; times of the text's characters, in the parts in which they came."""
    reading = Reading("en")
    alignment, parts, count = Alignment(text, reading), [], 0
    for count, (said, _) in enumerate(spoken_sentences(text, reading), start=1):
        parts.append(alignment.sentence(said, count - 1.0, float(count))[0])
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
    said = [alignment.sentence(said, 0.0, 1.0)[0].characters for said in ("Hello there.", "It is fine.")]
    assert said == ["Hello there. ", f"{unsaid}It is fine. "]
    assert alignment.sentence("Good day to you.", 1.0, 2.0)[0].characters == "Good day to you."


def test_a_sentence_that_is_nowhere_takes_no_more_than_the_next_part():
    alignment = Alignment("One. Two. Three.", Reading("en"))
    assert alignment.sentence("Else.", 0.0, 1.0)[0].characters == "One. "
    assert alignment.sentence("Two.", 1.0, 2.0)[0].characters == "Two. "


def test_words_that_are_said_as_written_have_their_times():
    first, _ = Alignment("It cost $3 again.", Reading("en")).sentence("It cost three dollars again.", 0.0, 2.8)
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


def test_characters_share_the_time():
    assert as_json([spread("abcd", 1.0, 2.0)]) == {
        "characters": ["a", "b", "c", "d"],
        "character_start_times_seconds": [1.0, 1.25, 1.5, 1.75],
        "character_end_times_seconds": [1.25, 1.5, 1.75, 2.0],
    }


def test_a_text_that_is_still_written_is_followed_and_times_add_up():
    live, told = LiveAlignment(Reading("en")), []
    for piece in ("It cost ", "$3. It", " will not"):
        live.write(piece)
    silence = np.zeros(100, np.float32)
    chunks = [
        Chunk(np.zeros(500, np.float32), 1000, 0, "It cost three dollars."),
        Chunk(np.zeros(500, np.float32), 1000, 0, "It cost three dollars.", REPORT),
        Chunk(silence, 1000, 1),
        Chunk(np.zeros(900, np.float32), 1000, 1, "It will not again.", REPORT),
    ]
    for chunk in chunks:
        if chunk.sentence == 1 and chunk.text:
            live.write(" again.")
        if times := live.hear(chunk):
            told.append(times()["alignment"])
    assert ["".join(each["chars"]) for each in told] == ["It cost $3.", " It will not again."]
    assert [sum(each["charDurationsMs"]) for each in told] == [1000, 1000]
    assert told[1]["charStartTimesMs"][:2] == [0, 100], "the space between them is the silence"


def test_times_add_up_over_a_sentence_of_which_nothing_is_told():
    live, told = LiveAlignment(Reading("en")), []
    for index, (piece, said) in enumerate((("One. ", "One."), ("", "Unwritten."), ("Two.", "Two."))):
        live.write(piece)
        times = live.hear(Chunk(np.zeros(500 + 100 * index, np.float32), 1000, index, said, REPORT))
        told.append(times())
    assert told[1]["alignment"] is None
    ends = {
        name: [each[name]["charStartTimesMs"][-1] + each[name]["charDurationsMs"][-1] for each in told if each[name]]
        for name in told[0]
    }
    assert ends == {"alignment": [500, 1300], "normalizedAlignment": [500, 600, 700]}
    assert told[2]["alignment"]["chars"] == [" ", "T", "w", "o", "."], "the space is not lost"
    assert told[2]["alignment"]["charDurationsMs"][0] == 600, "it lasts as long as what was not told"
