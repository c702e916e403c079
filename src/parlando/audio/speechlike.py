"""Whether a recording can be somebody speaking at all, or is noise from one end to the other."""

from __future__ import annotations

import numpy as np

from parlando.audio.pitch import pitch_track

WINDOW_SECONDS = 0.05
LOWEST_HZ, HIGHEST_HZ, NUM_BANDS = 200.0, 3400.0, 8
LEAST_SWING_DECIBELS = 4.5
LEAST_VOICED_SHARE, MOST_PITCH_SECONDS = 0.2, 5.0


def is_speechlike(samples: np.ndarray, sample_rate: int) -> bool:
    """Whether its level swings in any band as syllables make it, or a good part of it has a pitch.

    Speech is told from steady noise by its slow modulations (Houtgast and Steeneken, 1985). Whispered speech has them
    too; a held vowel does not, and has a pitch instead. What swings and is no speech, such as music, passes.
    """
    if level_swing_decibels(samples, sample_rate) >= LEAST_SWING_DECIBELS:
        return True
    pitch = pitch_track(_without_rumble(samples[: round(MOST_PITCH_SECONDS * sample_rate)]), sample_rate)
    return bool(np.count_nonzero(pitch) > LEAST_VOICED_SHARE * len(pitch))


def level_swing_decibels(samples: np.ndarray, sample_rate: int) -> float:
    """How far the middle half of the levels of 50 ms lie apart, in that band of the telephone's where it is most.

    Steady noise of any colour has 2 to 3 dB (what is left of chance), clear speech 15 to 40, and speech as loud as the
    noise around it still 6: some band is free of noise, and fades do not reach the middle half. 0 if it is too short.
    """
    size = round(WINDOW_SECONDS * sample_rate)
    if len(samples) < size:
        return 0.0
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(samples, dtype=np.float64), size)[:: size // 2]
    power = np.abs(np.fft.rfft(windows * np.hanning(size))) ** 2
    hertz = np.fft.rfftfreq(size, 1 / sample_rate)
    edges = np.linspace(LOWEST_HZ, HIGHEST_HZ, NUM_BANDS + 1)
    bands = np.digitize(hertz, edges)
    inside = [power[:, bands == band].sum(axis=1) for band in range(1, NUM_BANDS + 1) if (bands == band).any()]
    low, high = np.percentile(10 * np.log10(np.stack(inside) + 1e-12), (25, 75), axis=1)
    return float((high - low).max())


def _without_rumble(samples: np.ndarray) -> np.ndarray:
    """Half a differentiation (3 dB an octave): takes its seeming pitch from low noise, and leaves voices theirs."""
    spectrum = np.fft.rfft(samples)
    return np.fft.irfft(spectrum * np.sqrt(np.arange(len(spectrum))), len(samples)) if len(samples) else samples
