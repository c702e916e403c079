from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.engine.playback import NEWCOMER_SECONDS, UNENDED_SECONDS, Playback


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def test_the_first_sound_is_due_soon_and_the_next_when_it_was_played():
    clock = Clock()
    clock.seconds = 1.0
    playback = Playback(clock, expected_seconds=5.0)
    playback.begin_sentence()
    assert (playback.begun, playback.deadline_seconds) == (False, 1.0 + NEWCOMER_SECONDS)
    playback.hand_out(0.0)
    assert not playback.begun, "a chunk without samples begins nothing"
    clock.seconds = 3.0
    assert playback.lead_seconds == pytest.approx(NEWCOMER_SECONDS - 2.0), "the longer they wait, the more urgent"
    playback.hand_out(0.5)
    assert (playback.begun, playback.deadline_seconds, playback.lead_seconds) == (True, 3.5, 0.5)
    assert playback.remaining_seconds == 4.5


def test_more_is_to_come_until_it_is_over():
    playback = Playback(Clock(), expected_seconds=1.0)
    assert playback.remaining_seconds == 1.0
    playback.hand_out(9.0)
    assert playback.remaining_seconds == UNENDED_SECONDS, "it lasts longer than was expected"
    playback.over = True
    assert playback.remaining_seconds == 0.0


def test_who_takes_no_sound_misses_none():
    clock = Clock()
    playback = Playback(clock)
    playback.hand_out(1.0)
    clock.seconds = 0.5
    playback.hold()
    playback.hold()
    clock.seconds = 9.0
    assert playback.lead_seconds == math.inf
    playback.go_on()
    assert playback.lead_seconds == pytest.approx(0.5)


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 2)), min_size=1, max_size=20))
def test_the_lead_is_what_a_player_has_left(steps):
    """A player that is stepped by the millisecond would be too slow; between chunks it plays or waits."""
    clock = Clock()
    playback, left = Playback(clock), 0.0
    for index, (waited, sound) in enumerate(steps):
        clock.seconds += waited
        left = max(0.0, left - waited) if index else 0.0
        playback.hand_out(sound)
        left += sound
        assert playback.lead_seconds == pytest.approx(left)
    clock.seconds += left + 1
    assert playback.lead_seconds == pytest.approx(-1)


def test_the_next_decoding_takes_as_long_as_the_last():
    playback = Playback()
    assert playback.decode_seconds(10) == 0.0
    playback.decoded(4, 0.2)
    playback.decoded(0, 1.0)
    assert playback.decode_seconds(10) == pytest.approx(0.5)
    assert playback.decoded_frames == 4
    playback.begin_sentence()
    assert playback.decoded_frames == 0


@pytest.mark.parametrize(("alone", "hurries"), [(True, [True, False]), (False, [False, False])])
def test_who_is_alone_hurries_until_the_first_sound(alone, hurries):
    playback = Playback(Clock(), is_alone=lambda: alone)
    found = [playback.hurries]
    playback.hand_out(0.5)
    assert [*found, playback.hurries] == hurries
