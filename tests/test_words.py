"""When words are heard: by their frames, by the sound around pauses, or by their share; and over a whole request."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.core.types import NOWHERE, Frame
from parlando.engine.chunking import HopSchedule
from parlando.request import Pauses
from parlando.result import join
from parlando.speech import Synthesizer
from parlando.words import WordClock
from scripted_model import LOUD, QUIET, Model

RATE, PER_FRAME = 1000, 40
FRAME_SECONDS = PER_FRAME / RATE


def letters(sentence):
    """A token for each letter and mark."""
    return [match.span() for match in re.finditer(r"\S", sentence)]


def tokens(sentence):
    """A token for each word and mark, none between words."""
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", sentence)]


def sound(frames, loud):
    """Loud in the frames that say so."""
    return np.repeat([0.5 if loud(frame) else 0.0001 for frame in range(frames)], PER_FRAME).astype(np.float32)


def told(sentence, places, spans=tokens, samples=None, pieces=None):
    """The words of a sentence of which frames say these tokens; in pieces of so many frames."""
    clock = WordClock(FRAME_SECONDS, RATE, spans)
    samples = sound(len(places), lambda frame: True) if samples is None else samples
    frames, words = [Frame(0, (1,), place) for place in places], []
    for first in range(0, len(places), pieces or len(places)):
        last = min(len(places), first + (pieces or len(places)))
        clock.hear(frames[first:last], samples[first * PER_FRAME : last * PER_FRAME])
        words += clock.words(sentence, final=last == len(places))
    return words


def summary(sentence, words):
    return [(sentence[w.start : w.stop], round(w.start_seconds, 3), round(w.end_seconds, 3), w.source) for w in words]


def test_a_word_begins_with_the_frame_that_says_its_first_token():
    sentence = "one two six"
    words = told(sentence, [0, 0, 0, 1, 1, 2, 2, 2])
    assert summary(sentence, words) == [
        ("one", 0.0, 0.12, "attention"),
        ("two", 0.12, 0.2, "attention"),
        ("six", 0.2, 0.32, "attention"),
    ]


def test_tokens_that_are_passed_over_begin_with_the_one_after():
    sentence = "ab cd ef"
    words = told(sentence, [0, 0, 1, 3, 3, 4, 5], spans=letters)
    assert [(start, end) for _, start, end, _ in summary(sentence, words)] == [(0.0, 0.12), (0.12, 0.2), (0.2, 0.28)]


def test_around_a_pause_words_last_as_long_as_their_sound():
    sentence = "one, two."
    # The head is at the comma while the word still sounds, and at the next word before that does.
    words = told(sentence, [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3], samples=sound(13, lambda f: f in (1, 2, 3, 9, 10)))
    assert [(start, end) for _, start, end, _ in summary(sentence, words)] == [(0.04, 0.16), (0.36, 0.44)]


def test_without_places_words_share_the_sound_by_their_letters():
    sentence = "one two six"
    words = told(sentence, [NOWHERE] * 12)
    assert summary(sentence, words) == [
        ("one", 0.0, pytest.approx(0.48 * 4 / 15, abs=1e-3), "share"),
        ("two", pytest.approx(0.48 * 4 / 15, abs=1e-3), pytest.approx(0.48 * 8 / 15, abs=1e-3), "share"),
        ("six", pytest.approx(0.48 * 8 / 15, abs=1e-3), 0.48, "share"),
    ]


def test_words_that_were_never_reached_share_what_is_left():
    sentence = "one two six ten"
    words = told(sentence, [0, 0, 1, 1, 1, 1, 1])
    assert [word.source for word in words] == ["attention", "attention", "share", "share"]
    starts = [word.start_seconds for word in words]
    assert starts[:2] == [0.0, 0.08]
    assert starts == sorted(starts)
    assert words[-1].end_seconds == pytest.approx(0.28)


def test_a_word_is_told_when_the_next_one_begins():
    clock = WordClock(FRAME_SECONDS, RATE, tokens)
    clock.hear([Frame(0, (1,), 0)], sound(0, lambda frame: True))
    assert clock.words("one two", final=False) == (), "nothing holds up the first sound"
    clock.hear([Frame(0, (1,), place) for place in (0, 1)], sound(1, lambda frame: True))
    assert clock.words("one two", final=False) == (), "its sound was not heard yet"
    clock.hear([Frame(0, (1,), 1)], sound(2, lambda frame: True))
    (word,) = clock.words("one two", final=False)
    assert (word.start_seconds, word.end_seconds) == (0.0, 0.08)
    assert clock.words("one two", final=False) == ()


def test_a_sentence_without_words_has_none():
    assert told("...", [0, 0]) == []


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=40),
    st.lists(st.booleans(), min_size=40, max_size=40),
    st.integers(1, 12),
)
def test_the_chunks_of_a_sentence_make_no_difference(steps, loud, pieces):
    sentence = "one, two six - ten: (well) done, all of you"
    places = np.cumsum(steps).clip(max=len(tokens(sentence)) - 1).tolist()
    samples = sound(len(places), lambda frame: loud[frame])
    whole = told(sentence, places, samples=samples)
    assert told(sentence, places, samples=samples, pieces=pieces) == whole
    assert len(whole) == 9
    times = [time for word in whole for time in (word.start_seconds, word.end_seconds)]
    assert times == sorted(times)


TEXT = "It cost $3 twice. The end of it."


def speaker(**options):
    return Synthesizer(Model(tells_places=True, **options))


def test_the_words_of_a_speech_are_those_of_the_text_as_it_was_given():
    speech = speaker().say(TEXT, seed=1, pauses=Pauses(0.5, 0.5))
    assert [(word.text, word.start_seconds, word.end_seconds) for word in speech.words] == [
        ("It", 0.0, 1.0),
        ("cost", 1.0, 2.0),
        ("$3", 2.0, 4.0),
        ("twice", 4.0, 5.0),
        ("The", 5.5, 6.5),
        ("end", 6.5, 7.5),
        ("of", 7.5, 8.5),
        ("it", 8.5, 9.5),
    ]
    assert [TEXT[word.start : word.stop] for word in speech.words] == [word.text for word in speech.words]
    assert {word.source for word in speech.words} == {"attention"}


def test_a_model_that_tells_nothing_has_its_words_by_their_share():
    speech = Synthesizer(Model()).say("One two.", seed=1)
    assert [word.source for word in speech.words] == ["share", "share"]
    assert speech.words[-1].end_seconds == 2.0


@pytest.mark.parametrize("schedule", [HopSchedule(), HopSchedule.fixed(3)], ids=["growing", "threes"])
def test_streamed_words_are_those_of_the_whole(schedule):
    offline = speaker().say(TEXT, seed=1)
    chunks = list(speaker().stream(TEXT, seed=1, schedule=schedule))
    assert sum(bool(chunk.words) for chunk in chunks) > 3, "as they become known"
    assert join(chunks, text=TEXT).words == offline.words


def quiet_first(prompt):
    return [QUIET] * 4 + [LOUD] * 16


def test_silence_that_is_cut_makes_words_earlier():
    options = {"seed": 1, "lead_silence_seconds": 0.1}
    whole = speaker(plans={1: quiet_first}).say("One two.", **{**options, "lead_silence_seconds": 9.0})
    cut = speaker(plans={1: quiet_first}).say("One two.", **options)
    streamed = list(speaker(plans={1: quiet_first}).stream("One two.", **options))
    assert [(w.start_seconds, w.end_seconds) for w in whole.words] == [(0.4, 1.0), (1.0, 2.0)]
    assert [(round(w.start_seconds, 6), round(w.end_seconds, 6)) for w in cut.words] == [(0.1, 0.7), (0.7, 1.7)]
    assert [word for chunk in streamed for word in chunk.words] == list(cut.said[0].words)


def test_a_faster_tempo_makes_words_shorter():
    class Halved:
        def __init__(self, decoder):
            self.sample_rate, self.samples_per_frame, self._decoder = RATE, decoder.samples_per_frame, decoder

        def open(self, prompt, speed=1.0):
            stream = self._decoder.open(prompt)
            push = stream.push
            stream.push = lambda frames, final: push(frames, final)[:: int(speed)]
            return stream

    synthesizer = speaker()
    synthesizer.model.decoder = Halved(synthesizer.model.decoder)
    words = synthesizer.say("One two.", seed=1, speed=2.0).words
    assert [(word.start_seconds, word.end_seconds) for word in words] == [(0.0, 0.5), (0.5, 1.0)]


def test_an_attempt_that_was_not_heard_leaves_no_words():
    short = {1: [LOUD] * 2}
    speech = speaker(plans=short).say("One two.", seed=1)
    assert speech.report.sentences[0].attempts == 2
    assert [(word.start_seconds, word.end_seconds) for word in speech.words] == [(0.0, 1.0), (1.0, 2.0)]


def test_a_speech_can_be_changed_and_its_words_are_found_anew():
    speech = speaker().say("One two.", seed=1)
    assert [word.text for word in replace(speech, text="ONE, TWO").words] == ["ONE", "TWO"]
