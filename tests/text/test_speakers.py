"""Who speaks in a story."""

from __future__ import annotations

import pytest

from parlando.text.speakers import genders_of, lines_of

STORY = [
    "Alice had been walking for an hour when she met the Fox.",
    "“Good morning,” said Alice. She bowed.",
    "“Is it?” the Fox replied, and he yawned.",
    "“It was.”",
    "“Then why say so?”",
    "Mrs. Hill came out of the house. “Who is there?” she asked.",
    "“Nobody,” said Alice quickly. “Only me.”",
]


def told(paragraphs):
    return [(line.speaker, line.text) for line in lines_of(paragraphs)]


def test_a_dialogue_is_given_to_those_who_have_it():
    assert told(STORY) == [
        (None, "Alice had been walking for an hour when she met the Fox."),
        ("Alice", "Good morning,"),
        (None, "said Alice. She bowed."),
        ("Fox", "Is it?"),
        (None, "the Fox replied, and he yawned."),
        ("Alice", "It was."),
        ("Fox", "Then why say so?"),
        (None, "Mrs. Hill came out of the house."),
        ("Mrs. Hill", "Who is there?"),
        (None, "she asked."),
        ("Alice", "Nobody,"),
        (None, "said Alice quickly."),
        ("Alice", "Only me."),
    ]


@pytest.mark.parametrize(
    ("paragraph", "speaker"),
    [
        ("“Stop!” cried the old man.", "old man"),
        ("Captain Jones shouted, “Stop!”", "Captain Jones"),
        ("“Stop,” Tom whispered softly.", "Tom"),
        ("“Stop!” she said.", None),
        ("Then Tom stopped. “What now?”", None),
        ("Tom stopped at the door. “What now?”", "Tom"),
        ("“Never,” I said.", "I"),
    ],
)
def test_attributions(paragraph, speaker):
    (spoken,) = {line.speaker for line in lines_of([paragraph]) if line.text[0] in "SWN" and line.text[-1] in "!?,"}
    assert spoken == speaker


def test_pronouns_mean_whoever_can_be_called_so():
    lines = [
        "“I am cold,” said Anna, pulling her coat around her.",
        "“So am I,” said Tom, and he shivered.",
        "They walked on.",
        "“Look,” she said.",
        "“Where?” he asked.",
    ]
    assert [who for who, text in told(lines) if text in ("Look,", "Where?")] == ["Anna", "Tom"]


def test_a_speech_over_two_paragraphs_has_one_speaker():
    lines = ["“First,” said Tom. “This is long", "“and goes on here.”"]
    assert {who for who, text in told(lines) if "said" not in text} == {"Tom"}


def test_genders_by_title_role_and_pronoun():
    names = ["Alice", "Fox", "Mrs. Hill", "Nobody"]
    assert genders_of(STORY, names) == {"Alice": "female", "Fox": "male", "Mrs. Hill": "female"}
    assert genders_of(["“Yes,” said Uncle Ben."], ["Uncle Ben"]) == {"Uncle Ben": "male"}
    assert genders_of(["“Yes,” said the queen."], ["queen"]) == {"queen": "female"}
