from __future__ import annotations

import math

import numpy as np
import pytest
from sounds import RATE, babble, buzz, noise, silence, tone

from parlando.audio.loudness import _highpass, _shelf, integrated_loudness, k_weighted


def test_coefficients_at_48_khz_are_those_printed_in_the_standard():
    for biquad, numerator, denominator in (
        (_shelf(48000), (1.53512485958697, -2.69169618940638, 1.19839281085285), (-1.69065929318241, 0.73248077421585)),
        (_highpass(48000), (1.0, -2.0, 1.0), (-1.99004745483398, 0.99007225036621)),
    ):
        (b, a) = biquad
        assert [value / a[0] for value in b] == pytest.approx(numerator, abs=1e-10)
        assert [value / a[0] for value in a[1:]] == pytest.approx(denominator, abs=1e-10)


@pytest.mark.parametrize("rate", [16000, 24000, 44100, 48000])
def test_a_full_scale_997_hz_tone_in_one_channel_is_minus_3_01(rate):
    assert integrated_loudness(tone(997, 5.0, rate, 1.0), rate) == pytest.approx(-3.01, abs=0.05)


# pyloudnorm's own filters differ from the standard's by more at low rates; its "DeMan" filters are the standard's.
@pytest.mark.parametrize(
    ("filters", "rate", "tolerance"),
    [
        ("K-weighting", 24000, 0.1),
        ("K-weighting", 48000, 0.1),
        ("DeMan", 16000, 0.001),
        ("DeMan", 24000, 0.001),
        ("DeMan", 48000, 0.001),
    ],
)
@pytest.mark.parametrize(
    "sound",
    [
        lambda rate: noise(4.0, rate, 0.1),
        lambda rate: buzz(150, 4.0, rate),
        lambda rate: babble([(1.0, 0.5), (1.5, 1.0)], rate),
        lambda rate: np.concatenate([noise(2.0, rate, 0.1), noise(3.0, rate, 0.001)]),
    ],
)
def test_loudness_equals_pyloudnorm_to_a_tenth(sound, filters, rate, tolerance):
    pyloudnorm = pytest.importorskip("pyloudnorm")
    wave = sound(rate)
    expected = pyloudnorm.Meter(rate, filter_class=filters).integrated_loudness(wave.astype(np.float64))
    assert integrated_loudness(wave, rate) == pytest.approx(expected, abs=tolerance)


def test_filtering_by_spectrum_equals_filtering_by_recursion():
    wave = noise(0.2, RATE, 0.3).astype(np.float64)
    expected = wave
    for (b0, b1, b2), (a0, a1, a2) in (_shelf(RATE), _highpass(RATE)):
        output = np.zeros(len(expected) + 2)
        padded = np.concatenate([[0.0, 0.0], expected])
        for n in range(2, len(padded)):
            output[n] = (
                b0 * padded[n] + b1 * padded[n - 1] + b2 * padded[n - 2] - a1 * output[n - 1] - a2 * output[n - 2]
            ) / a0
        expected = output[2:]
    assert np.abs(k_weighted(wave, RATE) - expected).max() < 1e-9


def test_pauses_do_not_lower_the_loudness():
    wave = noise(3.0, amplitude=0.1)
    padded = np.concatenate([wave, silence(6.0)])
    assert integrated_loudness(padded, RATE) == pytest.approx(integrated_loudness(wave, RATE), abs=0.3)


def test_silence_and_nothing_are_minus_infinity():
    assert integrated_loudness(silence(1.0), RATE) == -math.inf
    assert integrated_loudness(np.zeros(0, np.float32), RATE) == -math.inf


def test_a_clip_shorter_than_a_block_is_measured_as_one():
    assert integrated_loudness(tone(997, 0.2, amplitude=1.0), RATE) == pytest.approx(-3.01, abs=0.3)
