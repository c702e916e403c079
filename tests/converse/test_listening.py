"""Speech told from noise, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

from parlando.converse.listening import BandDetector
from talk_parts import silence, vowels
from whisper import whisper


def shares(samples, rate, **options):
    """How often frames begin speech, go on with it, and are voiced."""
    detector = BandDetector(rate, **options)
    size = detector.frame_samples
    heard = [detector.hear(samples[at : at + size]) for at in range(0, len(samples) - size + 1, size)]
    return tuple(np.mean([getattr(each, name) for each in heard]) for name in ("begins", "goes_on", "voiced"))


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_a_voice_is_loud_and_has_a_pitch_at_any_rate(rate):
    begins, goes_on, voiced = shares(np.concatenate([silence(0.5, rate), vowels(2.0, rate)]), rate)
    assert begins > 0.6
    assert goes_on >= begins
    assert voiced > 0.6


@pytest.mark.parametrize("level", [1e-4, 0.003, 0.1])
def test_steady_noise_is_no_speech_however_loud(level):
    noise = np.random.default_rng(1).normal(0, level, 24_000 * 4).astype(np.float32)
    begins, _, voiced = shares(noise[24_000 * 2 :], 24_000)
    assert voiced < 0.02
    # The floor begins low and rises by 4 dB a second; what lies above it is not voiced.
    assert begins == 0 or level == 0.1


def test_rumble_and_a_whisper_have_no_pitch():
    rumble = np.cumsum(np.random.default_rng(2).normal(0, 0.002, 48_000)).astype(np.float32)
    assert shares(rumble, 24_000)[2] < 0.15
    assert shares(whisper(2.0), 24_000)[2] < 0.05


def test_a_tone_is_not_as_broad_as_a_voice():
    time = np.arange(48_000) / 24_000
    for hertz in (440.0, 950.0, 1000.0):
        begins, _, _ = shares((0.4 * np.sin(2 * np.pi * hertz * time)).astype(np.float32), 24_000)
        assert begins < 0.02


def test_a_higher_threshold_takes_more_above_the_noise():
    noisy = vowels(3.0, level=0.02) + np.random.default_rng(3).normal(0, 0.003, 72_000).astype(np.float32)
    low, high = (shares(noisy, 24_000, threshold=threshold)[0] for threshold in (0.1, 1.0))
    assert low > high + 0.2
