"""Judges that need no model: they hear what a test says, and tell voices apart by their pitch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from parlando.audio.clip import Clip
from parlando.evaluate.judges.base import Card, Feeling, Word, unit
from parlando.evaluate.suite.items import Item
from parlando.evaluate.suite.systems import Maker, Said

RATE = 8000
SECONDS_PER_WORD = 0.5


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> Clip:
    return Clip((0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32), rate)


def hertz_of(clip: Clip) -> float:
    return float(np.abs(np.fft.rfft(clip.samples)).argmax() / clip.duration_seconds)


class PitchAsr:
    """Hears ``words`` by the pitch of a clip, rounded to 10 hertz; fails where a word is an exception."""

    def __init__(self, words: Mapping[int, str | Exception]) -> None:
        self.words, self.calls = words, 0
        self.card = Card("pitch", "1", {"words": len(words)})

    def hear(self, clip: Clip, language: str) -> str:
        self.calls += 1
        answer = self.words[round(hertz_of(clip), -1)]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hear_words(self, clip: Clip, language: str) -> list[Word]:
        words = self.hear(clip, language).split()
        return [Word(w, i * SECONDS_PER_WORD, (i + 1) * SECONDS_PER_WORD) for i, w in enumerate(words)]


class PitchVoice:
    """A voice is where its pitch is between 0 and 1000 hertz, as an angle."""

    card = Card("pitch voice", "1")

    def embed(self, clip: Clip) -> np.ndarray:
        angle = hertz_of(clip) / 1000 * np.pi / 2
        return unit([np.cos(angle), np.sin(angle)])


class LoudMos:
    card = Card("loudness", "1")

    def rate(self, clip: Clip) -> dict[str, float]:
        return {"mos": 1 + 4 * float(np.abs(clip.samples).max()), "signal": 3.0}


class PitchFeeling:
    card = Card("pitch feeling", "1")

    def feel(self, clip: Clip) -> Feeling:
        angry = min(hertz_of(clip) / 1000, 1.0)
        return Feeling(PitchVoice().embed(clip), {"angry": angry, "neutral": 1 - angry})


class ToneSystem(Maker):
    """Says an item as a tone whose pitch a test chooses; fails where that is an exception."""

    def __init__(self, name: str, pitch: Callable[[Item], float | Exception], seconds: float = 1.0) -> None:
        self.name, self.identity = name, {"tone": name}
        self.pitch, self.seconds, self.asked = pitch, seconds, []

    def say(self, item: Item, seed: int) -> Said:
        self.asked.append((item.id, seed))
        answer = self.pitch(item)
        if isinstance(answer, Exception):
            raise answer
        return Said(tone(answer, self.seconds), 0.25, 0.125)
