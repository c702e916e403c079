"""What an annotation asks of the models it is given. The judges of `parlando eval` keep these promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from parlando.audio.clip import Clip
from parlando.text.answer import Answer


class Recogniser(Protocol):
    """Writes down what is said."""

    def hear(self, clip: Clip, language: str) -> str:
        """The words of a clip, as the recogniser writes them; may be empty."""
        ...


class HeardWord(Protocol):
    """A word as it was heard, when, and how surely (0 to 1)."""

    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def start_seconds(self) -> float: ...  # noqa: D102
    @property
    def end_seconds(self) -> float: ...  # noqa: D102
    @property
    def confidence(self) -> float: ...  # noqa: D102


@runtime_checkable
class TimedRecogniser(Recogniser, Protocol):
    """Writes down what is said, when, and how surely."""

    def hear_words(self, clip: Clip, language: str) -> Sequence[HeardWord]:
        """The words of a clip."""
        ...


class LanguageListener(Protocol):
    """Tells languages apart."""

    def languages(self, clip: Clip) -> Mapping[str, float]:
        """Probabilities of languages (``en``, ``zh`` …)."""
        ...


class VoiceEncoder(Protocol):
    """Tells voices apart."""

    def embed(self, clip: Clip) -> np.ndarray:
        """The voice of a clip, float32 [dim] of length 1."""
        ...


class OpinionPredictor(Protocol):
    """Predicts the marks that listeners would give."""

    def rate(self, clip: Clip) -> Mapping[str, float]:
        """Marks from 1 (bad) to 5 by aspect; ``mos`` is the overall one."""
        ...


class HeardEvent(Protocol):
    """Something that is heard from one time to another."""

    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def start_seconds(self) -> float: ...  # noqa: D102
    @property
    def end_seconds(self) -> float: ...  # noqa: D102


class EventDetector(Protocol):
    """Hears speech, singing, music and whatever else it has a label for."""

    def events(self, clip: Clip) -> Sequence[HeardEvent]:
        """What happens in a clip; events may overlap."""
        ...


class HeardFeeling(Protocol):
    """Emotions with their probabilities."""

    @property
    def probabilities(self) -> Mapping[str, float]: ...  # noqa: D102


class EmotionListener(Protocol):
    """Hears how something is said."""

    def feel(self, clip: Clip) -> HeardFeeling:
        """How a clip is said."""
        ...


class Understander(Protocol):
    """Hears everything at once: the place, events, speakers, words."""

    def understand(self, clip: Clip) -> Answer:
        """What is heard of a clip."""
        ...
