from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import RATE, buzz, noise, silence, tone

from parlando.audio import crossfade as crossfades
from parlando.audio.crossfade import crossfade, fade_curve, fade_edges, find_clicks
from parlando.core.errors import AudioError


@given(st.integers(1, 500))
def test_curves_add_to_one_in_amplitude_or_in_power(length):
    linear, power = fade_curve(length, "linear"), fade_curve(length)
    assert np.allclose(linear + linear[::-1], 1.0, atol=1e-6)
    assert np.allclose(power**2 + power[::-1] ** 2, 1.0, atol=1e-6)
    assert (np.diff(power) > 0).all()


@given(st.integers(0, 100), st.integers(100, 300), st.integers(100, 300))
def test_length_is_the_sum_without_the_overlap(overlap, first, second):
    assert len(crossfade(np.ones(first), np.ones(second), overlap)) == first + second - overlap


def test_linear_crossfade_of_a_sound_with_itself_is_that_sound():
    wave = buzz(150, 0.5)
    joined = crossfade(wave[:7000], wave[5000:], 2000, "linear")
    assert np.abs(joined - wave).max() < 1e-6


def test_equal_power_keeps_the_level_of_unlike_sounds():
    first, second = noise(1.0, amplitude=0.1, seed=1), noise(1.0, amplitude=0.1, seed=2)
    middle = crossfade(first, second, 12000)[12000:24000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("overlap", [-1, 11])
def test_an_overlap_that_does_not_fit_is_refused(overlap):
    with pytest.raises(AudioError, match=f"an overlap of {overlap} samples does not fit"):
        crossfade(np.zeros(10), np.zeros(20), overlap)


def test_faded_edges_start_and_end_near_nothing_and_keep_the_middle():
    wave = np.ones(1000, np.float32)
    faded = fade_edges(wave, 100)
    assert faded[0] < 0.01
    assert faded[-1] < 0.01
    assert (faded[100:-100] == 1).all()
    assert (wave == 1).all()
    assert np.array_equal(fade_edges(wave, 0), wave)
    assert fade_edges(wave[:5], 100)[2] == 1


@pytest.mark.parametrize("rate", [16000, 24000, 48000])
@pytest.mark.parametrize("step", [0.1, -0.2])
def test_a_jump_in_a_voice_is_found_at_its_place(rate, step):
    wave = buzz(150, 1.0, rate, amplitude=0.2)
    at = rate // 2
    wave[at:] += step
    assert find_clicks(wave, rate) == [pytest.approx(at, abs=1)]


def test_two_chunks_that_do_not_meet_click_and_a_crossfade_heals_them():
    first, second = tone(200, 0.5, amplitude=0.4)[:11970], tone(310, 0.5, amplitude=0.4)[30:]
    rough = np.concatenate([first, second])
    assert find_clicks(rough, RATE) == [pytest.approx(len(first), abs=1)]
    assert find_clicks(crossfade(first, second, 480), RATE) == []


@pytest.mark.parametrize(
    "wave",
    [
        buzz(150, 1.0),
        buzz(320, 1.0, amplitude=0.9),
        noise(1.0, amplitude=0.2),
        tone(5000, 1.0),
        silence(1.0),
        np.concatenate([silence(0.2), noise(0.2, amplitude=0.2), silence(0.2)]),
        np.zeros(2, np.float32),
    ],
)
def test_sounds_without_a_jump_have_no_clicks(wave):
    assert find_clicks(wave, RATE) == []


def test_neighbouring_jumps_count_once_and_distant_ones_twice():
    wave = silence(1.0)
    wave[[5000, 5001, 15000]] = 0.2, 0.5, 0.4
    assert find_clicks(wave, RATE) == [5001, 15000]


@pytest.mark.parametrize("size", [100, 1001, 5000])
def test_clicks_are_those_of_the_whole_however_it_is_cut(monkeypatch, size):
    wave = buzz(150, 0.6) + noise(0.6, amplitude=0.0003)
    wave[[1, 99, 2002, 5000, 9999, len(wave) - 2]] += 0.4
    whole = find_clicks(wave, RATE)
    assert len(whole) == 6
    monkeypatch.setattr(crossfades, "BLOCK_SAMPLES", size)
    assert find_clicks(wave, RATE) == whole
