"""Noise is told from speech, voiced or whispered, clear or noisy."""

from __future__ import annotations

import numpy as np
import pytest
from sounds import RATE, babble, buzz, noise, silence, tone

from parlando.audio.speechlike import LEAST_SWING_DECIBELS, is_speechlike, level_swing_decibels


def coloured(exponent, seconds, sample_rate=RATE, seed=0):
    """Noise whose power falls with that power of the frequency: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(noise(seconds, sample_rate, seed=seed))
    shaped = np.fft.irfft(spectrum * np.arange(1, len(spectrum) + 1) ** (-exponent / 2))
    return (0.5 * shaped / np.abs(shaped).max()).astype(np.float32)


def formant(wave, hertz, width, sample_rate=RATE):
    """What a resonance leaves of a signal, by a bell in the spectrum."""
    frequency = np.fft.rfftfreq(len(wave), 1 / sample_rate)
    return np.fft.irfft(np.fft.rfft(wave) * np.exp(-(((frequency - hertz) / width) ** 2)), len(wave))


def sayings(voiced, seconds=4.0, seed=0):
    """Syllables of 0.12 to 0.3 s with formants of their own, the pauses of words between; a hiss excites a whisper."""
    draws, pieces, length = np.random.default_rng(seed), [], 0.0
    while length < seconds:
        syllable = float(draws.uniform(0.12, 0.3))
        source = buzz(float(draws.uniform(100, 220)), syllable) if voiced else noise(syllable, seed=seed + len(pieces))
        shaped = sum(formant(source, hertz, 150) for hertz in (draws.uniform(300, 800), draws.uniform(900, 2500)))
        pieces += [shaped * np.hanning(len(shaped)) / np.abs(shaped).max(), silence(float(draws.uniform(0, 0.1)))]
        length += syllable
    return (0.3 * np.concatenate(pieces)).astype(np.float32)


def mixed(wave, added, decibels):
    power, disturbance = np.square(wave).mean(), np.square(added[: len(wave)]).mean()
    return wave + added[: len(wave)] * np.sqrt(power / disturbance / 10 ** (decibels / 10))


@pytest.mark.parametrize("sample_rate", [8000, RATE, 48000])
@pytest.mark.parametrize("exponent", [-1, 0, 1, 2])
@pytest.mark.parametrize("seconds", [1.2, 3.0])
def test_steady_noise_of_any_colour_is_no_speech(sample_rate, exponent, seconds):
    assert not any(is_speechlike(coloured(exponent, seconds, sample_rate, seed), sample_rate) for seed in range(2))


def test_noise_that_fades_or_comes_in_bursts_is_no_speech():
    time = np.arange(4 * RATE) / RATE
    fade = np.clip(np.minimum(time, time[::-1]) / 0.5, 0, 1)
    assert not is_speechlike(coloured(0, 4.0) * fade, RATE)
    assert not is_speechlike(coloured(0, 4.0) * (time % 1 < 0.8), RATE)


@pytest.mark.parametrize("exponent", [0, 1])
@pytest.mark.parametrize("decibels", [20, 5])
@pytest.mark.parametrize("voiced", [True, False], ids=["voiced", "whispered"])
def test_speech_in_noise_is_speech(voiced, decibels, exponent):
    for seed in range(2):
        wave = sayings(voiced, seed=seed)
        assert is_speechlike(mixed(wave, coloured(exponent, 6.0, seed=seed), decibels), RATE)


def test_a_whisper_has_no_pitch_and_a_held_vowel_no_swing():
    vowel = babble([(3.0, 0.0)])
    assert level_swing_decibels(vowel, RATE) < LEAST_SWING_DECIBELS < level_swing_decibels(sayings(False), RATE)
    assert is_speechlike(vowel, RATE)
    assert is_speechlike(tone(200, 2.0), RATE)
    assert is_speechlike(mixed(vowel, coloured(0, 4.0), 20), RATE)


def test_what_is_too_short_to_tell_has_no_swing():
    assert level_swing_decibels(buzz(150, 0.04), RATE) == 0.0
    assert not is_speechlike(noise(0.04), RATE)
