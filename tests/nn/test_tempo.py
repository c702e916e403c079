"""Frames read at another tempo: any pieces equal the whole."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from parlando.nn.tempo import FrameTempo

SPEEDS = st.one_of(st.sampled_from([0.25, 0.5, 0.7, 1.0, 1.3, 2.0, 3.0, 4.0]), st.floats(0.25, 4.0))


def frames_of(count):
    return torch.randn(1, 3, count, generator=torch.Generator().manual_seed(count))


def in_pieces(frames, places, speed, ends_empty=False):
    tempo, ends = FrameTempo(speed), sorted({place % (frames.shape[2] + 1) for place in places})
    spans = list(itertools.pairwise([0, *ends, frames.shape[2]])) + [(frames.shape[2],) * 2] * ends_empty
    made = [tempo.push(frames[:, :, a:b], index == len(spans) - 1) for index, (a, b) in enumerate(spans)]
    return torch.cat(made, dim=2)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 70), st.lists(st.integers(0, 70), max_size=8), SPEEDS, st.booleans())
def test_any_pieces_equal_the_whole(count, places, speed, ends_empty):
    frames = frames_of(count)
    whole = FrameTempo(speed).push(frames, True)
    assert torch.equal(in_pieces(frames, places, speed, ends_empty), whole)
    assert whole.shape[2] == int(count / speed)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0, 4.0])
def test_frames_are_those_of_an_image_resized(speed):
    frames = frames_of(40)
    expected = functional.interpolate(frames, scale_factor=1 / speed, mode="linear", recompute_scale_factor=False)
    made = FrameTempo(speed).push(frames, True)
    assert made.shape == expected.shape
    assert (made - expected).abs().max() < 1e-5


def test_speed_1_is_the_identity_without_waiting():
    tempo, frames = FrameTempo(1.0), frames_of(5)
    assert tempo.push(frames, False) is frames
    assert tempo.push(frames[:, :, :0], True).shape == (1, 3, 0)


@pytest.mark.parametrize("speed", [0.25, 1.5, 4.0])
def test_it_waits_for_no_more_than_one_step_and_keeps_as_little(speed):
    tempo, made, most_held = FrameTempo(speed), 0, 0
    for count in range(1, 101):
        made += tempo.push(frames_of(1), False).shape[2]
        most_held = max(most_held, tempo._frames.shape[2])
        assert made >= math.floor((count - 1) / speed - 1)
    assert most_held <= math.ceil(speed) + 2
