"""Integrated loudness after ITU-R BS.1770-4."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

BLOCK_SECONDS = 0.4
BLOCKS_PER_LENGTH = 4
ABSOLUTE_GATE = -70.0
RELATIVE_GATE = -10.0
OFFSET = -0.691
SETTLE_SECONDS = 0.5
# The analogue prototypes behind the standard's 48 kHz coefficients (De Man, 2014), so that any rate can be weighted.
SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
HIGHPASS_HZ, HIGHPASS_Q = 38.13547087602444, 0.5003270373238773


Power = TypeVar("Power", float, np.ndarray)


def integrated_loudness(samples: np.ndarray, sample_rate: int) -> float:
    """Gated loudness in LUFS of mono audio; minus infinity for silence. Audio under 0.4 s is one block."""
    powers = _block_powers(k_weighted(samples, sample_rate), sample_rate)
    powers = powers[_loudness(powers) > ABSOLUTE_GATE]
    if not len(powers):
        return -math.inf
    gate = _loudness(powers.mean()) + RELATIVE_GATE
    return float(_loudness(powers[_loudness(powers) > gate].mean()))


def k_weighted(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """The samples (float64 [n]) through BS.1770's shelf and high-pass, applied in the frequency domain."""
    wave = np.asarray(samples, dtype=np.float64)
    # Both filters have died away after half a second, so that nothing wraps around.
    length = len(wave) + round(SETTLE_SECONDS * sample_rate)
    length += -length % (1 << max(0, length.bit_length() - 4))
    unit = np.exp(-2j * np.pi * np.fft.rfftfreq(length))
    response = _response(_shelf(sample_rate), unit) * _response(_highpass(sample_rate), unit)
    return np.fft.irfft(np.fft.rfft(wave, length) * response, length)[: len(wave)]


Biquad = tuple[tuple[float, float, float], tuple[float, float, float]]


def _shelf(sample_rate: int) -> Biquad:
    warped = math.tan(math.pi * SHELF_HZ / sample_rate)
    high = 10 ** (SHELF_DB / 20)
    band = high**0.4996667741545416
    square, slope = warped * warped, warped / SHELF_Q
    numerator = (high + band * slope + square, 2 * (square - high), high - band * slope + square)
    return numerator, (1 + slope + square, 2 * (square - 1), 1 - slope + square)


def _highpass(sample_rate: int) -> Biquad:
    warped = math.tan(math.pi * HIGHPASS_HZ / sample_rate)
    square, slope = warped * warped, warped / HIGHPASS_Q
    scale = 1 + slope + square
    # The standard's numerator is 1, -2, 1 exactly: its gain is not normalised at high frequencies.
    return (scale, -2 * scale, scale), (scale, 2 * (square - 1), 1 - slope + square)


def _response(biquad: Biquad, unit: np.ndarray) -> np.ndarray:
    (b0, b1, b2), (a0, a1, a2) = biquad
    return (b0 + unit * (b1 + unit * b2)) / (a0 + unit * (a1 + unit * a2))


def _block_powers(weighted: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean squares of blocks of 0.4 s that overlap by three quarters."""
    block = min(round(BLOCK_SECONDS * sample_rate), len(weighted))
    if not block:
        return np.zeros(0)
    starts = np.arange(0, len(weighted) - block + 1, max(1, block // BLOCKS_PER_LENGTH))
    total = np.concatenate(([0.0], np.cumsum(weighted * weighted)))
    return (total[starts + block] - total[starts]).clip(0) / block


def _loudness(power: Power) -> Power:
    return OFFSET + 10 * np.log10(np.maximum(power, 1e-20))
