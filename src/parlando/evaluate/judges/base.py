"""What a judge promises. Each carries a card: every score says by whom, in which version and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol, runtime_checkable

import numpy as np

from parlando.audio.clip import Clip
from parlando.audio.resample import resample

JUDGE_RATE = 16000
Setting = str | int | float | bool | None


@dataclass(frozen=True)
class Card:
    """Who judged: two scores are comparable when their judges' cards are equal."""

    name: str
    version: str
    settings: Mapping[str, Setting] = field(default_factory=dict)

    def __str__(self) -> str:
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return f"{self.name} {self.version}" + (f" ({settings})" if settings else "")


@dataclass(frozen=True)
class Event:
    """Something that is heard from ``start_seconds`` to ``end_seconds``: speech, singing, music, laughter …"""

    label: str
    start_seconds: float
    end_seconds: float


class Judge(Protocol):
    """Whatever scores audio."""

    @property
    def card(self) -> Card:
        """Name, version and settings."""
        ...


@runtime_checkable
class Asr(Judge, Protocol):
    """Writes down what is said."""

    def hear(self, clip: Clip, language: str) -> str:
        """The words of a clip in a language (``en``, ``zh`` …), as the recogniser writes them; may be empty."""
        ...


@dataclass(frozen=True)
class Word:
    """A word as it was heard, when, and how surely (0 to 1; 1 where nobody tells)."""

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float = 1.0


@runtime_checkable
class TimedAsr(Asr, Protocol):
    """Writes down what is said, and when."""

    def hear_words(self, clip: Clip, language: str) -> Sequence[Word]:
        """The words of a clip with their times."""
        ...


@runtime_checkable
class SpeakerEncoder(Judge, Protocol):
    """Tells voices apart."""

    def embed(self, clip: Clip) -> np.ndarray:
        """The voice of a clip, float32 [dim] of length 1; the dot product of two is their similarity."""
        ...


@runtime_checkable
class Mos(Judge, Protocol):
    """Predicts the mean opinion score of listeners."""

    def rate(self, clip: Clip) -> Mapping[str, float]:
        """Marks from 1 (bad) to 5 by aspect; ``mos`` is the overall one."""
        ...


@runtime_checkable
class Events(Judge, Protocol):
    """Hears what happens."""

    def events(self, clip: Clip) -> Sequence[Event]:
        """What happens in a clip, by time; events may overlap."""
        ...


@runtime_checkable
class EmotionEncoder(Judge, Protocol):
    """Hears how something is said."""

    def feel(self, clip: Clip) -> Feeling:
        """How a clip is said."""
        ...


@dataclass(frozen=True)
class Feeling:
    """An emotion as an embedding (float32 [dim], length 1) and as probabilities by name."""

    embedding: np.ndarray
    probabilities: Mapping[str, float]

    @property
    def label(self) -> str:
        """The likeliest emotion."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])


def at_judge_rate(clip: Clip) -> np.ndarray:
    """The samples (float32 [n]) at the 16 kHz that judges listen at."""
    return resample(clip.samples, clip.sample_rate, JUDGE_RATE)


def unit(vector: object) -> np.ndarray:
    """A vector as float32 [dim] of length 1."""
    flat = np.asarray(vector, dtype=np.float32).reshape(-1)
    return flat / max(float(np.linalg.norm(flat)), 1e-12)


def version_of(distribution: str) -> str:
    """The installed version of a distribution, or ``unknown``."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
