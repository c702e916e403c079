"""A teacher's own pitch and energy, put on the points of a packed corpus's frames (one every 10 ms)."""

from __future__ import annotations

import numpy as np

from parlando.audio.pitch import HOP_SECONDS
from parlando.data.details import Details, Words

TRACKS = "tracks.f16"
HERTZ, ENERGY = 0, 1
"""Columns of a track."""


def points_in(frame_samples: int, sample_rate: int) -> int:
    """Points per frame."""
    return round(frame_samples / sample_rate / HOP_SECONDS)


def track_points(details: Details | None, first_seconds: float, points: int) -> np.ndarray:
    """Hertz and energy (float16 [point, 2]) from ``first_seconds`` on; NaN where nobody knows, 0 Hz where unvoiced."""
    result = np.full((points, 2), np.nan, np.float16)
    if details is not None:
        values = np.stack([details.hertz, details.energy], axis=1)
        places = np.floor((first_seconds + np.arange(points) * HOP_SECONDS) * details.track_rate + 1e-6).astype(int)
        known = (places >= 0) & (places < len(values))
        result[known] = values[places[known]]
        result[~known, HERTZ] = 0
    return result


def words_from(details: Details | None, first_seconds: float) -> Words:
    """(word, start, end) with times from ``first_seconds`` on."""
    found = details.words if details is not None else ()
    return tuple((word, round(start - first_seconds, 3), round(end - first_seconds, 3)) for word, start, end in found)
