"""What is in an audio file, measured, and its picture: what ``parlando inspect`` shows."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from parlando.audio.check import clipped_share
from parlando.audio.clicks import find_clicks
from parlando.audio.clip import Clip, as_mono
from parlando.audio.draw import check_picture, draw_report
from parlando.audio.files import Source, describe_source, read_channels
from parlando.audio.loudness import integrated_loudness
from parlando.audio.pitch import median_pitch
from parlando.audio.report import AudioReport
from parlando.audio.silence import longest_pause_seconds, speech_spans

__all__ = ["AudioReport", "bandwidth", "check_picture", "draw_report", "inspect_audio"]

SPECTRUM_SAMPLES = 2048
BANDWIDTH_DECIBELS = 60.0
PITCH_SHARE, CLICKS_SHARE = 0.6, 0.2
"""Of the work that a long file is."""


def inspect_audio(source: Source, on_progress: Callable[[float], object] = lambda share: None) -> AudioReport:
    """Measure a file; errors as for `parlando.audio.files.read_audio`.

    ``on_progress`` is told the share of the work that is done, 0 to 1, now and then.
    """
    wave, rate = read_channels(source)
    mono = as_mono(wave, describe_source(source))
    pitch_hz = median_pitch(mono, rate, lambda share: on_progress(PITCH_SHARE * share))
    clicks = tuple(find_clicks(mono, rate))
    on_progress(PITCH_SHARE + CLICKS_SHARE)
    return AudioReport(
        name=describe_source(source).strip("'"),
        clip=Clip(mono, rate),
        channels=wave.shape[1],
        loudness_lufs=integrated_loudness(mono, rate),
        peak_dbfs=_decibels(float(np.abs(wave).max())),
        clipped_share=clipped_share(wave),
        speech=tuple(speech_spans(mono, rate)),
        longest_pause_seconds=longest_pause_seconds(mono, rate),
        clicks=clicks,
        pitch_hz=pitch_hz,
        bandwidth_hz=bandwidth(mono, rate),
    )


def bandwidth(samples: np.ndarray, sample_rate: int) -> float:
    """The highest frequency (hertz) whose average power is within 60 dB of the strongest; 0 for silence."""
    size = min(SPECTRUM_SAMPLES, len(samples))
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(samples, dtype=np.float64), size)[:: max(1, size // 2)]
    power = np.zeros(size // 2 + 1)
    for frame in frames:
        power += np.abs(np.fft.rfft(frame * np.hanning(size))) ** 2
    if not power.any():
        return 0.0
    present = np.flatnonzero(power > power.max() * 10 ** (-BANDWIDTH_DECIBELS / 10))
    return float(present[-1] * sample_rate / size)


def _decibels(amplitude: float) -> float:
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf
