"""What the flow is shown: codes, mel and speaker of utterances, alone or several of one voice in a row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from parlando.audio.fbank import MirroredMel
from parlando.core.errors import ConfigError
from parlando.data.shards import PackedCorpus
from parlando.data.tokens import EncodedUtterance, TokenCorpus, heard_at_speed
from parlando.models.cosyvoice.parts.features import flow_mel_config
from parlando.models.cosyvoice.parts.flow import FlowPrompt
from parlando.models.cosyvoice.parts.flow_training import FlowExamples
from parlando.train.shared.batching import similar


@dataclass(frozen=True)
class FlowMixConfig:
    """How batches are put together.

    A ``join_share`` of the examples are several utterances of one voice in a row, together at most ``longest_tokens``:
    what is spoken follows a prompt that is another utterance. A ``other_share`` has the speaker embedding of another
    utterance of its voice, so that an embedding says who speaks and not what. A ``resampled_share`` of them has the
    codes of a resampled corpus (`resample_tokens`), so that a language model's misses are known here.
    """

    speaker_weights: Mapping[str, float] = field(default_factory=dict)
    tokens_per_batch: int = 600
    candidates: int = 24
    join_share: float = 0.3
    longest_tokens: int = 350
    other_share: float = 0.5
    resampled_share: float = 0.0


class FlowSampler:
    """Draws batches from an encoded corpus, the packed one that it was encoded from, and a resampled one.

    Raises:
        ConfigError: the codes came without speaker embeddings, there is nothing to train on, or ``resampled`` is
            missing, or of another corpus.
    """

    def __init__(
        self, corpus: PackedCorpus, tokens: TokenCorpus, config: FlowMixConfig, resampled: TokenCorpus | None = None
    ) -> None:
        if config.resampled_share and resampled is None:
            raise ConfigError(
                "train.mix.resampled_share: name the resampled codes by --resampled; see: parlando data resample-tokens"
            )
        if resampled is not None and resampled.utterances != tokens.utterances:
            raise ConfigError(f"'{resampled.folder}' was not resampled from '{tokens.folder}'; resample it again")
        self.corpus, self.tokens, self.config, self.resampled = corpus, tokens, config, resampled
        self.entries = {entry.id: entry for entry in corpus.entries}
        self.embeddings = tokens.speakers
        self.number = {id(spoken): number for number, spoken in enumerate(tokens.utterances)}
        self.mel = MirroredMel(flow_mel_config())
        self.voices: Mapping[str, list[EncodedUtterance]] = defaultdict(list)
        self.train, self.validation = self._split("train"), self._split("validation")
        if not self.train:
            raise ConfigError(f"'{tokens.folder}' holds no utterance of at most {config.longest_tokens} tokens")
        for spoken in self.train:
            self.voices[spoken.voice].append(spoken)
        weights = np.array([spoken.frames * self.weight(spoken) for spoken in self.train], dtype=float)
        self.cumulative = np.cumsum(weights / weights.sum())

    @property
    def speaker_dim(self) -> int:
        """Length of a speaker embedding."""
        return self.embeddings.shape[1]

    def weight(self, spoken: EncodedUtterance) -> float:
        """How often a token of the utterance's speaker is drawn."""
        return self.config.speaker_weights.get(spoken.speaker, 1.0)

    def batch(self, number: int) -> FlowExamples:
        """Examples of similar length, together about ``tokens_per_batch`` tokens."""
        generator = np.random.default_rng((41, number))
        plans = [self._plan(generator) for _ in range(self.config.candidates)]
        chosen = similar(plans, _length, self.config.tokens_per_batch, generator)
        return self._examples(chosen, generator)

    def held_out(self, count: int) -> FlowExamples:
        """The same utterances every time, of sentences that training never sees (if any are kept back)."""
        generator = np.random.default_rng(43)
        spoken = self.validation or self.train[:1]
        picks = generator.permutation(len(spoken))[:count]
        return self._examples([[spoken[i]] for i in picks], generator)

    def continuations(self, count: int) -> list[tuple[FlowPrompt, list[int], Float[Tensor, "frame bin"]]]:
        """Held-out utterances as inference meets them: another of the voice as the prompt, the tokens, and the mel."""
        generator = np.random.default_rng(47)
        targets = self.validation or self.train[:1]
        picks = [targets[i] for i in generator.permutation(len(targets))[:count]]
        return [(self.prompt(spoken, generator), *self._heard(spoken)) for spoken in picks]

    def prompt(self, spoken: EncodedUtterance, generator: np.random.Generator) -> FlowPrompt:
        """Another utterance of the voice, or this one where it has no other."""
        others = self.voices.get(spoken.voice) or [spoken]
        other = others[int(generator.integers(len(others)))]
        codes, mel = self._heard(other)
        return FlowPrompt(torch.tensor(codes), mel, self._embedding(other))

    def _heard(self, spoken: EncodedUtterance) -> tuple[list[int], Float[Tensor, "frame bin"]]:
        """Tokens and mel of one utterance."""
        return self.tokens.codes(spoken)[0].tolist(), self._mel(spoken)

    def _split(self, split: str) -> list[EncodedUtterance]:
        longest = self.config.longest_tokens
        return [s for s in self.tokens.utterances if s.split == split and 1 < s.frames <= longest]

    def _plan(self, generator: np.random.Generator) -> list[EncodedUtterance]:
        drawn = int(np.searchsorted(self.cumulative, generator.random()))
        plan = [self.train[min(drawn, len(self.train) - 1)]]
        if generator.random() < self.config.join_share:
            most = generator.uniform(plan[0].frames, self.config.longest_tokens)
            voice = self.voices[plan[0].voice]
            while True:
                other = voice[int(generator.integers(len(voice)))]
                if _length([*plan, other]) > most:
                    break
                plan.append(other)
        return plan

    def _examples(self, plans: Sequence[list[EncodedUtterance]], generator: np.random.Generator) -> FlowExamples:
        codes = [np.concatenate([self.said(spoken, generator) for spoken in plan]) for plan in plans]
        mels = [torch.cat([self._mel(spoken) for spoken in plan]) for plan in plans]
        return FlowExamples(
            pad_sequence([torch.from_numpy(row) for row in codes], batch_first=True),
            torch.tensor([len(row) for row in codes]),
            pad_sequence(mels, batch_first=True),
            torch.stack([self._speaker(plan[-1], generator) for plan in plans]),
        )

    def said(self, spoken: EncodedUtterance, generator: np.random.Generator) -> np.ndarray:
        """Codes of an utterance: its own, or for training also what a language model says in their place."""
        if self.resampled is None or spoken.split != "train" or generator.random() >= self.config.resampled_share:
            return self.tokens.codes(spoken)[0]
        return self.resampled.codes(spoken)[0]

    def _mel(self, spoken: EncodedUtterance) -> Float[Tensor, "frame bin"]:
        """The mel of an utterance as it was encoded."""
        wave, _ = heard_at_speed(self.corpus, self.entries[spoken.id], spoken.speed)
        samples = spoken.frames * self.corpus.config.frame_samples
        return self.mel(torch.from_numpy(wave[:samples])[None])[0].T

    def _speaker(self, spoken: EncodedUtterance, generator: np.random.Generator) -> Float[Tensor, " dim"]:
        voice = self.voices.get(spoken.voice)
        if voice and generator.random() < self.config.other_share:
            spoken = voice[int(generator.integers(len(voice)))]
        return self._embedding(spoken)

    def _embedding(self, spoken: EncodedUtterance) -> Float[Tensor, " dim"]:
        return torch.from_numpy(self.embeddings[self.number[id(spoken)]].copy())


def _length(plan: Sequence[EncodedUtterance]) -> int:
    return sum(spoken.frames for spoken in plan)
