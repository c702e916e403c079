"""Conversions at the numbers of the default model: 24 kHz, 25 frames per second, 960 samples per frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.core import units


def test_seconds_and_samples() -> None:
    assert units.samples_from_seconds(1.5, 24_000) == 36_000
    assert units.samples_from_seconds(0.00003, 24_000) == 1
    assert units.seconds_from_samples(36_000, 24_000) == 1.5


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (960, 1), (961, 2)])
def test_frames_cover_samples(samples: int, frames: int) -> None:
    assert units.frames_from_samples(samples, 960) == frames


@pytest.mark.parametrize(("seconds", "frames"), [(0.0, 0), (0.04, 1), (0.041, 2), (0.12, 3), (0.28, 7), (1.0, 25)])
def test_frames_cover_seconds(seconds: float, frames: int) -> None:
    assert units.frames_from_seconds(seconds, 25) == frames


@given(st.integers(0, 10**7), st.sampled_from([12.5, 25.0, 50.0]))
def test_frames_to_seconds_and_back(frames: int, frame_rate: float) -> None:
    assert units.frames_from_seconds(units.seconds_from_frames(frames, frame_rate), frame_rate) == frames


@given(st.integers(0, 10**9), st.sampled_from([320, 480, 960]))
def test_frames_to_samples_and_back(frames: int, samples_per_frame: int) -> None:
    assert units.frames_from_samples(units.samples_from_frames(frames, samples_per_frame), samples_per_frame) == frames
