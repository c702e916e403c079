"""Whisper (Radford et al., 2022) in a window as long as the clip: what faster-whisper fills up to half a minute."""

from __future__ import annotations

from typing import Any

import numpy as np

FRAMES_PER_SECOND = 100
LEAST_SECONDS, REST_SECONDS = 10.0, 1.0  # of a window, and of it behind the clip
MOST_COMPRESSION, LEAST_LOG_PROBABILITY = 2.4, -1.0  # Whisper's own signs of a text that it only repeats or guesses


def doubtful(segment: Any) -> bool:
    """Whether a segment of faster-whisper's looks repeated or guessed, and is worth a whole window."""
    repeats = segment.compression_ratio > MOST_COMPRESSION
    return bool(repeats or segment.avg_logprob < LEAST_LOG_PROBABILITY)


def hearing_clips(whisper: type) -> Any:
    """faster-whisper's ``WhisperModel``, with an encoder that hears no longer than the clip unless told to."""

    class HearingClips(whisper):
        whole_window = False

        def encode(self, features: np.ndarray) -> Any:
            return super().encode(features if self.whole_window else clip_window(features))

    return HearingClips


def clip_window(features: np.ndarray) -> np.ndarray:
    """The shorter window of a clip (float32 [mel, frame]) that was filled up with zeros: filled with quiet instead.

    In half a minute the zeros are known to Whisper as the end; in less they made twice as many errors.
    """
    filled = np.flatnonzero(features.any(axis=0))
    end = int(filled[-1]) + 1 if len(filled) else 0
    frames = max(end + round(REST_SECONDS * FRAMES_PER_SECOND), round(LEAST_SECONDS * FRAMES_PER_SECOND))
    window = np.array(features[:, :frames], order="C")
    window[:, end:] = window[:, :end].min(initial=0.0)
    return window
