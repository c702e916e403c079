"""Recipes of the CosyVoice family: what turns each into a task and a budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from parlando.data.shards import PackedCorpus
from parlando.data.tokens import TokenCorpus
from parlando.models.cosyvoice.parts.part_weights import SPEECH_TOKENIZER_FILE, load_speaker, load_speech_tokenizer
from parlando.train.cosyvoice.encoders import LONGEST_SECONDS, SpeakerEmbedder, TokenizerEncoder
from parlando.train.cosyvoice.flow import FlowTask, FlowTrainConfig
from parlando.train.cosyvoice.flow_examples import FlowSampler
from parlando.train.cosyvoice.predicted_mels import MadeMels
from parlando.train.cosyvoice.speaker import SpeakerTask, SpeakerTrainConfig
from parlando.train.cosyvoice.speech_tokenizer import SpeechTokenizerTask, SpeechTokenizerTrainConfig
from parlando.train.cosyvoice.vocoder import VocoderTask, VocoderTrainConfig
from parlando.train.encode import Encoder
from parlando.train.higgs.recipes import load_trained_codec
from parlando.train.loop.trainer import Budget


@dataclass(frozen=True)
class SpeechTokenizerRecipe:
    """A training of the speech tokenizer and its budget."""

    budget: Budget
    train: SpeechTokenizerTrainConfig = field(default_factory=SpeechTokenizerTrainConfig)


def make_speech_tokenizer_task(recipe: SpeechTokenizerRecipe, packed: Path) -> SpeechTokenizerTask:
    """The task of a tokenizer recipe on a packed corpus."""
    return SpeechTokenizerTask(PackedCorpus(packed), recipe.train)


@dataclass(frozen=True)
class SpeakerRecipe:
    """A training of the speaker encoder and its budget."""

    budget: Budget
    train: SpeakerTrainConfig = field(default_factory=SpeakerTrainConfig)


def make_speaker_task(recipe: SpeakerRecipe, packed: Path) -> SpeakerTask:
    """The task of a speaker recipe on a packed corpus."""
    return SpeakerTask(PackedCorpus(packed), recipe.train)


def load_encoder(folder: Path, sample_rate: int) -> Encoder:
    """The speech tokenizer or else the codec that a training exported, for a corpus at ``sample_rate``.

    Raises:
        FileMissingError: the folder holds neither.
        CheckpointError: the tensors do not fit the config.
    """
    if (folder / SPEECH_TOKENIZER_FILE).is_file():
        return TokenizerEncoder(load_speech_tokenizer(folder), sample_rate)
    return load_trained_codec(folder)


def load_embedder(folder: Path, sample_rate: int, longest_seconds: float = LONGEST_SECONDS) -> SpeakerEmbedder:
    """The speaker encoder that a training exported, for a corpus at ``sample_rate``.

    Raises:
        FileMissingError: the folder holds none.
        CheckpointError: the tensors do not fit the config.
    """
    return SpeakerEmbedder(load_speaker(folder), sample_rate, longest_seconds)


@dataclass(frozen=True)
class VocoderRecipe:
    """A vocoder training and its budget."""

    budget: Budget
    train: VocoderTrainConfig = field(default_factory=VocoderTrainConfig)


@dataclass(frozen=True)
class FlowRecipe:
    """A flow training and its budget."""

    budget: Budget
    train: FlowTrainConfig = field(default_factory=FlowTrainConfig)


def make_vocoder_task(recipe: VocoderRecipe, packed: Path, mels: Path | None = None) -> VocoderTask:
    """The task of a vocoder recipe on a packed corpus whose pitch is measured."""
    return VocoderTask(PackedCorpus(packed), recipe.train, None if mels is None else MadeMels(mels))


def make_flow_task(recipe: FlowRecipe, packed: Path, codes: Path, retold: Path | None = None) -> FlowTask:
    """The task of a flow recipe on a packed corpus and its codes, which came with speaker embeddings."""
    said = None if retold is None else TokenCorpus(retold)
    sampler = FlowSampler(PackedCorpus(packed), TokenCorpus(codes), recipe.train.mix, said)
    return FlowTask(sampler, recipe.train)
