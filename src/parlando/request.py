"""A request: everything that is decided of it before its first sentence."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import numpy as np

from parlando.audio.tempo import FASTEST, SLOWEST
from parlando.core.errors import ConfigError
from parlando.core.kinds import check_fields
from parlando.core.types import SamplingOptions, Voice
from parlando.engine.cancel import Cancellation
from parlando.engine.chunking import HopSchedule
from parlando.engine.guard import GuardLimits
from parlando.engine.playback import Playback
from parlando.text.reading import Reading
from parlando.text.user_lexicon import UserLexicon

GROWING = HopSchedule()
WHOLE_SENTENCES = HopSchedule.fixed(sys.maxsize)
MAX_SEED, SEED_LIMIT = 2**31, 2**63
LEAD_SILENCE_SECONDS = 0.01


@dataclass(frozen=True)
class Pauses:
    """Silence put between two sentences, and between two paragraphs; 0 is none."""

    sentence_seconds: float = 0.1
    paragraph_seconds: float = 0.5

    def __post_init__(self) -> None:
        check_fields(Pauses, vars(self), "pauses")

    def after(self, ends_paragraph: bool) -> float:
        """Seconds to wait after a sentence."""
        return self.paragraph_seconds if ends_paragraph else self.sentence_seconds


@dataclass(frozen=True)
class Retries:
    """When a sentence is given up and tried again with another seed.

    Besides what ``guard`` says of its frames: a silence longer than ``silence_seconds``, or an end before
    ``shortest_share`` of the expected length. ``attempts`` counts the first one; the last one is kept, without its
    silent tail.
    """

    attempts: int = 3
    silence_seconds: float = 1.5
    shortest_share: float = 0.4
    kept_tail_seconds: float = 0.1
    guard: GuardLimits = field(default_factory=GuardLimits)

    def __post_init__(self) -> None:
        check_fields(Retries, vars(self), "retries")


@dataclass(frozen=True, kw_only=True)
class SpeechOptions:
    """How to speak, whoever it is and whatever they say; ``cancellation`` ends it from another thread.

    With a ``playback``, somebody listens while it is made, and it takes its turns so that they do not run out. More
    silence than ``lead_silence_seconds`` before the first word is cut, up to half a second of it.
    """

    sampling: SamplingOptions
    seed: int
    schedule: HopSchedule = GROWING
    pauses: Pauses = field(default_factory=Pauses)
    retries: Retries = field(default_factory=Retries)
    speed: float = 1.0
    language: str | None = None
    lexicon: UserLexicon = field(default_factory=UserLexicon)
    instruction: str | None = None
    interleave: bool = True
    lead_silence_seconds: float = LEAD_SILENCE_SECONDS
    cancellation: Cancellation = field(default_factory=Cancellation)
    playback: Playback | None = None

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self), "options")
        check_speed(self.speed)
        if not 0 <= self.seed < SEED_LIMIT:
            raise ConfigError(
                f"options.seed: {self.seed} is out of range; use a whole number from 0 to {SEED_LIMIT - 1}"
            )
        if not self.lead_silence_seconds >= 0:
            raise ConfigError(
                f"options.lead_silence_seconds: {self.lead_silence_seconds} is out of range; use 0 or more seconds"
            )


@dataclass(frozen=True, kw_only=True)
class Request(SpeechOptions):
    """Everything that is decided before the first sentence: how, who speaks, and how the text is read."""

    voice: Voice
    reading: Reading


def check_speed(speed: float) -> None:
    """Refuse a tempo out of range.

    Raises:
        ConfigError: it is not from 0.25 to 4.
    """
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not SLOWEST <= speed <= FASTEST:
        raise ConfigError(f"options.speed: {speed!r} is out of range; use {SLOWEST:g} (slow) to {FASTEST:g} (fast)")


def derived_seed(seed: int, sentence: int, attempt: int) -> int:
    """The seed of one attempt: the request's own for the first attempt at the first sentence."""
    if sentence == 0 and attempt == 1:
        return seed
    return int(np.random.SeedSequence((seed, sentence, attempt)).generate_state(1)[0]) % MAX_SEED
