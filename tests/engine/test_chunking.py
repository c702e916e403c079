from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.core.errors import ConfigError
from parlando.core.types import Frame
from parlando.engine.chunking import Chunker, HopSchedule, chunked


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
