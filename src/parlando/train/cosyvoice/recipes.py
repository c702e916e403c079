"""Recipes of the CosyVoice family's other parts: strict TOML files, each of which becomes a task and a budget."""

from __future__ import annotations

from dataclasses import dataclass, field

from parlando.data.shards import PackedCorpus
from parlando.data.tokens import TokenCorpus
from parlando.train.cosyvoice.flow import FlowTask, FlowTrainConfig
from parlando.train.cosyvoice.flow_examples import FlowSampler
from parlando.train.cosyvoice.predicted_mels import PredictedMels
from parlando.train.cosyvoice.speaker import SpeakerTask, SpeakerTrainConfig
from parlando.train.cosyvoice.speech_tokenizer import (
    SpeechTokenizerTask,
    SpeechTokenizerTrainConfig,
    UtteranceTokenizerTask,
)
from parlando.train.cosyvoice.vocoder import VocoderTask, VocoderTrainConfig
from parlando.train.loop.recipe import Sources
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.trainer import Budget


@dataclass(frozen=True)
class SpeechTokenizerRecipe:
    """A training of the speech tokenizer and its budget."""

    budget: Budget
    train: SpeechTokenizerTrainConfig = field(default_factory=SpeechTokenizerTrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


def make_speech_tokenizer_task(recipe: SpeechTokenizerRecipe, sources: Sources) -> SpeechTokenizerTask:
    """The task of a tokenizer recipe on a packed corpus, by crops or by whole utterances."""
    corpus, train = PackedCorpus(sources.need("corpus")), sources.start(recipe.train)
    return UtteranceTokenizerTask(corpus, train, train.text) if train.text else SpeechTokenizerTask(corpus, train)


@dataclass(frozen=True)
class SpeakerRecipe:
    """A training of the speaker encoder and its budget."""

    budget: Budget
    train: SpeakerTrainConfig = field(default_factory=SpeakerTrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


def make_speaker_task(recipe: SpeakerRecipe, sources: Sources) -> SpeakerTask:
    """The task of a speaker recipe on a packed corpus."""
    return SpeakerTask(PackedCorpus(sources.need("corpus")), sources.start(recipe.train))


@dataclass(frozen=True)
class VocoderRecipe:
    """A vocoder training and its budget."""

    budget: Budget
    train: VocoderTrainConfig = field(default_factory=VocoderTrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


@dataclass(frozen=True)
class FlowRecipe:
    """A flow training and its budget."""

    budget: Budget
    train: FlowTrainConfig = field(default_factory=FlowTrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


def make_vocoder_task(recipe: VocoderRecipe, sources: Sources) -> VocoderTask:
    """The task of a vocoder recipe on a packed corpus whose pitch is measured."""
    mels = PredictedMels(sources["mels"]) if "mels" in sources else None
    return VocoderTask(PackedCorpus(sources.need("corpus")), sources.start(recipe.train), mels)


def make_flow_task(recipe: FlowRecipe, sources: Sources) -> FlowTask:
    """The task of a flow recipe on a packed corpus and its codes, which came with speaker embeddings."""
    resampled = TokenCorpus(sources["resampled"]) if "resampled" in sources else None
    corpus, codes = PackedCorpus(sources.need("corpus")), TokenCorpus(sources.need("codes"))
    return FlowTask(FlowSampler(corpus, codes, recipe.train.mix, resampled), sources.start(recipe.train))
