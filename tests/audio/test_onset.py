from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parlando.audio.onset import OnsetTrimmer

RATE = 24000


def word(silence_seconds, noise=0.0002, seed=0):
    """Faint noise, and then a loud tone with a pause in it."""
    chance = np.random.default_rng(seed)
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE // 4) / RATE)
    parts = [np.zeros(round(silence_seconds * RATE)), tone, np.zeros(RATE // 5), tone]
    wave = np.concatenate(parts)
    return (wave + noise * chance.standard_normal(len(wave))).astype(np.float32)


def trimmed(wave, kept_seconds=0.02, cuts=()):
    trimmer = OnsetTrimmer(RATE, kept_seconds)
    parts = [trimmer.push(part) for part in np.split(wave, sorted(cuts))]
    return np.concatenate([*parts, trimmer.close()])


@pytest.mark.parametrize("silence_seconds", [0.03, 0.105, 0.45])
def test_no_more_than_the_kept_silence_is_left_and_pauses_stay(silence_seconds):
    wave = word(silence_seconds)
    heard = trimmed(wave)
    left_seconds = silence_seconds - (len(wave) - len(heard)) / RATE
    assert 0.01 <= left_seconds <= 0.0251
    fade = round(0.005 * RATE)
    assert np.array_equal(heard[fade:], wave[len(wave) - len(heard) + fade :])
    assert abs(heard[0]) == 0.0, "no click"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 14000), max_size=8), st.floats(0.0, 0.3), st.sampled_from([0.0, 0.02, 0.1]))
def test_the_pieces_do_not_matter(cuts, silence_seconds, kept_seconds):
    wave = word(silence_seconds)
    assert np.array_equal(trimmed(wave, kept_seconds, cuts), trimmed(wave, kept_seconds))


def test_what_begins_at_once_or_may_be_silent_is_left_alone():
    assert np.array_equal(trimmed(word(0.0)), word(0.0))
    assert np.array_equal(trimmed(word(0.5), math.inf), word(0.5))


def test_nothing_is_held_back_once_a_word_was_heard():
    trimmer, wave = OnsetTrimmer(RATE, 0.02), word(0.1)
    first = trimmer.push(wave[: round(0.15 * RATE)])
    assert len(first) >= 0.05 * RATE
    assert len(trimmer.push(wave[:7])) == 7


def test_no_more_than_half_a_second_is_cut():
    assert len(word(0.7)) - len(trimmed(word(0.7))) == 0.5 * RATE


@pytest.mark.parametrize("decibels", [-120, -60, -46, -30])
def test_where_no_word_comes_everything_does(decibels):
    wave = (10 ** (decibels / 20) * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)
    for end in (RATE // 2, 2 * RATE):
        assert np.array_equal(trimmed(wave[:end]), wave[:end])


def test_a_voice_that_can_hardly_be_heard_is_left_alone():
    quiet = word(0.1, noise=1e-5) * np.float32(10 ** (-50 / 20))
    assert np.array_equal(trimmed(quiet), quiet)


@pytest.mark.parametrize("seed", range(5))
def test_loud_noise_is_silence_too(seed):
    wave = word(0.1, noise=10 ** (-46 / 20), seed=seed)
    assert 0.07 <= (len(wave) - len(trimmed(wave))) / RATE <= 0.085


@pytest.mark.parametrize("click_samples", [1, 100, 240])
def test_a_click_is_no_word_but_a_burst_close_to_one_is_its_consonant(click_samples):
    far, near = word(0.1), word(0.05)
    far[:click_samples] = near[:click_samples] = 0.5
    assert 0.075 <= (len(far) - len(trimmed(far))) / RATE <= 0.085
    assert np.array_equal(trimmed(near), near)


@pytest.mark.parametrize(("soft_seconds", "left_seconds"), [(0.0, 0.02), (0.005, 0.02), (0.02, 0.03), (0.1, 0.15)])
def test_silence_is_counted_to_where_the_word_is_loud_and_its_soft_beginning_stays(soft_seconds, left_seconds):
    silent, samples = round(0.2 * RATE), round(soft_seconds * RATE)
    wave = word(0.2, noise=1e-5)
    breath = (0.001 * np.random.default_rng(1).standard_normal(samples)).astype(np.float32)
    wave = np.concatenate((wave[:silent], breath, wave[silent:]))
    assert len(trimmed(wave)) - (len(wave) - silent - samples) == pytest.approx(left_seconds * RATE, abs=1)


@pytest.mark.parametrize("seed", range(8))
def test_a_noise_that_comes_and_goes_before_a_word_is_no_beginning_of_it(seed):
    wave, chance = word(0.2, noise=1e-5), np.random.default_rng(seed)
    swell = np.repeat(chance.uniform(0.0008, 0.0022, 10), round(0.02 * RATE))
    wave[: len(swell)] += (swell * chance.standard_normal(len(swell))).astype(np.float32)
    assert 0.16 * RATE <= len(wave) - len(trimmed(wave)) <= 0.18 * RATE


@pytest.mark.parametrize("rise_seconds", [0.05, 0.2, 0.4])
def test_a_soft_beginning_is_heard_from_where_it_rises(rise_seconds):
    silent, samples = round(0.2 * RATE), round(rise_seconds * RATE)
    wave = word(0.2)
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(samples) / RATE)
    rise = tone * 10 ** (np.linspace(-60, 0, samples) / 20)
    wave = np.concatenate((wave[:silent], wave[:samples] + rise.astype(np.float32), wave[silent:]))
    cut = len(wave) - len(trimmed(wave))
    assert 0.17 * RATE <= cut <= silent
