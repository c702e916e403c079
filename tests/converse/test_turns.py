"""Who speaks when, counted in samples."""

from __future__ import annotations

import numpy as np
import pytest

from parlando.converse.turns import LONGEST_SECONDS, USUAL_TURNS, Paused, Started, Stopped, TurnOptions, TurnTaker
from parlando.core.errors import AudioError, ConfigError, TooLargeError
from talk_parts import question, silence, vowels
from whisper import whisper

RATE = 24_000


def events_of(samples, piece=960, options=USUAL_TURNS, rate=RATE, kinds=(Started, Stopped)):
    """The events, each with the seconds that had been taken by then."""
    taker = TurnTaker(rate, options)
    told = []
    for at in range(0, len(samples), piece):
        told += [(event, taker.taken_seconds) for event in taker.take(samples[at : at + piece])]
    return [each for each in told if isinstance(each[0], kinds)]


def test_a_turn_begins_within_200_ms_and_ends_after_the_silence_asked_for():
    (started, at), (stopped, over) = events_of(question(1.2))
    assert isinstance(started, Started)
    assert at <= 0.6 + 0.2
    assert started.start_seconds == pytest.approx(at - 0.46, abs=0.05)  # 0.3 s of lead, and the evidence
    assert isinstance(stopped, Stopped)
    assert over == pytest.approx(0.6 + 1.2 + 0.5, abs=0.15)
    assert stopped.clip.duration_seconds == pytest.approx(stopped.end_seconds - started.start_seconds, abs=1e-6)


def test_the_clip_holds_the_samples_that_came():
    samples = question(1.0)
    stopped = events_of(samples)[1][0]
    start = round(stopped.start_seconds * RATE)
    np.testing.assert_array_equal(stopped.clip.samples, samples[start : start + len(stopped.clip.samples)])


@pytest.mark.parametrize("piece", [1, 333, 480, 5000, 10**6])
def test_turns_are_the_same_however_the_samples_are_cut(piece):
    samples = np.concatenate([question(0.5, 8000), question(0.4, 8000)])
    whole, cut = (events_of(samples, size, rate=8000) for size in (160, piece))
    assert [type(event) for event, _ in cut] == [Started, Stopped, Started, Stopped]
    assert [event.start_seconds for event, _ in cut] == [event.start_seconds for event, _ in whole]


def test_a_pause_shorter_than_the_silence_does_not_end_a_turn():
    samples = np.concatenate([vowels(0.6), silence(0.5), vowels(0.6), silence(1.2)])
    assert len(events_of(samples, options=TurnOptions(silence_seconds=0.9))) == 2
    assert len(events_of(samples, options=TurnOptions(silence_seconds=0.2))) == 4


@pytest.mark.parametrize(
    "sound",
    [
        silence(4.0),
        np.random.default_rng(0).normal(0, 0.1, 4 * RATE),
        np.concatenate([silence(2.0), np.random.default_rng(0).normal(0, 0.1, 3 * RATE)]),
        np.cumsum(np.random.default_rng(0).normal(0, 0.002, 4 * RATE)),
        (np.random.default_rng(0).random(4 * RATE) < 3 / RATE) * 0.9,
        0.3 * np.sin(2 * np.pi * 1000 * np.arange(4 * RATE) / RATE) * (np.arange(4 * RATE) % RATE < 7000),
    ],
    ids=["silence", "noise", "noise that begins", "rumble", "clicks", "beeps"],
)
def test_what_is_no_speech_begins_no_turn(sound):
    assert events_of(np.asarray(sound, np.float32)) == []


def test_every_moment_of_silence_is_told_with_what_was_said_until_then():
    samples = np.concatenate([silence(0.6), vowels(0.6), silence(0.3), vowels(0.6), silence(1.0)])
    told = events_of(samples, options=TurnOptions(silence_seconds=0.5), kinds=(Started, Paused, Stopped))
    assert [type(event) for event, _ in told] == [Started, Paused, Paused, Stopped]
    first, second, whole = (event.clip for event, _ in told[1:])
    assert first.duration_seconds == pytest.approx(0.3 + 0.6 + 0.2, abs=0.15)
    assert whole.duration_seconds - second.duration_seconds == pytest.approx(0.5 - 0.2, abs=0.021)
    np.testing.assert_array_equal(whole.samples[: len(second.samples)], second.samples)


def test_a_whisper_begins_a_turn_later():
    told = events_of(np.concatenate([silence(0.6), whisper(2.0), silence(1.0)]))
    assert [type(event) for event, _ in told] == [Started, Stopped]
    assert told[0][1] < 0.6 + 0.8


def test_without_options_only_a_commit_ends_a_turn():
    taker = TurnTaker(RATE, None)
    assert list(taker.take(question(1.0))) == []
    assert len(taker.commit().samples) == len(question(1.0))
    with pytest.raises(AudioError, match="append some first"):
        taker.commit()


def test_what_is_cleared_is_gone():
    taker = TurnTaker(RATE)
    list(taker.take(vowels(1.0)))
    assert taker.speaking
    taker.clear()
    assert (taker.speaking, taker.kept_seconds) == (False, 0.0)
    assert taker.taken_seconds == pytest.approx(1.0)


def test_nothing_grows_without_end():
    taker = TurnTaker(100, None)
    list(taker.take(np.zeros(round(100 * LONGEST_SECONDS), np.float32)))
    with pytest.raises(TooLargeError, match="commit or clear"):
        list(taker.take(np.zeros(1, np.float32)))
    idle = TurnTaker(RATE)
    list(idle.take(silence(20.0)))
    assert idle.kept_seconds < 1.0


def test_an_endless_turn_is_over_at_its_longest(monkeypatch):
    monkeypatch.setattr("parlando.converse.turns.LONGEST_SECONDS", 2.0)
    told = [type(event) for event, _ in events_of(vowels(5.0))]
    assert told[:4] == [Started, Stopped, Started, Stopped]


def test_options_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"turns.threshold: 1.5 is out of range; use 0 to 1"):
        TurnOptions(threshold=1.5)
