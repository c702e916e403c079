"""What conversation tests are made of: something like speech, a recogniser that needs no ears, minds that fail."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np

from parlando.converse.echo import WrittenReply


def vowels(seconds, sample_rate=24_000, pitch_hz=130.0, level=0.3):
    """Harmonics of a gliding pitch that swell four times a second: what a detector takes for a voice; float32 [n]."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * time))) / sample_rate
    wave = sum(np.sin(n * phase) / n for n in range(1, int(0.4 * sample_rate / pitch_hz / 1.2)))
    return (level * wave * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * time - 1.5)) / 2).astype(np.float32)


def silence(seconds, sample_rate=24_000, seed=0):
    """A quiet room."""
    return np.random.default_rng(seed).normal(0, 1e-4, round(seconds * sample_rate)).astype(np.float32)


def question(seconds=1.2, sample_rate=24_000, **voice):
    """A turn between silences."""
    rest = silence(0.6, sample_rate)
    return np.concatenate([rest, vowels(seconds, sample_rate, **voice), rest, rest])


class Ears:
    """Hears what it was told to, in turn; the last one again and again."""

    def __init__(self, *heard, failure=None):
        self.heard, self.failure, self.clips = list(heard) or ["What is the time?"], failure, []

    def hear(self, clip, language):
        self.clips.append((clip, language))
        if self.failure is not None:
            raise self.failure
        return self.heard.pop(0) if len(self.heard) > 1 else self.heard[0]


class Mind:
    """Answers with these pieces; keeps what it was told."""

    def __init__(self, *pieces):
        self.pieces, self.asked = pieces or ("It is ", "noon."), []

    def reply(self, messages):
        self.asked.append([*messages])
        return WrittenReply(iter(self.pieces))


class HangingMind:
    """Says ``pieces``, and then nothing until it is cancelled; ``left`` is set when its thread ends."""

    def __init__(self, *pieces):
        self.pieces, self.left = pieces, threading.Event()

    def reply(self, messages):
        gone = threading.Event()

        def written():
            yield from self.pieces
            gone.wait()
            self.left.set()

        return SimpleIterable(written, gone.set)


class DyingMind:
    """Says ``pieces``, and then breaks."""

    def __init__(self, *pieces):
        self.pieces = pieces

    def reply(self, messages):
        def written():
            yield from self.pieces
            raise RuntimeError("out of memory")

        return SimpleIterable(written, lambda: None)


class SimpleIterable(SimpleNamespace):
    """A reply of a generator function."""

    def __init__(self, written, cancel):
        super().__init__(written=written, cancel=cancel)

    def __iter__(self):
        return self.written()
