"""The values that travel between stages; plain data, no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

IGNORED_LABEL = -100  # a place where nothing is to be predicted
WordSource = Literal["attention", "share"]
NOWHERE = -1  # the place in a text of what is not known to say any of it


@dataclass(frozen=True, slots=True)
class Frame:
    """One step of a token LM, as the sampler decided it and as the LM is fed it next.

    ``token`` is the text-vocabulary id of the position; ``codes`` holds one code per codebook, still in the
    family's own order of time (delayed, where it has a delay pattern), and is empty for a step that is only text.
    ``place`` is the token of the sentence that it says, counted from 0, where the LM tells: the n-th frame with a place
    is the n-th of the sound.
    """

    token: int
    codes: tuple[int, ...] = ()
    place: int = NOWHERE


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a sampler answers instead of a frame when that depends on something that has yet to arrive, such as text.

    Its request sits out until whoever consumes it has called ``fetch``, in its own thread and outside all locks: that
    may block, and what it raises is the consumer's. Then the sampler is asked again, with the same logits.
    """

    fetch: Callable[[], None]


@dataclass(frozen=True)
class SamplingOptions:
    """How frames are drawn. ``temperature`` 0 is greedy; ``None`` switches a filter off.

    ``repetition_window`` (frames) and ``repetition_limit`` (occurrences) are those of repetition-aware sampling
    (VALL-E 2, Chen et al., 2024). A model that tells where in its text it is may stay at one sound for ever; after
    ``patience_frames`` there, each frame is drawn from a wider choice than the last, until it goes on. Equal seeds give
    equal frames whatever else is in the batch, in float32; in half precision, products of other shapes round otherwise,
    so that frames may differ between one batch and another.
    """

    temperature: float = 0.7
    top_k: int | None = 50
    top_p: float | None = 0.95
    repetition_window: int | None = 7
    repetition_limit: int = 2
    patience_frames: int | None = None
    seed: int | None = None
    max_frames: int | None = None


@dataclass(frozen=True)
class Reference:
    """A clip of a voice and its transcript; ``codes`` is int64 [codebook, frame], not delayed.

    ``features`` are what else a model hears in it, by name (a mel, a speaker embedding), where codes are not enough.
    """

    text: str
    codes: np.ndarray
    features: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Voice:
    """Who speaks: a described voice the model knows by name, or one that follows its reference clips.

    ``instruction`` says in natural language how, to models that take one ("speak slowly", a dialect, a mood).
    ``display_name`` is what people are shown in place of ``name``, which is what they ask for. ``warning`` is what may
    be wrong with its recordings.
    """

    name: str
    description: str | None = None
    references: tuple[Reference, ...] = ()
    language: str = "en"
    scene: str | None = None
    instruction: str | None = None
    display_name: str | None = None
    warning: str = ""


@dataclass(frozen=True)
class Notation:
    """What a model understands in its text besides words.

    ``sounds`` stand alone (``laughter`` is ``[laughter]``), ``manners`` wrap words (``strong`` is
    ``<strong>…</strong>``), and with ``phones`` it reads ``{p aa0 r l aa1 n d ow0}`` as a word's pronunciation. Of a
    bare list it is given ``list_items`` at once, all of them if that is 0.
    """

    sounds: tuple[str, ...] = ()
    manners: tuple[str, ...] = ()
    phones: bool = False
    list_items: int = 0


@dataclass(frozen=True)
class Prompt:
    """What a token LM is prefilled with.

    ``tokens`` has one text-vocabulary id per position, audio placeholders already expanded to one per frame;
    ``audio_mask`` (bool [position]) marks those, and ``codes`` (int64 [audio position, codebook], delayed) fills them
    in order.
    ``sentence_positions`` are those of the sentence's tokens, from the first to behind the last, where they are known.
    ``expected_frames`` is the length prior for the audio to come, 0 where there is none. ``unread`` is the first word
    of the sentence that the model has no way to say, so that it is left out, in part or as a whole. The first
    ``voice_positions`` are the voice's, and the same for all that it says.
    """

    tokens: tuple[int, ...]
    audio_mask: np.ndarray
    codes: np.ndarray
    sentence: str = ""
    expected_frames: float = 0.0
    unread: str = ""
    voice_positions: int = 0
    sentence_positions: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def num_places(self) -> int:
        """How many tokens the sentence has, each a place that its speech comes to; 0 where they are not known."""
        first, behind = self.sentence_positions
        return behind - first

    def until(self, positions: int) -> Prompt:
        """The first so many positions, as a prompt."""
        mask = self.audio_mask[:positions]
        return replace(self, tokens=self.tokens[:positions], audio_mask=mask, codes=self.codes[: mask.sum()])


@dataclass(frozen=True, slots=True)
class Prefill:
    """A prompt for a row of a cache, which holds its first ``start`` positions already."""

    prompt: Prompt
    row: int
    start: int = 0


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of a sentence as it is read out: its characters there, and when it is heard, from the sentence's begin.

    ``source`` says how that is known: from the language model's ``attention``, or by the word's ``share`` of the time.
    """

    start: int
    stop: int
    start_seconds: float
    end_seconds: float
    source: WordSource

    def later(self, seconds: float) -> SpokenWord:
        """The same word so much later, but not before 0."""
        start, end = max(0.0, self.start_seconds + seconds), max(0.0, self.end_seconds + seconds)
        return replace(self, start_seconds=start, end_seconds=end)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text as it was given, its characters there, and when it is heard; ``source`` as of a `SpokenWord`."""

    text: str
    start: int
    stop: int
    start_seconds: float
    end_seconds: float
    source: WordSource


@dataclass(frozen=True)
class Timings:
    """Seconds from the call: ``first_audio`` to the first samples, ``total`` to the last."""

    first_audio_seconds: float
    total_seconds: float


@dataclass(frozen=True)
class SentenceReport:
    """Frames made, attempts used, why a sentence ended (``end``, ``length``, ``repetition``, ``silence``), and the
    positions of its prompt."""

    text: str
    frames: int
    attempts: int
    finish: str
    seed: int
    prompt_tokens: int = 0


@dataclass(frozen=True)
class GenerationReport:
    """The sentences of one request, in order."""

    sentences: tuple[SentenceReport, ...] = field(default_factory=tuple)
