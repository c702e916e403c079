"""Generated sounds: that they are what they are called, as far as numbers tell."""

from __future__ import annotations

import numpy as np
import pytest

from parlando.audio.sounds import SHORT_EVENTS, by_telephone, event, music, noise, reverberated

RATE = 16_000


def made(seed=0):
    return np.random.default_rng(seed)


def power_between(wave, low, high):
    spectrum = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE)
    return spectrum[(hertz >= low) & (hertz < high)].sum() / spectrum.sum()


@pytest.mark.parametrize("name", SHORT_EVENTS)
def test_events_have_soft_ends_and_one_peak_level_and_are_drawn(name):
    wave = event(name, 1.0, RATE, made())
    assert wave.dtype == np.float32
    assert len(wave) == RATE
    assert np.abs(wave).max() == pytest.approx(0.5, rel=0.2)
    assert max(abs(wave[0]), abs(wave[-1])) < 0.01
    assert not np.array_equal(wave, event(name, 1.0, RATE, made(1)))
    assert np.array_equal(wave, event(name, 1.0, RATE, made()))


def test_a_telephone_has_a_band():
    white = (0.1 * made().standard_normal(RATE)).astype(np.float32)
    narrow = by_telephone(white, RATE)
    assert power_between(narrow, 300, 3400) > 0.93
    assert power_between(white, 300, 3400) < 0.5
    assert narrow.dtype == np.float32
    assert len(narrow) == len(white)


def test_a_room_rings_as_long_as_it_is_said_to():
    click = np.zeros(2 * RATE, np.float32)
    click[100] = 1.0
    short, long = (reverberated(click, RATE, seconds, made()) for seconds in (0.3, 1.2))
    assert short[100] == pytest.approx(1.0, abs=0.01)
    assert np.abs(short[:100]).max() < 1e-6
    late = slice(100 + round(0.35 * RATE), None)
    assert np.square(short[late]).sum() < 1e-7
    assert np.square(long[late]).sum() > 1e-3


def flatness(wave):
    """1 for white noise, near 0 for tones (Johnston, 1988)."""
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2 + 1e-12
    return float(np.exp(np.log(power).mean()) / power.mean())


def test_music_has_tones_and_noise_has_not():
    assert flatness(music(2.0, RATE, made())) < 0.01
    assert flatness(made().standard_normal(2 * RATE)) > 0.4
    coloured = noise(2.0, RATE, made(4))
    assert np.abs(coloured).max() == pytest.approx(0.1, rel=1e-3)
    assert flatness(coloured) > 10 * flatness(music(2.0, RATE, made()))
