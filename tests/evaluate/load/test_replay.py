"""A listener of every compressed format, fed by the project's own encoders at moments that are made up."""

from __future__ import annotations

import numpy as np
import pytest

from parlando.audio.containers import open_encoder
from parlando.evaluate.load.replay import CONTAINERS, TELEPHONY, replay

RATE, CHUNK_SECONDS, LATE_SECONDS = 24000, 0.5, 3.0


def pieces(format, late=0.0, rate=RATE):
    """Four seconds of a tone, every 0.1 s half a second of it; the second half ``late`` seconds later."""
    encoder = open_encoder(format, rate)
    wave = (0.3 * np.sin(2 * np.pi * 220 * np.arange(4 * rate) / rate)).astype(np.float32)
    size = round(CHUNK_SECONDS * rate)
    moments = [1.0 + 0.1 * index + (late if index >= 4 else 0.0) for index in range(8)]
    encoded = [encoder.feed(wave[index * size : (index + 1) * size]) for index in range(8)]
    encoded[-1] += encoder.close()
    return [(moment, data) for moment, data in zip(moments, encoded, strict=True) if data]


@pytest.mark.parametrize("format", CONTAINERS)
def test_a_compressed_stream_in_time_plays_through(format):
    listener = replay(pieces(format), format)
    assert (listener.first_byte_seconds, listener.playable_seconds) == (1.0, 1.0)
    assert listener.audio_seconds == pytest.approx(4.0, abs=0.1)
    assert listener.audible_seconds == pytest.approx(1.0, abs=0.15)
    assert (listener.gaps, listener.underrun_seconds) == (0, 0.0)


@pytest.mark.parametrize("format", CONTAINERS)
def test_a_compressed_stream_that_comes_late_stands_still_once(format):
    listener = replay(pieces(format, LATE_SECONDS), format)
    # What came first sounds for two seconds, but for what its encoder still held back.
    assert listener.gaps == 1
    assert listener.underrun_seconds == pytest.approx(0.4 + LATE_SECONDS - 2.0, abs=0.4)


@pytest.mark.parametrize("format", TELEPHONY)
def test_telephony_is_exact_to_the_sample(format):
    listener = replay(pieces(format, LATE_SECONDS, 8000), format, 8000)
    assert listener.audio_seconds == pytest.approx(4.0)
    assert (listener.gaps, listener.underrun_seconds) == (1, pytest.approx(0.4 + LATE_SECONDS - 2.0))


def test_the_rate_is_the_files_own():
    assert replay(pieces("mp3", rate=16000), "mp3").sample_rate == 16000


def test_what_is_no_such_stream_is_an_error_and_nothing_is_nothing():
    with pytest.raises(ValueError, match="no opus stream"):
        replay([(0.0, b"not at all" * 50)], "opus")
    assert replay([(0.0, b"not at all" * 50)], "flac").audio_seconds == 0.0
    assert replay([], "mp3").first_byte_seconds is None
