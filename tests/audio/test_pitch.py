from __future__ import annotations

import numpy as np
import pytest
from sounds import RATE, buzz, noise, silence, tone

from parlando.audio import pitch
from parlando.audio.pitch import median_pitch, pitch_track


@pytest.mark.parametrize("rate", [16000, 24000, 48000])
@pytest.mark.parametrize("hertz", [80.0, 121.5, 210.0, 333.0])
def test_the_pitch_of_a_voice_is_found_to_half_a_percent(hertz, rate):
    assert median_pitch(buzz(hertz, 0.6, rate), rate) == pytest.approx(hertz, rel=0.005)


def test_a_pure_tone_has_its_own_pitch():
    assert median_pitch(tone(200, 0.5), RATE) == pytest.approx(200, rel=0.005)


@pytest.mark.parametrize("wave", [silence(0.5), noise(1.0, amplitude=0.2), np.zeros(10, np.float32)])
def test_what_is_not_voiced_has_no_pitch(wave):
    assert median_pitch(wave, RATE) == 0.0


def test_a_track_in_blocks_is_that_of_the_whole(monkeypatch):
    wave = np.concatenate([buzz(120, 0.5), 0.02 * buzz(180, 0.3), buzz(240, 0.5)])
    whole, shares = pitch_track(wave, RATE), []
    monkeypatch.setattr(pitch, "BLOCK_FRAMES", 20)
    assert np.array_equal(pitch_track(wave, RATE, shares.append), whole)
    assert shares == sorted(shares)
    assert (len(shares), shares[-1]) == (7, 1.0)


def test_the_track_has_a_frame_every_10_ms_and_zeros_in_the_pause():
    wave = np.concatenate([buzz(120, 0.5), silence(0.3), buzz(240, 0.5)])
    track = pitch_track(wave, RATE)
    assert len(track) == pytest.approx(130 - 4, abs=1)
    assert np.median(track[5:40]) == pytest.approx(120, rel=0.01)
    assert (track[53:74] == 0).all()
    assert np.median(track[85:120]) == pytest.approx(240, rel=0.01)
