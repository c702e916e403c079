"""Speakers, scripts, sound events, and the published transcript clean-up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.core.errors import TextError
from parlando.text.normalize import normalize
from parlando.text.tags import (
    BRACKET_TAGS,
    SoundEvent,
    Turn,
    check_bracket_tags,
    expand_bracket_tags,
    normalize_transcript,
    parse_events,
    parse_script,
    parse_turns,
)


def test_dialogue_is_split_at_its_speaker_tags() -> None:
    text = "Intro.\n[SPEAKER0] Hello there.\nHow are you? [SPEAKER1] Fine.\n[SPEAKER10]\n"
    assert parse_turns(text) == [
        Turn(None, "Intro.", 1),
        Turn("SPEAKER0", "Hello there.\nHow are you?", 2),
        Turn("SPEAKER1", "Fine.", 3),
    ]


@given(st.text(max_size=60))
def test_text_without_tags_is_one_turn_or_none(text: str) -> None:
    assert [turn.text for turn in parse_turns(text.replace("[", ""))] == [
        part for part in [text.replace("[", "").strip()] if part
    ]


def test_a_script_of_names_and_tags() -> None:
    script = "# a scene\nAnna: Hello: you.\n\n[SPEAKER1] Hi!\n   And welcome.\nMr. O'Neil : It is 10:05.\n"
    assert parse_script(script) == [
        Turn("Anna", "Hello: you.", 2),
        Turn("SPEAKER1", "Hi! And welcome.", 4),
        Turn("Mr. O'Neil", "It is 10:05.", 6),
    ]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("Anna: Hi.\nno speaker here", "line 2: no speaker in 'no speaker here'; write 'NAME: text'"),
        ("see http://example.com", "line 1: no speaker"),
        ("x" * 60, "line 1: no speaker in 'x{40}\\.\\.\\.'"),
        ("\nAnna:", "line 2: Anna says nothing"),
        ("[SPEAKER0]  ", "line 1: SPEAKER0 says nothing"),
        ("Anna: Hello.\nBob: ???", "line 2: Bob says nothing; add words"),
        ("# only a comment\n\n", "no lines"),
    ],
)
def test_script_errors_have_line_numbers(script: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        parse_script(script)


def test_sound_events_are_parsed_and_written_back() -> None:
    text = "Ha <SE>[Laughter]</SE> now <SE_s>[Singing]</SE_s> la la <SE_e>[Singing]</SE_e>"
    parts = parse_events(text)
    assert parts == [
        "Ha ",
        SoundEvent("Laughter"),
        " now ",
        SoundEvent("Singing", "start"),
        " la la ",
        SoundEvent("Singing", "end"),
    ]
    assert "".join(map(str, parts)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<SE>[Laughter]", "'<SE>' is not part of an event"),
        ("<SE_s>[Music]</SE_e>", "'<SE_s>' is not part"),
        ("<SE_s>[Music]</SE_s> la", r"is never ended; add '<SE_e>\[Music\]</SE_e>'"),
        ("<SE_e>[Music]</SE_e>", "ends what never started"),
    ],
)
def test_broken_sound_events_are_refused(text: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        parse_events(text)


def test_bracket_tags_become_markup_that_normalisation_keeps() -> None:
    assert len(BRACKET_TAGS) == 11
    marked = expand_bracket_tags("Ha [laugh] 5 [music start] la [music end] [unknown]")
    assert marked == "Ha <SE>[Laughter]</SE> 5 <SE_s>[Music]</SE_s> la <SE_e>[Music]</SE_e> [unknown]"
    assert normalize(expand_bracket_tags("Ha [laugh] 5.")) == "Ha <SE>[Laughter]</SE> five."


def test_a_misspelt_bracket_tag_is_named() -> None:
    check_bracket_tags("[laugh] and [whatever this is] and [SPEAKER0]")
    with pytest.raises(TextError, match=r"unknown tag '\[laughs\]'. Did you mean '\[laugh\]'"):
        check_bracket_tags("[laughs]")


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Hello\uff0cworld\u3002", "Hello, world."),
        ("It is 70\u00b0F (or 21\u00b0C)", "It is 70 degrees Fahrenheit or 21 degrees Celsius."),
        ("a  b\n\n  c \n", "a b\nc."),
        ("Ha [laugh]", "Ha <SE>[Laughter]</SE>"),
        ("\u3010laugh\u3011 wait\u2026", "<SE>[Laughter]</SE> wait..."),
        ("[music start] la [music end]", "<SE_s>[Music]</SE_s> la <SE_e>[Music]</SE_e>"),
        ('She said "hi"', 'She said "hi"'),
        ("one\u3001two:", "one,two:."),
        ("$5 & Dr. X", "$5 & Dr. X."),
    ],
)
def test_published_transcript_clean_up(raw: str, clean: str) -> None:
    assert normalize_transcript(raw) == clean
