"""Sounds with known properties for the audio tests."""

from __future__ import annotations

import numpy as np

RATE = 24000


def tone(hertz: float, seconds: float, sample_rate: int = RATE, amplitude: float = 0.5) -> np.ndarray:
    """A sine, float32 [n]."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def silence(seconds: float, sample_rate: int = RATE) -> np.ndarray:
    """Digital silence, float32 [n]."""
    return np.zeros(round(seconds * sample_rate), dtype=np.float32)


def noise(seconds: float, sample_rate: int = RATE, amplitude: float = 0.001, seed: int = 0) -> np.ndarray:
    """White noise of that standard deviation, float32 [n]."""
    generator = np.random.default_rng(seed)
    return (amplitude * generator.standard_normal(round(seconds * sample_rate))).astype(np.float32)


def buzz(hertz: float, seconds: float, sample_rate: int = RATE, amplitude: float = 0.3) -> np.ndarray:
    """A voice-like sum of falling harmonics, smooth at both ends, float32 [n]."""
    wave = sum(tone(hertz * k, seconds, sample_rate, 1.0 / k) for k in range(1, 12))
    fade = np.minimum(1.0, np.arange(len(wave)) / (0.02 * sample_rate))
    shaped = wave * fade * fade[::-1]
    return (amplitude * shaped / np.abs(shaped).max()).astype(np.float32)


def babble(parts: list[tuple[float, float]], sample_rate: int = RATE) -> np.ndarray:
    """Voice-like stretches and the pauses after them: (speech seconds, pause seconds) pairs over faint noise."""
    pieces = [np.concatenate([buzz(150, s, sample_rate), silence(p, sample_rate)]) for s, p in parts]
    wave = np.concatenate(pieces)
    return wave + noise(len(wave) / sample_rate, sample_rate, 0.0005)
