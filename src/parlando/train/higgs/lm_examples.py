"""What the Higgs language model is shown: sentences by named voices, by voices given as a clip, by one of two speakers.

Every example comes from the prompt builder that inference uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from parlando.core.errors import ConfigError
from parlando.core.types import Reference, Voice
from parlando.data.shards import UNKNOWN_PHONE
from parlando.data.tokens import EncodedUtterance, TokenCorpus
from parlando.models.higgs.parts.delay import labels as delay_labels
from parlando.models.higgs.prompt import HiggsPromptBuilder, TrainingExample
from parlando.train.shared.sentences import ExamplePlan, SentenceMix, SentenceSampler

LabelledExample = tuple[TrainingExample, np.ndarray]


@dataclass(frozen=True)
class MixConfig(SentenceMix):
    """Shares of the kinds of example; the rest is a named voice alone."""

    descriptions: Mapping[str, str]
    masculine: tuple[str, ...] = ()
    two_speaker_share: float = 0.08
    gender_share: float = 0.3


class ExampleSampler(SentenceSampler[LabelledExample]):
    """Draws batches of `TrainingExample` with their phone labels (int64 [frame]) from an encoded corpus."""

    def __init__(self, corpus: TokenCorpus, builder: HiggsPromptBuilder, config: MixConfig) -> None:
        """Raises:
        ConfigError: nothing is short enough to train on, or a speaker has no description.
        """
        self.builder, self.config = builder, config
        super().__init__(corpus, builder.config.context_length, config)
        unknown = {voice.split("@")[0] for voice in self.named} - set(config.descriptions)
        if unknown:
            raise ConfigError(
                f"the mix describes no speaker named {', '.join(sorted(unknown))}; add to mix.descriptions"
            )

    def _plan(self, generator: np.random.Generator) -> ExamplePlan:
        config, draw = self.config, generator.random()
        clone = self._plan_clone(generator) if draw < config.clone_share else None
        if clone:
            return clone
        voice, target = self._draw_named(generator)
        is_pair = config.clone_share <= draw < config.clone_share + config.two_speaker_share
        if is_pair and self._partners(target.speaker):
            return ExamplePlan("two", target, None, self._cost(target) + 8)
        return self._plan_plain(voice, target, generator)

    def _build(self, plan: ExamplePlan, generator: np.random.Generator) -> LabelledExample:
        text, codes, labels = self._said(plan)
        spell, builder = self._speller(generator), self.builder
        if plan.kind == "clone" and plan.other is not None:
            reference = Reference(self._text(plan.other), self.corpus.codes(plan.other))
            example = builder.build_training(text, Voice("clone", references=(reference,)), codes, spell)
            return _learn_reference(example, self.corpus.labels(plan.other), labels)
        if plan.kind == "two":
            return self._two_speakers(plan.target, codes, generator, spell), labels
        return builder.build_training(text, self._named(plan.target.speaker), codes, spell), labels

    def _named(self, speaker: str) -> Voice:
        return Voice(speaker, description=self.config.descriptions[speaker])

    def _partners(self, speaker: str) -> list[str]:
        """Described speakers of the other gender; none where a corpus has one voice."""
        masculine = self.config.masculine
        return [other for other in self.config.descriptions if (other in masculine) != (speaker in masculine)]

    def _two_speakers(
        self,
        target: EncodedUtterance,
        codes: np.ndarray,
        generator: np.random.Generator,
        spell: Callable[[str], bool] | None,
    ) -> TrainingExample:
        """One of two described speakers talks; sometimes they are only called feminine and masculine."""
        others = self._partners(target.speaker)
        by_gender = generator.random() < self.config.gender_share
        partner = others[generator.integers(len(others))]
        place = int(target.speaker in self.config.masculine) if by_gender else int(generator.integers(2))
        pair = [self._named(s) for s in ((target.speaker, partner) if place == 0 else (partner, target.speaker))]
        voices = [Voice(v.name) for v in pair] if by_gender else pair
        return self.builder.build_training_dialogue([(place, self._text(target))], voices, codes, spell)


def _learn_reference(example: TrainingExample, reference: np.ndarray, answer: np.ndarray) -> LabelledExample:
    """Learn the reference turn too, it is speech after its text like any other; phone labels then cover both clips."""
    tail = example.prompt.codes.shape[1] + 1
    audio = np.flatnonzero(example.prompt.audio_mask)[: len(reference) + tail]
    targets = example.labels.copy()
    targets[audio - 1] = delay_labels(example.prompt.codes[: len(audio)].T).T
    between = np.full(tail, UNKNOWN_PHONE, dtype=answer.dtype)
    return replace(example, labels=targets), np.concatenate([reference, between, answer])
