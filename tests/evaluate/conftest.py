"""A speaker that needs no model: tones as long as the sentence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from parlando.audio.clip import Clip
from parlando.core.types import GenerationReport, SentenceReport, Timings
from parlando.result import Speech

SAMPLE_RATE = 8000
SECONDS_PER_CHARACTER = 0.02


def tone(seconds: float, level: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * 220 * time)).astype(np.float32)


@dataclass
class FakeSpeaker:
    """Says every text as a tone; ``slow`` texts take three times as long, ``endless`` ones never end by themselves."""

    slow: frozenset[str] = frozenset()
    endless: frozenset[str] = frozenset()
    calls: list[tuple[str, str | None, int | None]] = field(default_factory=list)

    def say(self, text: str, voice: str | None = None, *, seed: int | None = None) -> Speech:
        self.calls.append((text, voice, seed))
        seconds = SECONDS_PER_CHARACTER * len(text) * (3 if text in self.slow else 1)
        finish, attempts = ("length", 3) if text in self.endless else ("end", 1)
        part = SentenceReport(text, round(25 * seconds), attempts, finish, seed or 0)
        timings = Timings(0.01, seconds / 4)
        return Speech(
            tone(seconds), SAMPLE_RATE, text, voice or "default", seed or 0, timings, GenerationReport((part,))
        )


@pytest.fixture
def fake_speaker():
    return FakeSpeaker


@pytest.fixture
def clip_of():
    """A clip of a tone as long as the fake speaker takes for a text."""
    return lambda text: Clip(tone(SECONDS_PER_CHARACTER * len(text)), SAMPLE_RATE)
