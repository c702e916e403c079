from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.core.errors import ConfigError
from parlando.core.types import Frame
from parlando.engine.chunking import (
    LEAST_FRAMES,
    MOST_FIRST_FRAMES,
    Chunker,
    HopSchedule,
    chunked,
    first_frames,
)
from parlando.engine.playback import Playback


def frames(count):
    return [Frame(token) for token in range(count)]


@pytest.mark.parametrize(
    ("schedule", "sizes"),
    [
        (HopSchedule.fixed(1), [1, 1, 1, 1, 1, 1]),
        (HopSchedule.fixed(25), [25, 25, 25, 25, 25, 25]),
        (HopSchedule(2, 2.0, 25), [2, 4, 8, 16, 25, 25]),
        (HopSchedule(1, 1.5, 6), [1, 2, 3, 5, 6, 6]),
        (HopSchedule(3, 1e9, 50), [3, 50, 50, 50, 50, 50]),
        (HopSchedule(3, float("inf"), 50), [3, 50, 50, 50, 50, 50]),
    ],
)
def test_sizes(schedule, sizes):
    assert list(islice(schedule, 6)) == sizes
    assert list(islice(schedule, 6)) == sizes, "a schedule is a value: it starts anew each time"


@pytest.mark.parametrize("values", [(0, 2.0, 25), (26, 2.0, 25), (2, 0.5, 25), (2, float("nan"), 25)])
def test_an_impossible_schedule_is_refused(values):
    with pytest.raises(ConfigError, match="1 <= first <= largest and growth >= 1"):
        HopSchedule(*values)


def test_a_chunker_gives_a_chunk_with_the_frame_that_fills_it():
    chunker = Chunker(HopSchedule(1, 2.0, 4))
    given = [len(chunker.push(frame)) for frame in frames(8)]
    assert given == [1, 0, 2, 0, 0, 0, 4, 0]
    assert chunker.flush() == (Frame(7),)
    assert chunker.flush() == ()


@given(st.integers(0, 120), st.integers(1, 10), st.floats(1, 4), st.integers(10, 40))
def test_chunks_are_the_frames_in_order_and_only_the_last_is_final(count, first, growth, largest):
    schedule = HopSchedule(first, growth, largest)
    chunks = list(chunked(iter(frames(count)), schedule))
    assert [frame for chunk, _ in chunks for frame in chunk] == frames(count)
    assert [final for _, final in chunks] == [False] * (len(chunks) - 1) + [True]
    assert [len(chunk) for chunk, final in chunks if not final] == list(islice(schedule, len(chunks) - 1))


def test_no_chunk_waits_for_the_frame_after_it():
    seen = []
    source = (seen.append(frame) or frame for frame in frames(9))
    chunks = chunked(source, HopSchedule.fixed(3))
    assert next(chunks) == (tuple(frames(3)), False)
    assert len(seen) == 3
    assert list(chunks)[-1] == ((), True)


def chunk_sizes(step_seconds, frames=100, held_back=0, alone_until=0, silent_seconds=0.0):
    """How many frames sound with each chunk that a listener gets, and how long they wait in all.

    The model takes so long for a frame of 40 ms, and the decoder always keeps the last ``held_back``. Nothing else is
    to be done before frame ``alone_until``. The first ``silent_seconds`` are cut.
    """
    seconds, sizes, waited_seconds = [0.0], [], 0.0
    playback = Playback(clock=lambda: seconds[0], is_alone=lambda: index < alone_until)
    pushed = 0

    def frames_until(sounding):
        return sounding + held_back - min(pushed, held_back)

    chunker = Chunker(HopSchedule(), playback, 0.04, frames_until)
    for index in range(frames):
        seconds[0] += step_seconds
        if chunk := chunker.push(Frame(index)):
            waited_seconds += max(0.0, -playback.lead_seconds) if playback.begun else 0.0
            sounding = max(0, pushed + len(chunk) - held_back) - max(0, pushed - held_back)
            pushed += len(chunk)
            playback.hand_out(0.04 * sounding - silent_seconds)
            silent_seconds = max(0.0, silent_seconds - 0.04 * sounding)
            sizes.append(sounding)
    return sizes, waited_seconds


def test_an_idle_machine_starts_with_what_outlasts_a_stall_and_doubles():
    assert chunk_sizes(0.005)[0][:5] == [8, 8, 8, 16, 25]


@given(st.floats(0.001, 0.036))
def test_a_listener_never_waits_while_frames_come_in_real_time(step_seconds):
    sizes, waited_seconds = chunk_sizes(step_seconds)
    assert waited_seconds == 0.0
    assert sizes[0] <= 12


@pytest.mark.parametrize("held_back", [1, 10, 11, 40])
def test_what_a_decoder_holds_back_is_not_counted_as_heard(held_back):
    sizes, waited_seconds = chunk_sizes(0.03, held_back=held_back)
    assert sizes[0] == chunk_sizes(0.03)[0][0]
    assert waited_seconds == 0.0


def test_who_is_alone_on_a_fast_machine_begins_with_half_and_doubles():
    sizes, waited_seconds = chunk_sizes(0.002, held_back=10, alone_until=1000)
    assert sizes[:6] == [4, 4, 8, 16, 25, 25]
    assert waited_seconds == 0.0


def test_who_is_alone_on_a_slow_machine_begins_with_as_much_as_in_company():
    assert chunk_sizes(0.03, alone_until=1000)[0][0] == chunk_sizes(0.03)[0][0]


@given(st.floats(0.001, 0.036), st.integers(0, 100), st.integers(0, 10))
def test_a_listener_never_waits_when_others_come(step_seconds, alone_until, held_back):
    assert chunk_sizes(step_seconds, held_back=held_back, alone_until=alone_until)[1] == 0.0


@given(st.floats(0.001, 0.01), st.floats(0.0, 0.12))
def test_who_is_alone_never_waits_for_what_follows_a_silence_that_was_cut(step_seconds, silent_seconds):
    waited_seconds = chunk_sizes(step_seconds, held_back=10, alone_until=1000, silent_seconds=silent_seconds)[1]
    assert waited_seconds == 0.0


@given(st.floats(0.0, 0.1), st.floats(0.0, 0.1), st.booleans())
def test_the_slower_the_machine_the_more_sound_it_begins_with(pace_seconds, decode_seconds, alone):
    count = first_frames(0.04, pace_seconds, decode_seconds, alone)
    assert 3 <= count <= MOST_FIRST_FRAMES
    assert count <= first_frames(0.04, pace_seconds + 0.001, decode_seconds, alone)
    assert count <= first_frames(0.04, pace_seconds, decode_seconds + 0.001, alone)
    assert count <= first_frames(0.04, pace_seconds, decode_seconds, alone=False)
    needed_seconds = 4 * pace_seconds + (0.12 if alone else 0.3)
    assert count == MOST_FIRST_FRAMES or count * (0.04 - decode_seconds) >= needed_seconds


def test_a_model_far_too_slow_begins_with_more_and_not_without_end():
    assert chunk_sizes(0.2)[0][0] == 12


def test_who_is_late_is_not_fed_frame_by_frame():
    """One by one, frames cost the decoder several times as much, and a stream that is behind would stay so."""
    sizes, waited_seconds = chunk_sizes(0.06, frames=200)
    assert waited_seconds > 0
    assert min(sizes[:-1]) >= LEAST_FRAMES
    assert sizes.count(sizes[0]) > 3, "who ran out begins anew"
