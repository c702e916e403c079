"""Dialogues in messages: who speaks when, that names are not read, and that other colons change nothing."""

from __future__ import annotations

import pytest

from parlando.serve.dialogue import dialogue_turns


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
        "Q: What is it?\nA: A cat.",
        "Title: My day\nAuthor: Me",
        "At 10:30 we met.\nAt 11:00 we left.",
        "The speaker: a man of few words.",
        "https://example.org\nmailto:ann@example.org",
    ],
)
def test_other_colons_are_prose(text):
    assert turns(text) == [(None, text)]
