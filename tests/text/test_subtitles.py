"""Subtitles: cues of two short lines that begin and end with their words, in both formats."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from parlando.core.types import Word
from parlando.text.subtitles import LINE_COLUMNS, LONGEST_SECONDS, MOST_LINES, cues, srt, vtt
from parlando.text.words import word_spans


def spoken(text, seconds=0.3):
    """Its words, one after the other, each as long."""
    spans = enumerate(word_spans(text))
    return [Word(text[a:b], a, b, i * seconds, (i + 1) * seconds, "attention") for i, (a, b) in spans]


def shown(text, **options):
    return [" / ".join(cue.lines) for cue in cues(text, spoken(text), **options)]


def test_every_sentence_has_a_cue_with_its_marks():
    text = "“Hello,” she said. (It was   late!) Was it?\n\n- A list, **bold**\n- of `two`"
    assert shown(text) == ["“Hello,” she said.", "(It was late!)", "Was it?", "A list, bold", "of two"]


def test_a_long_sentence_is_cut_at_its_marks_and_lines_are_even():
    text = (
        "When the train had left the station, nobody on the platform knew where it would stop next, "
        "and so they all went home again."
    )
    assert shown(text) == [
        "When the train had left the station,",
        "nobody on the platform knew / where it would stop next,",
        "and so they all went home again.",
    ]
    first, second, third = cues(text, spoken(text))
    assert (first.end_seconds, second.end_seconds) == (second.start_seconds, third.start_seconds)


def test_a_cue_is_shown_while_its_words_are_heard_and_long_enough_to_be_read():
    text = "One. Two three four five."
    first, second = cues(text, spoken(text))
    assert (first.start_seconds, first.end_seconds) == (0.0, 0.3)
    assert (second.start_seconds, round(second.end_seconds, 6)) == (0.3, 1.5)
    (alone,) = cues("One.", spoken("One."))
    assert alone.end_seconds == 1.0


def test_a_pause_parts_cues():
    words = spoken("One two three four")
    late = [
        word if i < 2 else Word(word.text, word.start, word.stop, 9 + i, 9.5 + i, "share")
        for i, word in enumerate(words)
    ]
    assert [cue.lines for cue in cues("One two three four", late)] == [("One two",), ("three four",)]


@given(st.lists(st.text("abc ,.!\n你好", min_size=1, max_size=120), max_size=4).map(" ".join))
def test_no_cue_has_more_than_two_lines_of_42_columns_or_lasts_too_long(text):
    found = cues(text, spoken(text))
    for cue in found:
        assert len(cue.lines) <= MOST_LINES
        assert all(len(line) + len(re.findall("[你好]", line)) <= LINE_COLUMNS for line in cue.lines)
        assert cue.end_seconds - cue.start_seconds <= LONGEST_SECONDS
    letters = re.findall(r"\w", "".join(line for cue in found for line in cue.lines))
    assert letters == re.findall(r"\w", text), "nothing is lost"
    assert [cue.start_seconds for cue in found] == sorted(cue.start_seconds for cue in found)


DIALOGUE = "Hello there.\nHi! How are you?"
SPEAKERS = [(0, "Anna"), (13, "Bob & Co")]


def test_subrip_names_who_speaks_where_that_changes():
    assert srt(cues(DIALOGUE, spoken(DIALOGUE), SPEAKERS)) == (
        "1\n00:00:00,000 --> 00:00:00,600\nAnna: Hello there.\n\n"
        "2\n00:00:00,600 --> 00:00:00,900\nBob & Co: Hi!\n\n"
        "3\n00:00:00,900 --> 00:00:01,900\nHow are you?\n"
    )


def test_webvtt_has_voices_and_its_marks_escaped():
    assert vtt(cues(DIALOGUE, spoken(DIALOGUE), SPEAKERS)) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:00.600\n<v Anna>Hello there.\n\n"
        "00:00:00.600 --> 00:00:00.900\n<v Bob &amp; Co>Hi!\n\n"
        "00:00:00.900 --> 00:00:01.900\n<v Bob &amp; Co>How are you?\n"
    )


def test_hours_are_counted_and_nothing_said_is_nothing_shown():
    late = [Word("Hi", 0, 2, 3661.5, 3662.9996, "attention")]
    assert "01:01:01,500 --> 01:01:03,000" in srt(cues("Hi", late))
    assert (srt([]), vtt([])) == ("", "WEBVTT\n")


def test_a_name_never_makes_a_cue_too_long():
    text = "word " * 16 + "end."
    for block in srt(cues(text, spoken(text), [(0, "Somebody with a name")])).split("\n\n"):
        lines = block.strip().split("\n")[2:]
        assert len(lines) <= MOST_LINES
        assert max(map(len, lines)) <= LINE_COLUMNS
