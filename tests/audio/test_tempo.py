"""Tempo: the duration changes, the pitch stays, and how a stream is cut does not matter."""

from __future__ import annotations

import numpy as np
import pytest

from parlando.audio.tempo import StreamTempo
from parlando.core.errors import ConfigError

RATE = 24000


def tone(seconds=1.0, hertz=220.0):
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def changed(samples, speed, size):
    tempo = StreamTempo(RATE, speed)
    made = [tempo.feed(samples[start : start + size]) for start in range(0, len(samples), size)]
    return np.concatenate([*made, tempo.close()])


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.9, 1.0, 1.3, 2.0, 4.0])
def test_duration_follows_the_speed_and_pitch_and_level_stay(speed):
    made = changed(tone(), speed, 1000)
    assert len(made) == round(RATE / speed)
    spectrum = np.abs(np.fft.rfft(made * np.hanning(len(made))))
    assert np.fft.rfftfreq(len(made), 1 / RATE)[spectrum.argmax()] == pytest.approx(220, abs=8)
    middle = made[len(made) // 4 : len(made) // 2]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.354, abs=0.03)


@pytest.mark.parametrize("speed", [0.5, 1.7])
def test_any_chunking_gives_the_same_samples(speed):
    noise = np.random.default_rng(0).normal(0, 0.1, 9000).astype(np.float32)
    whole = changed(noise, speed, len(noise))
    for size in (1, 7, 480, 5000):
        if size > 1 or speed > 1:
            np.testing.assert_array_equal(changed(noise, speed, size), whole)


def test_an_empty_stream_stays_empty():
    assert len(StreamTempo(RATE, 2.0).close()) == 0


@pytest.mark.parametrize("speed", [0.0, 0.2, 4.1, float("nan"), -1.0])
def test_speeds_out_of_range_are_refused(speed):
    with pytest.raises(ConfigError, match="out of range"):
        StreamTempo(RATE, speed)
