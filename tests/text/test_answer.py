"""The line of an answer: what is written is read again, and whatever else stands there is read without failing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parlando.text.answer import (
    EMOTIONS,
    EVENTS,
    GENDERS,
    MOST_SPEAKERS,
    PITCHES,
    PLACES,
    Answer,
    HeardSpeaker,
    Turn,
    parse_answer,
    write_answer,
)

WORDS = st.text(st.characters(exclude_characters="<>", exclude_categories=("Z", "C")), min_size=1, max_size=8)
TEXTS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
SPEAKERS = st.builds(HeardSpeaker, st.sampled_from(GENDERS), st.sampled_from(PITCHES))


@st.composite
def answers(draw):
    speakers = draw(st.lists(SPEAKERS, max_size=MOST_SPEAKERS))
    numbers = st.integers(0, len(speakers) - 1) if speakers else st.nothing()
    turns = draw(st.lists(st.builds(Turn, numbers, TEXTS), max_size=4)) if speakers else []
    events = draw(st.sets(st.sampled_from(EVENTS)))
    emotion = draw(st.none() | st.sampled_from(EMOTIONS))
    ordered = tuple(name for name in EVENTS if name in events)
    return Answer(draw(st.sampled_from(PLACES)), ordered, emotion, tuple(speakers), tuple(turns))


@settings(max_examples=60, deadline=None)
@given(answers())
def test_what_is_written_is_read_again(answer):
    assert parse_answer(write_answer(answer)) == answer


PIECES = st.sampled_from(
    ["<", ">", "<1>", "<9>", "<place:", "<place:hall>", "<event:bell>", "<speaker:x,low>", ":", ","]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
def test_nothing_that_stands_there_is_an_error(line):
    answer = parse_answer(line)
    assert answer.place in PLACES
    assert set(answer.events) <= set(EVENTS)
    assert len(answer.speakers) <= MOST_SPEAKERS
    assert all(turn.speaker < len(answer.speakers) and turn.text for turn in answer.turns)
    assert parse_answer(write_answer(answer)) == answer


@settings(max_examples=60, deadline=None)
@given(answers(), st.data())
def test_a_line_that_was_cut_or_changed_is_read_as_far_as_it_goes(answer, data):
    line = write_answer(answer)
    place = data.draw(st.integers(0, len(line)))
    parse_answer(line[:place])
    parse_answer(line[:place] + data.draw(st.characters()) + line[place + 1 :])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", Answer()),
        ("hello", Answer(speakers=(HeardSpeaker(),), turns=(Turn(0, "hello"),))),
        ("<place:moon><place:hall>", Answer("hall")),
        ("<event:siren><event:music><event:siren>", Answer(events=("music", "siren"))),
        ("<2>a b<2> c", Answer(speakers=(HeardSpeaker(),) * 2, turns=(Turn(1, "a b"), Turn(1, "c")))),
        ("<1>a < b", Answer(speakers=(HeardSpeaker(),), turns=(Turn(0, "a b"),))),
    ],
)
def test_what_becomes_of_odd_lines(line, expected):
    assert parse_answer(line) == expected


def test_the_text_is_what_is_said_by_all():
    assert parse_answer("<place:room><1>good morning.<2>hello").text == "good morning. hello"
