from __future__ import annotations

import numpy as np
import pytest
from sounds import RATE, buzz, noise, silence, tone

from parlando.audio import clicks
from parlando.audio.clicks import find_clicks


@pytest.mark.parametrize("rate", [16000, 24000, 48000])
@pytest.mark.parametrize("step", [0.1, -0.2])
def test_a_jump_in_a_voice_is_found_at_its_place(rate, step):
    wave = buzz(150, 1.0, rate, amplitude=0.2)
    at = rate // 2
    wave[at:] += step
    assert find_clicks(wave, rate) == [pytest.approx(at, abs=1)]


def test_two_chunks_that_do_not_meet_click():
    first, second = tone(200, 0.5, amplitude=0.4)[:11970], tone(310, 0.5, amplitude=0.4)[30:]
    rough = np.concatenate([first, second])
    assert find_clicks(rough, RATE) == [pytest.approx(len(first), abs=1)]


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
    monkeypatch.setattr(clicks, "BLOCK_SAMPLES", size)
    assert find_clicks(wave, RATE) == whole
