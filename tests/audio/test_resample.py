from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import noise, tone

from parlando.audio.resample import StreamResampler, resample, sinc_resample
from parlando.core.errors import AudioError

RATES = [8000, 16000, 22050, 24000, 44100, 48000]


def direct_sum(wave: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Every output sample as the plain sum of windowed sincs in float64, straight from the definition."""
    cutoff = min(from_rate, to_rate) * 0.99
    position = np.arange(len(wave)) / from_rate
    output = np.zeros(-(-len(wave) * to_rate // from_rate))
    for index in range(len(output)):
        crossing = cutoff * (position - index / to_rate)
        inside = np.abs(crossing) < 6
        weight = np.sinc(crossing[inside]) * np.cos(np.pi * crossing[inside] / 12) ** 2
        output[index] = cutoff / from_rate * (wave[inside].astype(np.float64) @ weight)
    return output


@pytest.mark.parametrize("rates", [(24000, 16000), (16000, 24000), (24000, 24000), (22050, 16000), (16000, 44100)])
def test_sinc_equals_the_direct_sum_in_float64(rates):
    wave = noise(0.03, rates[0], 0.3)
    ours = sinc_resample(torch.from_numpy(wave)[None].double(), *rates)[0].numpy()
    expected = wave.astype(np.float64) if rates[0] == rates[1] else direct_sum(wave, *rates)
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() < 1e-12


def test_sinc_in_float32_is_the_float64_result_to_1e_6():
    wave = torch.from_numpy(noise(0.2, 24000, 0.2))[None]
    difference = sinc_resample(wave, 24000, 16000).double() - sinc_resample(wave.double(), 24000, 16000)
    assert difference.abs().max() < 1e-6


@given(st.integers(1, 3000), st.sampled_from(RATES), st.sampled_from(RATES))
@settings(max_examples=40, deadline=None)
def test_sinc_length_is_rounded_up(length, from_rate, to_rate):
    shape = sinc_resample(torch.zeros(2, length), from_rate, to_rate).shape
    assert shape == (2, math.ceil(length * to_rate / from_rate))


@pytest.mark.parametrize("method", ["sinc", "soxr"])
def test_a_1_khz_tone_stays_the_same_tone_to_1e_3(method):
    wave = tone(1000, 0.5, 24000)
    if method == "sinc":
        ours = sinc_resample(torch.from_numpy(wave)[None], 24000, 16000)[0].numpy()
    else:
        ours = resample(wave, 24000, 16000)
    assert np.abs(ours - tone(1000, 0.5, 16000))[200:-200].max() < 1e-3


def test_sinc_removes_what_the_lower_rate_cannot_hold():
    wave = torch.from_numpy(tone(11000, 0.2, 24000))[None]
    assert sinc_resample(wave, 24000, 16000)[0, 100:-100].abs().max() < 5e-3


def test_sinc_agrees_with_soxr_on_a_band_limited_sound():
    wave = tone(300, 0.3) + tone(1234, 0.3, amplitude=0.2) + tone(4000, 0.3, amplitude=0.1)
    ours = sinc_resample(torch.from_numpy(wave)[None], 24000, 16000)[0].numpy()
    assert np.abs(ours - resample(wave, 24000, 16000))[200:-200].max() < 2e-3


def test_sinc_passes_gradients():
    wave = torch.randn(1, 480, requires_grad=True)
    sinc_resample(wave, 24000, 16000).sum().backward()
    assert wave.grad is not None
    assert torch.isfinite(wave.grad).all()
    assert wave.grad.abs().sum() > 0


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=8), st.sampled_from([(24000, 16000), (24000, 48000)]))
@settings(max_examples=25, deadline=None)
def test_a_stream_in_any_pieces_equals_the_whole(sizes, rates):
    wave = noise(sum(sizes) / rates[0], rates[0], 0.3)
    stream, pieces, start = StreamResampler(*rates), [], 0
    for size in sizes:
        pieces.append(stream.feed(wave[start : start + size]))
        start += size
    joined = np.concatenate([*pieces, stream.close()])
    expected = resample(wave, *rates)
    assert abs(len(joined) - len(expected)) <= 1
    shared = min(len(joined), len(expected))
    assert np.allclose(joined[:shared], expected[:shared], atol=1e-6)


def test_equal_rates_change_nothing():
    wave = noise(0.01)
    stream = StreamResampler(24000, 24000)
    assert resample(wave, 24000, 24000) is wave
    assert np.array_equal(np.concatenate([stream.feed(wave), stream.close()]), wave)


def test_nothing_stays_nothing():
    assert len(resample(np.zeros(0, np.float32), 24000, 16000)) == 0


@pytest.mark.parametrize("rates", [(0, 16000), (24000, -1), (24000, 16000.5)])
def test_wrong_rates_are_refused_everywhere(rates):
    with pytest.raises(AudioError):
        resample(np.zeros(4, np.float32), *rates)
    with pytest.raises(AudioError):
        StreamResampler(*rates)
    with pytest.raises(AudioError):
        sinc_resample(torch.zeros(1, 4), *rates)
