from __future__ import annotations

import random

import pytest

from parlando.core.errors import ConfigError
from parlando.core.types import Frame
from parlando.engine.guard import GuardLimits, RunawayGuard

ROOM = GuardLimits(length_factor=100)


def first_verdict(guard, codes):
    """(number of frames, verdict) at the first complaint."""
    for count, entry in enumerate(codes, start=1):
        if verdict := guard.check(Frame(0, entry)):
            return count, verdict
    return None


def speech(count, codebooks=4, seed=0):
    generator = random.Random(seed)
    return [tuple(generator.randrange(512) for _ in range(codebooks)) for _ in range(count)]


def test_twice_the_expected_length_and_a_margin_is_too_long():
    assert first_verdict(RunawayGuard(100.0), speech(300)) == (226, "length")


def test_without_a_length_prior_no_length_is_too_long():
    assert first_verdict(RunawayGuard(0.0), speech(2000)) is None


def test_one_frame_again_and_again_is_a_loop():
    codes = speech(10) + [(1, 2, 3, 4)] * 100
    assert first_verdict(RunawayGuard(100.0, ROOM), codes) == (40, "repetition")


@pytest.mark.parametrize(("period", "noticed_after"), [(2, 30), (7, 30), (12, 48), (25, 100)])
def test_a_longer_loop_is_noticed_after_four_rounds_and_30_frames(period, noticed_after):
    codes = speech(10) + speech(period, seed=1) * 60
    assert first_verdict(RunawayGuard(100.0, ROOM), codes) == (10 + noticed_after, "repetition")


def test_a_loop_longer_than_watched_is_left_to_the_length():
    codes = speech(26, seed=1) * 60
    assert first_verdict(RunawayGuard(100.0), codes) == (226, "length")


def test_a_held_sound_and_a_refrain_are_no_loops():
    codes = speech(10) + [(1, 2, 3, 4)] * 29 + speech(5, seed=2) + speech(20, seed=3) * 3 + speech(9, seed=4)
    assert first_verdict(RunawayGuard(100.0, ROOM), codes) is None


def test_a_loop_of_the_first_codebook_alone_when_asked():
    codes = [(7, *rest) for rest in speech(60, codebooks=3)]
    assert first_verdict(RunawayGuard(100.0), codes) is None
    assert first_verdict(RunawayGuard(100.0, GuardLimits(codebooks=1)), codes) == (30, "repetition")


def test_text_frames_loop_by_their_tokens():
    guard = RunawayGuard(0.0, GuardLimits(loop_frames=5))
    assert [guard.check(Frame(token)) for token in (1, 2, 3, 9, 9, 9, 9, 9)] == [None] * 7 + ["repetition"]


@pytest.mark.parametrize("values", [{"longest_loop_frames": 0}, {"loop_rounds": 1}, {"codebooks": 0}])
def test_impossible_limits_are_refused(values):
    with pytest.raises(ConfigError, match="at least"):
        GuardLimits(**values)
