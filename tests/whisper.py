"""What passes for somebody's recording where a test only needs samples: a hiss that swells as syllables do."""

from __future__ import annotations

import numpy as np


def whisper(seconds: float, sample_rate: int = 24_000, seed: int = 0) -> np.ndarray:
    """Noise with three swells a second, float32 [n]; another one for every seed."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    hiss = np.random.default_rng(seed).normal(0, 0.1, len(time))
    return (hiss * (1 + np.sin(2 * np.pi * 3 * time))).astype(np.float32)
