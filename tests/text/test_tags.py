"""Speakers and scripts: which texts are one, and that names are not read as words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.core.errors import TextError
from parlando.text.tags import Turn, parse_script, parse_turns


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
