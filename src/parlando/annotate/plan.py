"""The steps of an annotation, in order, for settings and the models there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from parlando.annotate.config import AnnotateConfig
from parlando.annotate.filters import Screen, Select
from parlando.annotate.models import (
    EmotionListener,
    EventDetector,
    LanguageListener,
    OpinionPredictor,
    Understander,
    VoiceEncoder,
)
from parlando.annotate.step import Lazy, Step
from parlando.annotate.steps.clip import WriteClip
from parlando.annotate.steps.cut import Cut
from parlando.annotate.steps.decode import Decode
from parlando.annotate.steps.events import Events
from parlando.annotate.steps.language import Languages
from parlando.annotate.steps.manner import Describe, Emotions, Manner
from parlando.annotate.steps.quality import Quality
from parlando.annotate.steps.speakers import Speakers
from parlando.annotate.steps.speech import FindSpeech
from parlando.annotate.steps.times import Aligner, WordTimes
from parlando.annotate.steps.transcribe import Listener, Transcribe
from parlando.annotate.steps.understand import Understand
from parlando.core.errors import ConfigError


@dataclass(frozen=True)
class Models:
    """Who is asked; what nobody is there for is left out, words and voices apart."""

    recognisers: tuple[Listener, ...]
    speakers: Lazy[VoiceEncoder]
    events: Lazy[EventDetector] | None = None
    language: Lazy[LanguageListener] | None = None
    mos: Lazy[OpinionPredictor] | None = None
    emotion: Lazy[EmotionListener] | None = None
    aligner: Lazy[Aligner] | None = None
    understanding: Lazy[Understander] | None = None


def steps_of(config: AnnotateConfig, models: Models) -> tuple[Step, ...]:
    """The steps.

    Raises:
        ConfigError: there is no recogniser.
    """
    if not models.recognisers:
        raise ConfigError("nobody is there to write down what is said; name a recogniser: --asr whisper:base")
    return (*_on_recordings(config, models), *_on_segments(config, models))


def _on_recordings(config: AnnotateConfig, models: Models) -> Iterator[Step]:
    yield Decode(config.sample_rate)
    if models.events is not None:
        yield Events(models.events)
    yield FindSpeech()
    yield Speakers(models.speakers, config.speakers)
    if models.language is not None:
        yield Languages(models.language)
    yield Cut(config.cut)


def _on_segments(config: AnnotateConfig, models: Models) -> Iterator[Step]:
    """What is cheap comes before what is not, and a filter between them."""
    yield Quality(models.mos, config.loudness_lufs)
    yield Screen(config.filters.sound, config.languages)
    yield Transcribe(models.recognisers, config.languages[0], config.votes)
    yield Manner()
    yield Select(config.filters.text)
    yield WordTimes(models.aligner)
    if models.emotion is not None:
        yield Emotions(models.emotion)
    if models.understanding is not None:
        yield Understand(models.understanding)
    yield Describe()
    yield WriteClip(config.format)
