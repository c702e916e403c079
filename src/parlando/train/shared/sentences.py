"""Which sentences a language model is shown, whatever its family: examples planned over an encoded corpus, in batches.

What becomes of a plan is the family's; a batch is a pure function of its step number.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from parlando.core.errors import ConfigError
from parlando.data.tokens import EncodedUtterance, TokenCorpus
from parlando.text.normalize import normalize
from parlando.train.shared.batching import similar

logger = logging.getLogger(__name__)
# What an example has besides its frames and words: marks, roles, instructions, the delay's ramp.
EXAMPLE_POSITIONS = 40
LETTERS_AT_LEAST = 3

Example = TypeVar("Example")


@dataclass(frozen=True, kw_only=True)
class SentenceMix:
    """Shares of the kinds of example that all families have, sizes of batches, and how text is augmented.

    With ``pack`` nothing is computed for what pads the examples of a batch to one length.
    """

    speaker_weights: Mapping[str, float] = field(default_factory=dict)
    clone_share: float = 0.25
    join_share: float = 0.25
    longest_join_frames: int = 190
    longest_reference_frames: int = 125
    spelled_example_share: float = 0.35
    spelled_word_share: float = 0.12
    tokens_per_batch: int = 2400
    pack: bool = False
    candidates: int = 48


@dataclass(frozen=True)
class ExamplePlan:
    """An example to be built: its kind, what is said, and a second clip if there is one; about ``cost`` positions."""

    kind: str
    target: EncodedUtterance
    other: EncodedUtterance | None
    cost: int


class SentenceSampler(ABC, Generic[Example]):
    """Draws batches of examples of similar length."""

    def __init__(self, corpus: TokenCorpus, context_length: int, mix: SentenceMix) -> None:
        """Every example fits ``context_length`` positions, however many words are spelled.

        Raises:
            ConfigError: nothing in the corpus is short enough to train on.
        """
        self.corpus, self.mix, self._context = corpus, mix, context_length
        self.train = self._by_voice("train")
        self.validation = self._by_voice("validation")
        self.named = [voice for voice in self.train if voice.endswith("@1")]
        if not self.named:
            raise ConfigError("the encoded corpus has no utterance at its own speed, and short enough, to train on")
        weights = np.array([mix.speaker_weights.get(v.split("@")[0], 1.0) for v in self.named])
        self.weights = weights / weights.sum()
        self.cloneable = [voice for voice, spoken in self.train.items() if len(spoken) > 1]
        self._texts: dict[str, str] = {}

    def batch(self, number: int) -> list[Example]:
        """Examples of similar length, together about ``tokens_per_batch`` positions."""
        generator = np.random.default_rng((29, number))
        plans = [self._plan(generator) for _ in range(self.mix.candidates)]
        chosen = similar(plans, lambda plan: plan.cost, self.mix.tokens_per_batch, generator)
        return [self._build(plan, generator) for plan in chosen]

    def held_out(self, count: int = 40) -> list[Example]:
        """Named voices saying sentences that training never sees; the same ones every time.

        A corpus too small to keep any back shows one that training sees.
        """
        return [self._build(plan, np.random.default_rng(0)) for plan in self._held_out_plans(count)]

    def _held_out_plans(self, count: int) -> list[ExamplePlan]:
        spoken = [s for voice in sorted(self.validation) if voice in self.named for s in self.validation[voice]]
        spoken = spoken or self.train[self.named[0]][:1]
        order = np.random.default_rng(3).permutation(len(spoken))[:count]
        return [ExamplePlan("plain", spoken[i], None, 0) for i in order]

    @abstractmethod
    def _plan(self, generator: np.random.Generator) -> ExamplePlan:
        """Draw what the next example is."""

    @abstractmethod
    def _build(self, plan: ExamplePlan, generator: np.random.Generator) -> Example:
        """Make a planned example."""

    def _by_voice(self, split: str) -> dict[str, list[EncodedUtterance]]:
        voices: dict[str, list[EncodedUtterance]] = defaultdict(list)
        mine = [spoken for spoken in self.corpus.utterances if spoken.split == split]
        for spoken in mine:
            if self._fits(spoken):
                voices[spoken.voice].append(spoken)
        left_out = len(mine) - sum(map(len, voices.values()))
        if left_out:
            logger.warning("left out %d %s utterances that do not fit %d positions", left_out, split, self._context)
        return dict(voices)

    def _fits(self, *spoken: EncodedUtterance) -> bool:
        """Whether an example of these cannot exceed the context, however many words are spelled."""
        return sum(s.frames + 2 * len(s.text) + EXAMPLE_POSITIONS for s in spoken) <= self._context

    def _plan_clone(self, generator: np.random.Generator) -> ExamplePlan | None:
        """A sentence after another one of the same voice, unless the pair drawn is too long or says the same twice."""
        if not self.cloneable:
            return None
        voice = self.train[self.cloneable[generator.integers(len(self.cloneable))]]
        target, other = (voice[i] for i in generator.choice(len(voice), 2, replace=False))
        too_long = other.frames > self.mix.longest_reference_frames or not self._fits(target, other)
        if too_long or other.text == target.text:
            return None
        return ExamplePlan("clone", target, other, self._cost(target) + self._cost(other))

    def _draw_named(self, generator: np.random.Generator) -> tuple[list[EncodedUtterance], EncodedUtterance]:
        """A voice by the weights of speakers, and a sentence of it."""
        voice = self.train[self.named[generator.choice(len(self.named), p=self.weights)]]
        return voice, voice[generator.integers(len(voice))]

    def _plan_plain(
        self, voice: list[EncodedUtterance], target: EncodedUtterance, generator: np.random.Generator
    ) -> ExamplePlan:
        """A sentence alone, or two short ones in a row."""
        mix, other = self.mix, voice[generator.integers(len(voice))]
        short = target.frames + other.frames <= mix.longest_join_frames and self._fits(target, other)
        if short and target.text[-1] in ".?!" and generator.random() < mix.join_share:
            return ExamplePlan("join", target, other, self._cost(target) + self._cost(other))
        return ExamplePlan("plain", target, None, self._cost(target))

    @staticmethod
    def _cost(spoken: EncodedUtterance) -> int:
        return spoken.frames + len(spoken.text) + 20

    def _said(self, plan: ExamplePlan) -> tuple[str, np.ndarray, np.ndarray]:
        """Text, codes and phone labels of a plan; those of both clips if they are joined."""
        text, codes, labels = self._text(plan.target), self.corpus.codes(plan.target), self.corpus.labels(plan.target)
        if plan.kind == "join" and plan.other is not None:
            text = f"{text} {self._text(plan.other)}"
            codes = np.concatenate([codes, self.corpus.codes(plan.other)], axis=1)
            labels = np.concatenate([labels, self.corpus.labels(plan.other)])
        return text, codes, labels

    def _text(self, spoken: EncodedUtterance) -> str:
        if spoken.id not in self._texts:
            self._texts[spoken.id] = normalize(spoken.text)
        return self._texts[spoken.id]

    def _speller(self, generator: np.random.Generator) -> Callable[[str], bool] | None:
        """Which words of one example are read by letters; a word's answer stays the same however often it is asked."""
        if generator.random() >= self.mix.spelled_example_share:
            return None
        chosen: dict[str, bool] = {}

        def spell(word: str) -> bool:
            if word not in chosen:
                drawn = len(word) >= LETTERS_AT_LEAST and generator.random() < self.mix.spelled_word_share
                chosen[word] = bool(drawn)
            return chosen[word]

        return spell
