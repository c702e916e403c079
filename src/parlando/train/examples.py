"""What the language model is shown: sentences by named voices, by voices given as a clip, and by one of two speakers.

Every example comes from the prompt builder that inference uses; a batch is a pure function of its step number.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from parlando.core.errors import ConfigError
from parlando.core.types import Reference, Voice
from parlando.data.shards import UNKNOWN_PHONE
from parlando.models.higgs.delay import labels as delay_labels
from parlando.models.higgs.prompt import HiggsPromptBuilder, TrainingExample
from parlando.text.normalize import normalize
from parlando.train.tokens import Spoken, TokenCorpus

logger = logging.getLogger(__name__)
# What an example has besides its frames and words: roles, marks, descriptions, the delay's ramp.
EXAMPLE_POSITIONS = 40


@dataclass(frozen=True)
class MixConfig:
    """Shares of the kinds of example (the rest is a named voice alone) and how text is roughened."""

    descriptions: Mapping[str, str]
    speaker_weights: Mapping[str, float] = field(default_factory=dict)
    masculine: tuple[str, ...] = ()
    clone_share: float = 0.25
    two_speaker_share: float = 0.08
    gender_share: float = 0.3
    join_share: float = 0.25
    longest_join_frames: int = 190
    longest_reference_frames: int = 125
    spelled_example_share: float = 0.35
    spelled_word_share: float = 0.12
    tokens_per_batch: int = 2400
    candidates: int = 48


@dataclass(frozen=True)
class _Plan:
    kind: str
    target: Spoken
    other: Spoken | None
    cost: int


class ExampleSampler:
    """Draws batches of `TrainingExample` with their phone labels (int64 [frame]) from an encoded corpus."""

    def __init__(self, corpus: TokenCorpus, builder: HiggsPromptBuilder, config: MixConfig) -> None:
        self.corpus, self.builder, self.config = corpus, builder, config
        self._context = builder.config.context_length
        self.train = self._by_voice("train")
        self.validation = self._by_voice("validation")
        named = [voice for voice in self.train if voice.endswith("@1")]
        if not named:
            raise ConfigError("the encoded corpus has no utterance at its own speed, and short enough, to train on")
        weights = np.array([config.speaker_weights.get(v.split("@")[0], 1.0) for v in named])
        unknown = {voice.split("@")[0] for voice in named} - set(config.descriptions)
        if unknown:
            raise ConfigError(
                f"the mix describes no speaker named {', '.join(sorted(unknown))}; add to mix.descriptions"
            )
        self.named, self.weights = named, weights / weights.sum()
        self.cloneable = [voice for voice, spoken in self.train.items() if len(spoken) > 1]
        self._texts: dict[str, str] = {}

    def _by_voice(self, split: str) -> dict[str, list[Spoken]]:
        voices: dict[str, list[Spoken]] = defaultdict(list)
        mine = [spoken for spoken in self.corpus.utterances if spoken.split == split]
        for spoken in mine:
            if self._fits(spoken):
                voices[spoken.voice].append(spoken)
        left_out = len(mine) - sum(map(len, voices.values()))
        if left_out:
            logger.warning("left out %d %s utterances that do not fit %d positions", left_out, split, self._context)
        return dict(voices)

    def _fits(self, *spoken: Spoken) -> bool:
        """Whether an example of these cannot exceed the context, however many words are spelled."""
        return sum(s.frames + 2 * len(s.text) + EXAMPLE_POSITIONS for s in spoken) <= self._context

    def batch(self, step: int, rank: int = 0) -> list[tuple[TrainingExample, np.ndarray]]:
        """Examples of similar length, together about ``tokens_per_batch`` positions; every rank has its own."""
        generator = np.random.default_rng((29, step, rank))
        plans = sorted((self._plan(generator) for _ in range(self.config.candidates)), key=lambda plan: plan.cost)
        first = int(generator.integers(len(plans)))
        chosen, spent = [], 0
        for plan in plans[first:] + plans[:first][::-1]:
            chosen.append(plan)
            spent += plan.cost
            if spent >= self.config.tokens_per_batch:
                break
        return [self._build(plan, generator) for plan in chosen]

    def held_out(self, count: int = 40) -> list[tuple[TrainingExample, np.ndarray]]:
        """Named voices saying sentences that training never sees; the same ones every time.

        A corpus too small to keep any back shows one that training sees.
        """
        spoken = [s for voice in sorted(self.validation) if voice in self.named for s in self.validation[voice]]
        spoken = spoken or self.train[self.named[0]][:1]
        order = np.random.default_rng(3).permutation(len(spoken))[:count]
        return [self._build(_Plan("plain", spoken[i], None, 0), np.random.default_rng(0)) for i in order]

    def _plan(self, generator: np.random.Generator) -> _Plan:
        config, draw = self.config, generator.random()
        if draw < config.clone_share:
            return self._plan_clone(generator) or self._plan_named(generator, by_two=False)
        return self._plan_named(generator, by_two=draw < config.clone_share + config.two_speaker_share)

    def _plan_clone(self, generator: np.random.Generator) -> _Plan | None:
        if not self.cloneable:
            return None
        voice = self.train[self.cloneable[generator.integers(len(self.cloneable))]]
        target, other = (voice[i] for i in generator.choice(len(voice), 2, replace=False))
        too_long = other.frames > self.config.longest_reference_frames or not self._fits(target, other)
        if too_long or other.text == target.text:
            return None
        return _Plan("clone", target, other, self._cost(target) + self._cost(other))

    def _plan_named(self, generator: np.random.Generator, by_two: bool) -> _Plan:
        config = self.config
        voice = self.train[self.named[generator.choice(len(self.named), p=self.weights)]]
        target = voice[generator.integers(len(voice))]
        if by_two:
            return _Plan("two", target, None, self._cost(target) + 8)
        other = voice[generator.integers(len(voice))]
        short = target.frames + other.frames <= config.longest_join_frames and self._fits(target, other)
        if short and target.text[-1] in ".?!" and generator.random() < config.join_share:
            return _Plan("join", target, other, self._cost(target) + self._cost(other))
        return _Plan("plain", target, None, self._cost(target))

    @staticmethod
    def _cost(spoken: Spoken) -> int:
        return spoken.frames + len(spoken.text) + 20

    def _build(self, plan: _Plan, generator: np.random.Generator) -> tuple[TrainingExample, np.ndarray]:
        codes, labels = self.corpus.codes(plan.target), self.corpus.labels(plan.target)
        text, spell, builder = self._text(plan.target), self._speller(generator), self.builder
        if plan.kind == "clone" and plan.other is not None:
            reference = Reference(self._text(plan.other), self.corpus.codes(plan.other))
            example = builder.build_training(text, Voice("clone", references=(reference,)), codes, spell)
            return _learn_reference(example, self.corpus.labels(plan.other), labels)
        if plan.kind == "two":
            return self._two_speakers(plan.target, codes, generator, spell), labels
        if plan.kind == "join" and plan.other is not None:
            text = f"{text} {self._text(plan.other)}"
            codes = np.concatenate([codes, self.corpus.codes(plan.other)], axis=1)
            labels = np.concatenate([labels, self.corpus.labels(plan.other)])
        return builder.build_training(text, self._named(plan.target.speaker), codes, spell), labels

    def _named(self, speaker: str) -> Voice:
        return Voice(speaker, description=self.config.descriptions[speaker])

    def _two_speakers(
        self, target: Spoken, codes: np.ndarray, generator: np.random.Generator, spell: Callable[[str], bool] | None
    ) -> TrainingExample:
        """One of two described speakers talks; sometimes they are only called feminine and masculine."""
        others = [
            s
            for s in self.config.descriptions
            if (s in self.config.masculine) != (target.speaker in self.config.masculine)
        ]
        by_gender = generator.random() < self.config.gender_share
        partner = others[generator.integers(len(others))]
        place = int(target.speaker in self.config.masculine) if by_gender else int(generator.integers(2))
        pair = [self._named(s) for s in ((target.speaker, partner) if place == 0 else (partner, target.speaker))]
        voices = [Voice(v.name) for v in pair] if by_gender else pair
        return self.builder.build_training_dialogue([(place, self._text(target))], voices, codes, spell)

    def _text(self, spoken: Spoken) -> str:
        if spoken.id not in self._texts:
            self._texts[spoken.id] = normalize(spoken.text)
        return self._texts[spoken.id]

    def _speller(self, generator: np.random.Generator) -> Callable[[str], bool] | None:
        if generator.random() >= self.config.spelled_example_share:
            return None
        return lambda word: len(word) > 2 and generator.random() < self.config.spelled_word_share


def _learn_reference(
    example: TrainingExample, reference: np.ndarray, answer: np.ndarray
) -> tuple[TrainingExample, np.ndarray]:
    """Learn the reference turn too, it is speech after its text like any other; phone labels then cover both clips."""
    tail = example.prompt.codes.shape[1] + 1
    first = len(reference) + tail
    targets = example.labels.copy()
    targets[:first] = delay_labels(example.prompt.codes[:first].T).T
    between = np.full(tail, UNKNOWN_PHONE, dtype=answer.dtype)
    return replace(example, labels=targets), np.concatenate([reference, between, answer])
