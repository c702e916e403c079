"""Recipes of the Higgs family's other parts: strict TOML files, each of which becomes a task and a budget."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from parlando.core.errors import ConfigError
from parlando.data.shards import PackedCorpus
from parlando.data.tokens import TokenCorpus
from parlando.train.higgs.audio_tokenizer import AudioTokenizerTask, AudioTokenizerTrainConfig
from parlando.train.higgs.codec import CodecTask, CodecTrainConfig
from parlando.train.higgs.content_teacher import ContentTeacherTask, ContentTeacherTrainConfig
from parlando.train.higgs.encoders import read_codec_config
from parlando.train.higgs.voice_transfer_task import StretchSampler, VoiceTransferTask, VoiceTransferTrainConfig
from parlando.train.loop.recipe import Sources
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.trainer import Budget


@dataclass(frozen=True)
class CodecRecipe:
    """A codec training and its budget."""

    budget: Budget
    train: CodecTrainConfig = field(default_factory=CodecTrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


@dataclass(frozen=True)
class AudioTokenizerRecipe:
    """A training of the unified audio tokenizer and its budget."""

    budget: Budget
    train: AudioTokenizerTrainConfig = field(default_factory=AudioTokenizerTrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


@dataclass(frozen=True)
class ContentTeacherRecipe:
    """A training of a content teacher and its budget."""

    budget: Budget
    train: ContentTeacherTrainConfig = field(default_factory=ContentTeacherTrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


@dataclass(frozen=True)
class VoiceTransferRecipe:
    """A training of voice transfer and its budget."""

    budget: Budget
    train: VoiceTransferTrainConfig = field(default_factory=VoiceTransferTrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


def make_codec_task(recipe: CodecRecipe, sources: Sources) -> CodecTask:
    """The task of a codec recipe on a packed corpus; one that starts from a codec has that codec's sizes.

    Raises:
        ConfigError: an adversarial recipe starts from no codec, so there would be no codes to decode.
    """
    train = sources.start(recipe.train)
    if train.start_from:
        train = replace(train, codec=read_codec_config(Path(train.start_from)))
    elif train.adversarial:
        raise ConfigError("an adversarial training tunes a trained codec; name its folder with --from")
    return CodecTask(PackedCorpus(sources.need("corpus")), train)


def make_audio_tokenizer_task(recipe: AudioTokenizerRecipe, sources: Sources) -> AudioTokenizerTask:
    """The task of an audio tokenizer's recipe on a packed corpus, with a teacher's folder or one to start from."""
    train = sources.start(recipe.train)
    if "teacher" in sources:
        train = replace(train, teacher=str(sources["teacher"]))
    return AudioTokenizerTask(PackedCorpus(sources.need("corpus")), train)


def make_content_teacher_task(recipe: ContentTeacherRecipe, sources: Sources) -> ContentTeacherTask:
    """The task of a content teacher's recipe on a packed corpus."""
    return ContentTeacherTask(PackedCorpus(sources.need("corpus")), sources.start(recipe.train))


def make_voice_transfer_task(recipe: VoiceTransferRecipe, sources: Sources) -> VoiceTransferTask:
    """The task of a voice-transfer recipe on a packed corpus and its codes."""
    corpus, codes = PackedCorpus(sources.need("corpus")), TokenCorpus(sources.need("codes"))
    return VoiceTransferTask(StretchSampler(corpus, codes, recipe.train), recipe.train)
