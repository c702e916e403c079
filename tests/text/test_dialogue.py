"""Dialogues in messages: who speaks when, that names are not read, and that other colons change nothing."""

from __future__ import annotations

import pytest

from parlando.text.dialogue import dialogue_turns, without_names, without_numbered_names
from parlando.text.reading import Reading
from parlando.text.sentences import spoken_sentences


def turns(text):
    return [(turn.speaker, turn.text) for turn in dialogue_turns(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Speaker A: Hello. Speaker B: Hi!", [("speaker a", "Hello."), ("speaker b", "Hi!")]),
        ("Speaker 1: Hi.\nSpeaker 2: Yes?\nSPEAKER 1: No.",
         [("speaker 1", "Hi."), ("speaker 2", "Yes?"), ("speaker 1", "No.")]),
        ("**Speaker A:** Hello.\n**Speaker B:** Hi.", [("speaker a", "Hello."), ("speaker b", "Hi.")]),
        ("Anna: Hello, Ben.\nBen: Hello. It is 10:30.", [("anna", "Hello, Ben."), ("ben", "Hello. It is 10:30.")]),
        ("Anna: Hello.\nand how are you?\n\nDr. Who: Fine.",
         [("anna", "Hello.\nand how are you?"), ("dr. who", "Fine.")]),
        ("ANNA:\nHello.\nBEN:\nHi.", [("anna", "Hello."), ("ben", "Hi.")]),
        ("小明: 你好。\n小红：再见。", [("小明", "你好。"), ("小红", "再见。")]),
        ("[SPEAKER0] A. [SPEAKER1] B.", [("SPEAKER0", "A."), ("SPEAKER1", "B.")]),
        ("They talk. Speaker A: Hi. Speaker B: Yes.",
         [(None, "They talk."), ("speaker a", "Hi."), ("speaker b", "Yes.")]),
        ("Speaker A: Only me.", [("speaker a", "Only me.")]),
    ],
)  # fmt: skip
def test_a_dialogue_has_its_turns_without_the_names(text, expected):
    assert turns(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Hello there.",
        "Note: this is important.\nWarning: it is hot.",
        "Pros: it is fast.\nCons: it is loud.",
        "Anna: I am alone here.\nStill alone.",
        "We need three things: bread, milk and eggs.\nThat is all.",
        "Monday: rain.\nTuesday: sun.\nMonday: again.",
        "Bad: too long.\nGood: short.\nBad: too loud.",
        "Q: What is it?\nA: A cat.",
        "Title: My day\nAuthor: Me",
        "At 10:30 we met.\nAt 11:00 we left.",
        "The speaker: a man of few words.",
        "https://example.org\nmailto:ann@example.org",
    ],
)
def test_other_colons_are_prose(text):
    assert turns(text) == [(None, text)]


SURE = [
    ("Speaker A: Hello there.\nSpeaker B: Hi!", ["Hello there.", "Hi!"]),
    ("Speaker 1: One is here. / Speaker 2: Two is here.", ["One is here.", "Two is here."]),
    ("They talk.\n**Speaker A:** Hi to you.\n**Speaker B:** Yes.", ["They talk.", "Hi to you.", "Yes."]),
    ("Speaker A:\nHello there.\nSpeaker B:\nHi to you!", ["Hello there.", "Hi to you!"]),
    ("Speaker A: Only me.", ["Only me."]),
]
NOT_SURE = [
    "Anna: Hello.\nBob: Hi.\nAnna: How are you?",
    "Monday: rain.\nTuesday: sun.\nMonday: again.",
    "Bad: too long.\nGood: short.\nBad: too loud.",
    "Problem: it leaks.\nSolution: mend it.\nProblem: it drips.",
    "Q: Why?\n\nA: Because.",
    "Host: example.\nUser: root.\nPassword: secret.",
    "I met speaker A: a nice man.",
    "Speaker 1:30 is no time.",
    "The voice of a person / speaker was clear.",
]


@pytest.mark.parametrize(("text", "said"), SURE)
@pytest.mark.parametrize("size", [0, 1, 3, 1000])
def test_one_voice_leaves_the_names_of_sure_speakers_out(text, said, size, caplog):
    given = [text[start : start + size] for start in range(0, len(text), size)] if size else text
    assert [sentence for sentence, _ in spoken_sentences(given, Reading())] == said
    assert "one voice speaks it, without the names; parlando dialogue" in caplog.text


@pytest.mark.parametrize("text", NOT_SURE)
def test_one_voice_reads_what_may_be_no_name(text):
    assert without_names(text) == text
    assert "".join(without_numbered_names(text)) == text


def test_roles_are_sure_where_they_begin_the_lines_of_a_whole_text(caplog):
    assert without_names("Host: Welcome.\nand hello.\nGuest: Thanks.") == "Welcome.\nand hello.\n\nThanks."
    assert "script for host, guest: one voice" in caplog.text


def test_only_the_beginning_of_a_name_is_waited_for():
    assert list(without_numbered_names(["Hello there. Sp", "eed up. ", "Now"])) == [
        "Hello there. ",
        "Speed up. ",
        "Now",
        "",
    ]
