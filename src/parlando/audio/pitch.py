"""The pitch of a voice by autocorrelation, good enough to describe a recording."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

WINDOW_SECONDS = 0.05
HOP_SECONDS = 0.01
LOWEST_HZ, HIGHEST_HZ = 60.0, 450.0
VOICED_STRENGTH = 0.6
QUIET_SHARE = 0.05
BLOCK_FRAMES = 1024
# A later peak must beat the first by this much: half the pitch fits every voiced sound as well.
OCTAVE_MARGIN = 0.9


def pitch_track(
    samples: np.ndarray, sample_rate: int, on_progress: Callable[[float], object] = lambda share: None
) -> np.ndarray:
    """Fundamental frequency (hertz) of each 10 ms frame [frame], 0 where nothing is voiced.

    The autocorrelation of each windowed frame is divided by the window's own (Boersma, 1993). The memory it takes does
    not grow with the length; ``on_progress`` is told the share that is done, 0 to 1, now and then.
    """
    size, hop = round(WINDOW_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate)
    wave = np.asarray(samples)
    if len(wave) < size:
        return np.zeros(0)
    frames, blocks = np.lib.stride_tricks.sliding_window_view(wave, size)[::hop], []
    for start in range(0, len(frames), BLOCK_FRAMES):
        blocks.append(_measured(frames[start : start + BLOCK_FRAMES].astype(np.float64), sample_rate))
        on_progress(min(1.0, (start + BLOCK_FRAMES) / len(frames)))
    power, strength, pitch = map(np.concatenate, zip(*blocks, strict=True))
    voiced = (power > (QUIET_SHARE**2) * power.max()) & (strength > VOICED_STRENGTH)
    return np.where(voiced, pitch, 0.0)


def _measured(frames: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power, strength of the periodicity and its frequency (hertz) of each frame."""
    window = np.hanning(frames.shape[1])
    frames = (frames - frames.mean(axis=1, keepdims=True)) * window
    size = 2 * frames.shape[1]
    window_power = _autocorrelation(window[None], size)[0]
    power = _autocorrelation(frames, size)
    lags = np.arange(int(sample_rate / HIGHEST_HZ), int(sample_rate / LOWEST_HZ) + 1)
    strength = power[:, lags] / np.maximum(power[:, :1], 1e-12) * (window_power[0] / window_power[lags])
    best = _first_strong_peak(strength)
    return power[:, 0], strength[np.arange(len(best)), best], sample_rate / _refined(strength, best, lags)


def median_pitch(
    samples: np.ndarray, sample_rate: int, on_progress: Callable[[float], object] = lambda share: None
) -> float:
    """Median fundamental frequency (hertz) of the voiced frames, 0 when there are none; otherwise as `pitch_track`."""
    track = pitch_track(samples, sample_rate, on_progress)
    return float(np.median(track[track > 0])) if (track > 0).any() else 0.0


def _autocorrelation(frames: np.ndarray, size: int) -> np.ndarray:
    spectrum = np.fft.rfft(frames, size)
    return np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:, : size // 2]


def _first_strong_peak(strength: np.ndarray) -> np.ndarray:
    """Index of the first local maximum that is nearly as strong as the strongest value."""
    inner = strength[:, 1:-1]
    peak = (inner >= strength[:, :-2]) & (inner >= strength[:, 2:])
    strong = peak & (inner >= OCTAVE_MARGIN * strength.max(axis=1, keepdims=True))
    return np.where(strong.any(axis=1), strong.argmax(axis=1) + 1, strength.argmax(axis=1))


def _refined(strength: np.ndarray, best: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Lags between samples, by a parabola through the peak and its neighbours."""
    rows, inside = np.arange(len(best)), best.clip(1, len(lags) - 2)
    left, top, right = (strength[rows, inside + shift] for shift in (-1, 0, 1))
    curvature = np.minimum(left - 2 * top + right, -1e-9)
    return lags[inside] + np.clip(0.5 * (left - right) / curvature, -0.5, 0.5)
