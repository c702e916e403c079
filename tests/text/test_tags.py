"""Speakers and scripts: which texts are one, and that names are not read as words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.core.errors import TextError
from parlando.text.reading import Reading
from parlando.text.sentences import spoken_sentences
from parlando.text.tags import Turn, find_script, parse_script, parse_turns


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


@pytest.mark.parametrize(
    ("text", "speakers"),
    [
        ("Speaker A: Hello there.\nSpeaker B: Hi!", ["Speaker A", "Speaker B"]),
        ("Speaker 1: One. / Speaker 2: Two.", ["Speaker 1", "Speaker 2"]),
        ("Anna: Hello.\nBob: Hi.\nAnna: How are you?", ["Anna", "Bob", "Anna"]),
        ("Q: Why?\n\nA: Because.", ["Q", "A"]),
        ("Note: be careful.\nWarning: it is hot.\nNote: mind the step.", []),
        ("Ingredients: eggs\nMethod: mix", []),
        ("He said: no.\nShe said: yes.\nHe said: no.", []),
        ("Anna: Hello.\nAnd so on.\nAnna: Hi.\nBob: Yes.", []),
        ("# Scene\nAnna: Hello.\nBob: Hi.\nAnna: Yes.", []),
        ("[SPEAKER0] Hi: you.\n[SPEAKER1] Yes: me.", []),
        ("It was clear: he left.", []),
    ],
)
def test_a_text_is_a_script_where_its_lines_begin_with_speakers(text: str, speakers: list[str]) -> None:
    assert [turn.speaker for turn in find_script(text)] == speakers


def test_names_of_a_script_are_not_read_in_one_voice_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    said = [sentence for sentence, _ in spoken_sentences("Speaker A: Hello there.\nSpeaker B: Hi to you!", Reading())]
    assert said == ["Hello there.", "Hi to you!"]
    assert "script for Speaker A, Speaker B: one voice speaks it, without the names; parlando dialogue" in caplog.text
