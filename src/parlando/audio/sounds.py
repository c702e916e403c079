"""Generated sounds and rooms: music, noise, short events, reverberation, a telephone. All is drawn from a generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

EVENT_PEAK = 0.5
TELEPHONE_HZ = (300.0, 3400.0)
MU = 255.0
EARLY_SECONDS = 0.002


def music(seconds: float, rate: int, generator: np.random.Generator) -> np.ndarray:
    """Chords of plucked strings over a bass."""
    wave = np.zeros(round(seconds * rate), np.float32)
    for beat in range(int(seconds * 2)):
        root = 110 * 2 ** (generator.choice([0, 3, 5, 7, 10]) / 12)
        for ratio in (1, 2, 2.52, 3, 4):
            start = beat * rate // 2
            time = np.arange(min(rate, len(wave) - start)) / rate
            harmonics = sum(np.sin(2 * np.pi * root * ratio * n * time) / n for n in range(1, 6))
            wave[start : start + len(time)] += (0.04 * harmonics * np.exp(-3 * time)).astype(np.float32)
    return wave.clip(-0.95, 0.95)


def noise(seconds: float, rate: int, generator: np.random.Generator) -> np.ndarray:
    """Noise of a drawn colour."""
    white = generator.standard_normal(round(seconds * rate))
    spectrum = np.fft.rfft(white) / np.maximum(np.arange(len(white) // 2 + 1), 1) ** generator.uniform(0, 1)
    wave = np.fft.irfft(spectrum, len(white))
    return (0.1 * wave / np.abs(wave).max()).astype(np.float32)


def _bell(time: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Partials of a struck bell, the higher ones gone the sooner."""
    tone = generator.uniform(350, 900)
    partials = ((0.5, 1.0), (1.0, 1.4), (1.2, 1.8), (2.0, 2.5), (2.7, 4.0), (4.1, 6.0))
    rings = [np.sin(2 * np.pi * tone * ratio * time) * np.exp(-decay * time) for ratio, decay in partials]
    return np.sum(rings, axis=0)


def _knock(time: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Some hollow strokes on wood."""
    wave, tone = np.zeros(len(time)), generator.uniform(120, 260)
    gap = generator.uniform(0.15, 0.3)
    for stroke in range(int(generator.integers(2, 5))):
        since = time - 0.02 - stroke * gap
        body = np.sin(2 * np.pi * tone * since) + 0.4 * generator.standard_normal(len(time))
        wave += np.where(since > 0, body * np.exp(-45 * np.maximum(since, 0)), 0.0)
    return wave


def _siren(time: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A tone that rises and falls."""
    middle, turns = generator.uniform(700, 1100), generator.uniform(0.8, 2.0)
    phase = 2 * np.pi * (middle * time - 0.3 * middle * np.cos(2 * np.pi * turns * time) / (2 * np.pi * turns))
    return np.sin(phase) + 0.3 * np.sin(2 * phase)


def _beep(time: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Pips of one tone."""
    tone, period = generator.uniform(900, 2200), generator.uniform(0.25, 0.5)
    return np.sin(2 * np.pi * tone * time) * (time % period < 0.5 * period)


def _applause(time: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Many claps of broad noise."""
    wave, rate = np.zeros(len(time)), 1 / (time[1] - time[0])
    clap = np.exp(-90 * np.arange(round(0.05 * rate)) / rate)
    for start in generator.integers(0, max(1, len(time) - len(clap)), round(35 * time[-1])):
        size = min(len(clap), len(time) - start)
        wave[start : start + size] += generator.uniform(0.3, 1) * generator.standard_normal(size) * clap[:size]
    return wave


_SHORT: Mapping[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "bell": _bell,
    "knock": _knock,
    "siren": _siren,
    "beep": _beep,
    "applause": _applause,
}
SHORT_EVENTS = tuple(_SHORT)


def event(name: str, seconds: float, rate: int, generator: np.random.Generator) -> np.ndarray:
    """One of `SHORT_EVENTS`, float32, with soft ends."""
    time = np.arange(round(seconds * rate)) / rate
    wave = _SHORT[name](time, generator)
    fade = np.minimum(1.0, np.minimum(time, time[-1] - time) / 0.01)
    return (EVENT_PEAK * fade * wave / max(float(np.abs(wave).max()), 1e-9)).astype(np.float32)


def reverberated(wave: np.ndarray, rate: int, decay_seconds: float, generator: np.random.Generator) -> np.ndarray:
    """In a room where sound falls by 60 dB in a time: the direct sound, and noise that dies away (Moorer, 1979)."""
    time = np.arange(round(decay_seconds * rate)) / rate
    tail = generator.standard_normal(len(time)) * 10 ** (-3 * time / decay_seconds) * (time > EARLY_SECONDS)
    tail *= generator.uniform(0.5, 1.1) / np.sqrt(np.square(tail).sum())
    tail[0] = 1.0
    size = _fast_size(len(wave) + len(tail))
    spectrum = np.fft.rfft(wave, size) * np.fft.rfft(tail, size)
    return np.fft.irfft(spectrum, size)[: len(wave)].astype(np.float32)


def by_telephone(wave: np.ndarray, rate: int) -> np.ndarray:
    """The band of a telephone, and its 8 bits by mu-law (G.711)."""
    size = _fast_size(len(wave))
    hertz = np.fft.rfftfreq(size, 1 / rate)
    low, high = TELEPHONE_HZ
    gain = 1 / np.sqrt((1 + (low / np.maximum(hertz, 1)) ** 8) * (1 + (hertz / high) ** 24))
    narrow = np.fft.irfft(np.fft.rfft(wave, size) * gain, size)[: len(wave)].clip(-1, 1)
    coded = np.round(127 * np.sign(narrow) * np.log1p(MU * np.abs(narrow)) / np.log1p(MU)) / 127
    return (np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(MU)) / MU).astype(np.float32)


def _fast_size(least: int) -> int:
    """A length that a Fourier transform is quick with: 2, 3 or 5 times a power of two."""
    powers = (factor << bits for factor in (1, 3, 5) for bits in range(max(1, least).bit_length() + 1))
    return min(size for size in powers if size >= least)
