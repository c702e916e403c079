from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import RATE, babble, buzz, noise, silence, tone

from parlando.audio.silence import (
    DEFAULT_VAD,
    SilenceMeter,
    Span,
    frame_levels,
    is_silent,
    longest_pause_seconds,
    speech_seconds,
    speech_spans,
    trim_silence,
)


def test_levels_are_mean_powers_in_decibels():
    square = np.tile(np.array([0.1, -0.1], np.float32), 240)
    assert frame_levels(square, 240) == pytest.approx([-20.0, -20.0], abs=1e-4)
    assert len(frame_levels(square[:241], 240)) == 2
    assert len(frame_levels(square[:0], 240)) == 0


@pytest.mark.parametrize("rate", [16000, 24000, 44100])
def test_two_words_are_found_where_they_are(rate):
    wave = np.concatenate(
        [silence(0.5, rate), buzz(150, 0.6, rate), silence(0.8, rate), buzz(200, 0.4, rate), silence(0.5, rate)]
    )
    spans = speech_spans(wave + noise(len(wave) / rate, rate), rate)
    assert [(span.start / rate, span.end / rate) for span in spans] == [
        (pytest.approx(0.46, abs=0.03), pytest.approx(1.2, abs=0.03)),
        (pytest.approx(1.86, abs=0.03), pytest.approx(2.4, abs=0.03)),
    ]
    assert longest_pause_seconds(wave, rate) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("decibels", [0, -20, -35])
def test_the_threshold_follows_the_level_of_the_recording(decibels):
    wave = babble([(0.6, 0.5), (0.7, 0.5)]) * 10 ** (decibels / 20)
    assert len(speech_spans(wave, RATE)) == 2


def test_noise_15_decibels_below_the_speech_is_not_speech():
    wave = np.concatenate([silence(0.5), buzz(150, 0.8), silence(0.5)])
    level = float(np.sqrt(np.mean(buzz(150, 0.8) ** 2)))
    spans = speech_spans(wave + noise(1.8, amplitude=level * 10 ** (-15 / 20)), RATE)
    assert len(spans) == 1
    assert spans[0].start == pytest.approx(0.46 * RATE, abs=0.03 * RATE)


def test_a_steady_sound_is_one_span_of_everything():
    assert speech_spans(tone(200, 1.0), RATE) == [Span(0, RATE)]


def test_a_click_in_the_silence_is_not_speech():
    wave = silence(1.0)
    wave[12000:12010] = 0.9
    assert speech_spans(wave, RATE) == []
    assert longest_pause_seconds(np.concatenate([buzz(150, 0.5), wave, buzz(150, 0.5)]), RATE) == pytest.approx(
        1.0, abs=0.05
    )


def test_a_short_gap_does_not_split_a_word():
    wave = np.concatenate([buzz(150, 0.4), silence(0.08), buzz(150, 0.4)])
    assert len(speech_spans(wave, RATE)) == 1
    assert len(speech_spans(wave, RATE, replace(DEFAULT_VAD, bridge_seconds=0.0, hangover_seconds=0.0))) == 2


@pytest.mark.parametrize(
    ("wave", "silent"),
    [
        (silence(1.0), True),
        (np.zeros(0, np.float32), True),
        (noise(1.0, amplitude=0.0001), True),
        (np.full(RATE, 0.3, np.float32), True),
        (noise(1.0, amplitude=0.01), False),
        (np.concatenate([silence(2.0), tone(300, 0.05)]), False),
    ],
)
def test_silence_is_the_absence_of_loud_frames(wave, silent):
    assert is_silent(wave, RATE) is silent
    if silent:
        assert speech_spans(wave, RATE) == []
        assert len(trim_silence(wave, RATE)) == 0
        assert longest_pause_seconds(wave, RATE) == 0


def test_trimming_keeps_the_speech_and_what_was_asked_for():
    wave = np.concatenate([silence(1.0), buzz(150, 0.5), silence(1.0)])
    tight, loose = trim_silence(wave, RATE), trim_silence(wave, RATE, keep_seconds=0.2)
    assert len(tight) / RATE == pytest.approx(0.64, abs=0.03)
    assert len(loose) - len(tight) == round(0.4 * RATE)
    assert np.abs(tight).max() == np.abs(wave).max()


@given(st.lists(st.tuples(st.floats(0.2, 0.6), st.floats(0.0, 0.7)), min_size=1, max_size=4))
@settings(max_examples=20, deadline=None)
def test_spans_are_ordered_apart_and_inside_the_clip(parts):
    wave = babble(parts)
    spans = speech_spans(wave, RATE)
    edges = [edge for span in spans for edge in (span.start, span.end)]
    assert edges == sorted(set(edges))
    assert edges[0] >= 0
    assert edges[-1] <= len(wave)
    assert speech_seconds(wave, RATE) <= len(wave) / RATE
    pauses = [pause for _, pause in parts[:-1] if pause > 0.25]
    assert len(spans) >= 1 + len(pauses)


def test_silence_is_measured_across_pushes():
    meter = SilenceMeter()
    assert meter.push(np.ones(10)) == 0
    assert meter.push(np.zeros(30)) == 30
    assert meter.push(np.concatenate([np.zeros(20), np.ones(5)])) == 50
    assert meter.push(np.zeros(40)) == 50
    assert meter.push(np.zeros(0)) == 50


@given(
    st.lists(st.lists(st.sampled_from([0.0, 0.001, 0.1, 1.0]), max_size=12), max_size=6),
    st.integers(min_value=0, max_value=12),
)
def test_silence_is_what_one_sees_sample_by_sample_and_only_short_ones_are_overlooked(pieces, notable_samples):
    exact, rough = SilenceMeter(), SilenceMeter(notable_samples)
    peak, running, longest = 0.0, 0, 0
    for piece in pieces:
        peak = max([peak, *piece])
        for level in piece:
            running = 0 if level > peak * SilenceMeter.QUIET_SHARE else running + 1
            longest = max(longest, running)
        assert exact.push(np.array(piece)) == longest
        found = rough.push(np.array(piece))
        assert found == longest if longest > notable_samples else found <= longest
