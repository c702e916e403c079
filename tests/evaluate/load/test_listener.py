from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.evaluate.load.listener import Listener

RATE = 8000


def pcm(seconds, level=0.0):
    return np.full(round(seconds * RATE), level * 32767, "<i2").tobytes()


def test_it_plays_from_the_first_20_ms_and_hears_what_is_loud_when_it_is_played():
    listener = Listener(RATE)
    listener.hear(pcm(0.01), 1.0)
    listener.hear(pcm(0.49) + pcm(0.5, 0.5), 1.1)
    assert (listener.first_byte_seconds, listener.playable_seconds) == (1.0, 1.1)
    assert listener.audible_seconds == pytest.approx(1.6)
    assert listener.audio_seconds == pytest.approx(1.0)


def test_it_hears_at_once_what_comes_late():
    listener = Listener(RATE)
    listener.hear(pcm(0.1), 1.0)
    listener.hear(pcm(0.1, 0.5), 3.0)
    assert listener.audible_seconds == pytest.approx(3.0)
    assert (listener.gaps, listener.underrun_seconds) == (1, pytest.approx(1.9))


def test_silence_is_never_heard():
    listener = Listener(RATE)
    listener.hear(pcm(1.0, 0.001), 1.0)
    listener.hear(b"", 2.0)
    assert listener.audible_seconds is None


@given(st.lists(st.integers(1, 999), min_size=1, max_size=30))
def test_pieces_of_any_size_are_the_same_sound(sizes):
    data, whole, parts = pcm(0.3) + pcm(0.2, 0.5), Listener(RATE), Listener(RATE)
    whole.hear(data, 1.0)
    place = 0
    for size in sizes:
        parts.hear(data[place : place + size], 1.0)
        place += size
    parts.hear(data[place:], 1.0)
    assert parts.audio_seconds == pytest.approx(whole.audio_seconds)
    assert parts.audible_seconds == pytest.approx(whole.audible_seconds)
    assert parts.underrun_seconds == 0.0
