"""The window that Whisper hears a short clip in."""

from __future__ import annotations

import numpy as np
import pytest

from parlando.audio.whisper_window import clip_window

MELS, WINDOW = 80, 3000


def window(frames):
    """Features of a clip of so many frames, filled up to a window."""
    features = np.zeros((MELS, WINDOW), np.float32)
    features[:, :frames] = 0.5
    features[3, :frames] = -0.9
    return features


@pytest.mark.parametrize(
    ("frames", "heard"), [(0, 1000), (200, 1000), (900, 1000), (901, 1001), (1200, 1300), (2950, 3000), (3000, 3000)]
)
def test_the_window_is_the_clip_and_a_second_of_quiet(frames, heard):
    whole = window(frames)
    made = clip_window(whole)
    assert made.shape == (MELS, heard)
    assert np.array_equal(made[:, :frames], whole[:, :frames])
    assert np.all(made[:, frames:] == (-0.9 if frames else 0.0))
    assert made.flags["C_CONTIGUOUS"]
