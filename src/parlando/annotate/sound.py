"""Measures of a recording's sound that need no model: signal to noise, and how long a room rings."""

from __future__ import annotations

import numpy as np

from parlando.audio.silence import frame_levels

FRAME_SECONDS = 0.02
NOISE_SHARE, MOST_DECIBELS = 0.1, 60.0
DECAY_FRAMES, LEAST_FALL = 5, 10.0
"""A decay is so many frames that all fall, by so many decibels together."""
USUAL_QUANTILE = 0.25
"""Steady voices end slowly by themselves; the faster decays are the room's."""


def signal_to_noise(samples: np.ndarray, sample_rate: int) -> float:
    """Decibels between the mean power and that of the quietest tenth of the frames, 0 to 60.

    What is given must have pauses: without any, speech looks like its own noise.
    """
    levels = frame_levels(samples, round(FRAME_SECONDS * sample_rate))
    if not len(levels):
        return 0.0
    power = 10 ** (np.sort(levels) / 10)
    noise = power[: max(1, round(NOISE_SHARE * len(power)))].mean()
    return float(np.clip(10 * np.log10(max(power.mean() - noise, 1e-12) / max(noise, 1e-12)), 0.0, MOST_DECIBELS))


def decay_seconds(samples: np.ndarray, sample_rate: int) -> float | None:
    """How long sound takes to fall by 60 dB, by the slopes after loud frames; ``None`` where it never falls freely.

    A blind estimate: a dead room gives 0.1 to 0.3 s, a hall more than 0.6 s.
    """
    levels = frame_levels(samples, round(FRAME_SECONDS * sample_rate))
    if len(levels) <= DECAY_FRAMES:
        return None
    floor = np.sort(levels)[max(0, round(NOISE_SHARE * len(levels)) - 1)]
    runs = np.lib.stride_tricks.sliding_window_view(levels, DECAY_FRAMES + 1)
    steps = np.diff(runs, axis=1)
    fall = runs[:, 0] - runs[:, -1]
    free = (steps < 0).all(axis=1) & (fall >= LEAST_FALL) & (runs[:, -1] > floor)
    if not free.any():
        return None
    seconds = 60 / fall[free] * DECAY_FRAMES * FRAME_SECONDS
    return float(np.quantile(seconds, USUAL_QUANTILE))
