"""What the CosyVoice language model is shown: sentences alone, after a clip of their voice, or after an instruction.

The model knows no voices, so a sentence alone is said in anybody's manner. Instructions are only about what the corpus
was measured for (`prosody`) or what is known of a speaker; a share of all examples is laid out as text that arrives
while it is spoken. Every example comes from the prompt builder that inference uses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from parlando.core.errors import ConfigError
from parlando.core.types import Reference, Voice
from parlando.data.shards import PHONES
from parlando.data.tokens import EncodedUtterance, TokenCorpus
from parlando.models.cosyvoice.prompt import CosyVoicePromptBuilder, TrainingExample, with_instruction
from parlando.models.cosyvoice.tokenizer import TAGS
from parlando.train.cosyvoice.prosody import Direction, Measure, Prosody
from parlando.train.shared.sentences import ExamplePlan, SentenceMix, SentenceSampler

LabelledExample = tuple[TrainingExample, np.ndarray]

PAUSE_TAG = "[breath]"
_IDLE_SOUNDS = tuple(tag for tag in TAGS if tag[0] == "[" and tag != PAUSE_TAG)
_MANNERS = tuple(tag[2:-1] for tag in TAGS if tag.startswith("</"))
_SILENCE = PHONES.index("pau")
_INNER_MARK = re.compile(r"[,;:.?!](?= )")
_UNITS_FOR_PACE = 12
_SOMEBODY = Voice("somebody")


@dataclass(frozen=True, kw_only=True)
class CosyVoiceMix(SentenceMix):
    """Shares of the kinds of example (the rest is a sentence alone) and the wordings of instructions.

    ``manners`` are wordings that fit all sentences of a speaker; of the instructed examples, ``manner_share`` have one,
    ``idle_share`` have a sentence of the corpus instead, to be read and not to be spoken, and the others a direction.
    Of all examples, ``tag_share`` have a tag that changes nothing put in, and ``pause_share`` a `PAUSE_TAG` instead of,
    or after, a mark at which the speaker pauses.
    """

    directions: tuple[Direction, ...] = ()
    manners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instruct_share: float = 0.25
    manner_share: float = 0.25
    idle_share: float = 0.08
    arriving_share: float = 0.5
    tag_share: float = 0.04
    pause_share: float = 0.08


class CosyVoiceExampleSampler(SentenceSampler[LabelledExample]):
    """Draws batches of `TrainingExample` with the phones of their codes (int64 [code]) from an encoded corpus."""

    def __init__(
        self,
        corpus: TokenCorpus,
        builder: CosyVoicePromptBuilder,
        config: CosyVoiceMix,
        prosodies: Mapping[str, Prosody] | None = None,
    ) -> None:
        """``prosodies`` of the utterances by name; directions about them need it.

        Raises:
            ConfigError: nothing is short enough to train on, or no sentence has what a direction is about.
        """
        self.builder, self.config, self._prosodies = builder, config, prosodies or {}
        super().__init__(corpus, builder.config.context_length, config)
        self._trained = [spoken for voice in self.train.values() for spoken in voice]
        self._ordered = {measure: self._order(measure) for measure in {each.by for each in config.directions}}
        self._mannered = [speaker for speaker in config.manners if f"{speaker}@1" in self.train]

    def held_out(self, count: int = 40, arriving: bool = False) -> list[LabelledExample]:
        """Sentences that training never sees, alone; the same ones every time.

        ``arriving``: laid out as text that arrives while it is spoken.
        """
        return [self._example(_SOMEBODY, plan, arriving) for plan in self._held_out_plans(count)]

    def _plan(self, generator: np.random.Generator) -> ExamplePlan:
        config, draw = self.config, generator.random()
        clone = self._plan_clone(generator) if draw < config.clone_share else None
        if clone:
            return clone
        if config.clone_share <= draw < config.clone_share + config.instruct_share and config.directions:
            target = self._trained[generator.integers(len(self._trained))]
            return ExamplePlan("instruct", target, None, self._cost(target) + 20)
        return self._plan_plain(*self._draw_named(generator), generator)

    def _build(self, plan: ExamplePlan, generator: np.random.Generator) -> LabelledExample:
        voice = _SOMEBODY
        if plan.kind == "clone" and plan.other is not None:
            reference = Reference(self._text(plan.other), self.corpus.codes(plan.other))
            voice = replace(voice, references=(reference,))
        if plan.kind == "instruct":
            plan, instruction = self._instruction(plan, generator)
            voice = with_instruction(voice, instruction)
        arriving = generator.random() < self.config.arriving_share
        return self._example(voice, plan, arriving, generator)

    def _example(
        self, voice: Voice, plan: ExamplePlan, arriving: bool, generator: np.random.Generator | None = None
    ) -> LabelledExample:
        """Of one plan; augmented if there is a generator."""
        text, codes, phones = self._said(plan)
        if generator is None:
            return self.builder.build_training(text, voice, codes, arriving), phones
        text = self._with_tags(text, phones, generator)
        example = self.builder.build_training(text, voice, codes, arriving, self._speller(generator))
        if plan.kind != "clone" or plan.other is None:
            return example, phones
        return _learn_reference(example), np.concatenate([self.corpus.labels(plan.other), phones])

    def _instruction(self, plan: ExamplePlan, generator: np.random.Generator) -> tuple[ExamplePlan, str]:
        """An instruction, and a plan with a sentence that follows it."""
        config, draw = self.config, generator.random()
        if draw < config.idle_share:
            idle = self._trained[generator.integers(len(self._trained))]
            return plan, " ".join(self._text(idle).split()[: int(generator.integers(2, 9))])
        if draw < config.idle_share + config.manner_share and self._mannered:
            speaker = self._mannered[generator.integers(len(self._mannered))]
            wordings = config.manners[speaker]
            voice = self.train[f"{speaker}@1"]
            target = voice[generator.integers(len(voice))]
            return ExamplePlan("instruct", target, None, plan.cost), wordings[generator.integers(len(wordings))]
        direction = config.directions[generator.integers(len(config.directions))]
        ordered, wordings = self._ordered[direction.by], direction.wordings
        first, last = (int(share * (len(ordered) - 1)) for share in (direction.least, direction.most))
        target = ordered[generator.integers(first, last + 1)]
        return ExamplePlan("instruct", target, None, plan.cost), wordings[generator.integers(len(wordings))]

    def _with_tags(self, text: str, phones: np.ndarray, generator: np.random.Generator) -> str:
        draw = generator.random()
        if draw < self.config.pause_share:
            return _mark_pause(text, phones, generator)
        if draw < self.config.pause_share + self.config.tag_share:
            return _add_idle_tag(text, generator)
        return text

    def _order(self, measure: Measure) -> list[EncodedUtterance]:
        """All sentences of some length in order, those with the least of a measure first."""
        measured = [(self._measure(spoken, measure), spoken) for spoken in self._trained]
        found = [(value, spoken) for value, spoken in measured if value is not None]
        if not found:
            raise ConfigError(
                f"no sentence has a {measure} to be asked for; name the packed corpus, with its pitch, by --corpus"
            )
        return [spoken for _, spoken in sorted(found, key=lambda each: each[0])]

    def _measure(self, spoken: EncodedUtterance, measure: Measure) -> float | None:
        if measure != "pace":
            # At another speed pitch and pace change together; they are to be asked for separately.
            prosody = self._prosodies.get(spoken.id) if spoken.speed == 1.0 else None
            return getattr(prosody, measure, None)
        units, _ = self.builder.tokenizer.measure(self._text(spoken))
        voiced = int((self.corpus.labels(spoken) != _SILENCE).sum())
        return units / voiced if units >= _UNITS_FOR_PACE and voiced else None


def _learn_reference(example: TrainingExample) -> TrainingExample:
    """Learn the clip before the sentence too: it is speech after its text like any other."""
    labels, prompt = example.labels.copy(), example.prompt
    labels[np.flatnonzero(prompt.audio_mask) - 1] = prompt.codes[:, 0]
    return replace(example, labels=labels)


def _mark_pause(text: str, phones: np.ndarray, generator: np.random.Generator) -> str:
    """The tag for a pause at a mark inside, if the speaker pauses at each of them and nowhere else."""
    marks = list(_INNER_MARK.finditer(text))
    if not marks or _count_pauses(phones) != len(marks):
        return text
    mark = marks[generator.integers(len(marks))]
    kept = "" if mark.group() == "," and generator.random() < 0.5 else mark.group()
    return f"{text[: mark.start()]}{kept} {PAUSE_TAG}{text[mark.end() :]}"


def _count_pauses(phones: np.ndarray) -> int:
    """Silences that have speech before and behind them."""
    silent = np.trim_zeros((phones != _SILENCE).astype(int))
    return int((np.diff(silent) < 0).sum())


def _add_idle_tag(text: str, generator: np.random.Generator) -> str:
    """A tag of which the corpus has no example, so that it is learned to change nothing."""
    words = text.split(" ")
    place = int(generator.integers(len(words)))
    number = int(generator.integers(len(_IDLE_SOUNDS) + len(_MANNERS)))
    if number < len(_IDLE_SOUNDS):
        words[place] = f"{words[place]} {_IDLE_SOUNDS[number]}"
    else:
        manner = _MANNERS[number - len(_IDLE_SOUNDS)]
        words[place] = f"<{manner}>{words[place]}</{manner}>"
    return " ".join(words)
