"""Finding clicks where pieces of audio were joined badly."""

from __future__ import annotations

import numpy as np

CLICK_RATIO = 10.0
CLICK_FLOOR = 0.02
# A bad joint bends one or two samples; a plosive's burst is as sudden but goes on: so the surroundings start close by.
BLOCK_SAMPLES = 1 << 20
NEAR_SAMPLES = 2
AROUND_SECONDS = 0.001


def find_clicks(samples: np.ndarray, sample_rate: int) -> list[int]:
    """Positions (in samples) of jumps that the sound around them does not explain.

    A click is a second difference ten times the level of the second differences in the millisecond before and in
    the millisecond after it; clicks within that distance of each other count once, at the strongest.
    """
    wave = np.asarray(samples)
    if len(wave) < 3:
        return []
    around = max(NEAR_SAMPLES + 1, round(AROUND_SECONDS * sample_rate))
    reach, positions, strengths = NEAR_SAMPLES + around, [], []
    for start in range(0, len(wave) - 2, BLOCK_SAMPLES):
        before = min(start, reach)
        block = wave[start - before : start + BLOCK_SAMPLES + reach + 2].astype(np.float64)
        strength = _strength(block, around)[before : before + BLOCK_SAMPLES]
        strong = np.flatnonzero(strength > 1.0)
        positions.append(start + strong)
        strengths.append(strength[strong])
    return _strongest(np.concatenate(positions), np.concatenate(strengths), around)


def _strength(wave: np.ndarray, around: int) -> np.ndarray:
    """Each second difference over what it may be."""
    bends = np.abs(np.diff(wave, 2))
    level = np.sqrt(_mean_around(bends * bends, NEAR_SAMPLES, around))
    return bends / np.maximum(CLICK_RATIO * level, CLICK_FLOOR)


def _mean_around(power: np.ndarray, near: int, around: int) -> np.ndarray:
    """The larger of the mean power before and after each position, its nearest neighbours left out."""
    total = np.concatenate(([0.0], np.cumsum(power)))
    index = np.arange(len(power))

    def mean(start: np.ndarray, end: np.ndarray) -> np.ndarray:
        low, high = start.clip(0, len(power)), end.clip(0, len(power))
        return (total[high] - total[low]).clip(0) / np.maximum(high - low, 1)

    return np.maximum(mean(index - near - around, index - near), mean(index + near + 1, index + near + 1 + around))


def _strongest(positions: np.ndarray, strengths: np.ndarray, apart: int) -> list[int]:
    found: list[tuple[int, float]] = []
    for position, strength in zip(positions.tolist(), strengths.tolist(), strict=True):
        if found and position - found[-1][0] <= apart:
            if strength > found[-1][1]:
                found[-1] = (position, strength)
        else:
            found.append((position, strength))
    return [position + 1 for position, _ in found]
