"""What a teacher promises: it says lines in a voice and tells where every phone ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from parlando.core.errors import ConfigError
from parlando.data.details import Details

Phones = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Line:
    """What is to be said: a text, its language, and how fast (1 is the voice's own tempo)."""

    text: str
    tempo: float = 1.0
    language: str = "en"


@dataclass(frozen=True)
class Spoken:
    """What a teacher said: mono samples, their rate, (phone, end in seconds) pairs, and what else it knows of them."""

    samples: np.ndarray
    sample_rate: int
    phones: Sequence[tuple[str, float]]
    details: Details | None = None


@dataclass(frozen=True)
class Unspoken:
    """Why a teacher did not say a line."""

    reason: str


@dataclass(frozen=True)
class Source:
    """Something that a corpus was made with, and under which licence it comes."""

    name: str
    licence: str
    origin: str


class Teacher(Protocol):
    """A program that speaks.

    It travels to worker processes, so it is small; whatever it loads, it loads where it first speaks.
    """

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def sources(self) -> Sequence[Source]:
        """What a corpus of it is made with."""
        ...

    @property
    def batch(self) -> int:
        """How many lines it is given at once: many where a call starts a program, few where a line takes seconds."""
        ...

    @property
    def voices(self) -> Collection[str]:
        """Names of the voices that it has, apart from those it can make."""
        ...

    def shares(self, language: str) -> str:
        """Voices and shares that a corpus of a language gets unless others are asked for."""
        ...

    def describe(self, voice: str) -> str:
        """What a voice is, in a few words."""
        ...

    def check(self, voice: str, language: str) -> None:
        """Refuse what it cannot speak, before any work.

        Raises:
            VoiceNotFoundError: it has no such voice.
            ConfigError: it does not speak the language.
            MissingDependencyError: something that it needs is not installed.
        """
        ...

    def prepare(self) -> None:
        """What is done once, before workers start.

        Raises:
            MissingDependencyError: something that it needs is not installed.
        """
        ...

    def sentences(self, lines: Iterable[str], language: str) -> Iterator[str]:
        """The sentences of some lines of text that it can say."""
        ...

    def speak(self, lines: Sequence[Line], voice: str) -> list[Spoken | Unspoken]:
        """Say every line, in order.

        Raises:
            VoiceNotFoundError: it has no such voice.
            MissingDependencyError: something that it needs is not installed.
        """
        ...


def refuse_language(teacher: str, language: str, known: Collection[str] = ("en",)) -> None:
    """Refuse a language that a teacher does not speak.

    Raises:
        ConfigError: it is not one of the known ones.
    """
    if language not in known:
        raise ConfigError(f"{teacher} does not speak '{language}'; it speaks: {', '.join(known)}")


def refuse_tempo(teacher: str, lines: Iterable[Line]) -> None:
    """Refuse another tempo than a teacher's own.

    Raises:
        ConfigError: a line has another.
    """
    if any(line.tempo != 1 for line in lines):
        raise ConfigError(f"{teacher} speaks at its own tempo only; leave the tempo out")
