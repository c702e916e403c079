"""Spoken words, confidences spread over them, and punctuation put back."""

from __future__ import annotations

import pytest

from parlando.annotate.spoken import confidences, spoken_words, written


def test_words_are_compared_as_they_are_said():
    assert spoken_words("Dr. Smith paid $5 at 3:45. [Music]", "en") == (
        ["doctor", "smith", "paid", "five", "dollars", "at", "three", "forty", "five"]
    )
    assert spoken_words("it’s Ada’s", "en") == ["it's", "ada's"]
    assert spoken_words("你好 12", "zh") == ["你", "好", "十", "二"]
    assert spoken_words("♪ (laughs)", "en") == []
    assert spoken_words("Grüße, José!", "de") == ["grüße", "josé"]


def test_a_figures_confidence_is_that_of_all_its_words():
    words = spoken_words("He paid $5.", "en")
    assert words == ["he", "paid", "five", "dollars"]
    assert confidences([("He", 0.9), ("paid", 0.8), ("$5.", 0.4)], words, "en") == [0.9, 0.8, 0.4, 0.4]
    assert confidences([], ["a", "b"], "en") == [1.0, 1.0]
    assert confidences([("a", 0.5), ("x", 0.7)], ["a", "b"], "en") == pytest.approx([0.5, 0.6])


def test_a_transcript_that_says_just_this_is_taken_as_it_is():
    texts = ["HE PAID FIVE DOLLARS", "He paid $5, twice.", "He paid $5."]
    assert written(["he", "paid", "five", "dollars"], texts, "en") == "He paid $5."


@pytest.mark.parametrize(
    ("words", "text", "wanted"),
    [
        ("the cat sat on the mat", "The cat, sad on the mat.", "The cat, sat on the mat."),
        ("the cat sat on a mat", "The cat sat on the mat!", "The cat sat on a mat!"),
        ("we met at noon today", "We met at noon.", "We met at noon today."),
        ("met at noon", "We met at noon.", "Met at noon."),
        ("he paid six dollars to mister smith", "He paid $5 to Mr. Smith!", "He paid six dollars to mister Smith!"),
    ],
)
def test_joined_words_wear_the_nearest_transcripts_marks(words, text, wanted):
    assert written(words.split(), [text], "en") == wanted


def test_without_marks_anywhere_the_words_stay_bare():
    assert written(["a", "b"], ["a c"], "en") == "a b"
    assert written(["a"], [], "en") == "a"
