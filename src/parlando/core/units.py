"""Conversions between seconds, samples and frames; the only place where one becomes another."""

from __future__ import annotations

import math


def samples_from_seconds(seconds: float, sample_rate: int) -> int:
    """The nearest number of samples."""
    return round(seconds * sample_rate)


def seconds_from_samples(samples: int, sample_rate: int) -> float:
    """The duration of some samples."""
    return samples / sample_rate


def samples_from_frames(frames: int, samples_per_frame: int) -> int:
    """The samples that whole frames decode to."""
    return frames * samples_per_frame


def frames_from_samples(samples: int, samples_per_frame: int) -> int:
    """The frames that cover some samples; the last may be filled only in part."""
    return -(-samples // samples_per_frame)


def seconds_from_frames(frames: float, frame_rate: float) -> float:
    """The duration of some frames."""
    return frames / frame_rate


def frames_from_seconds(seconds: float, frame_rate: float) -> int:
    """The frames that cover a duration; a rounding error of a millionth of a frame adds none."""
    return math.ceil(seconds * frame_rate - 1e-6)
