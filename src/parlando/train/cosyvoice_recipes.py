"""Recipes of the CosyVoice family: one strict TOML file per part."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from parlando.data.shards import PackedCorpus
from parlando.train.flow_examples import FlowSampler
from parlando.train.flow_task import FlowTask, FlowTrainConfig
from parlando.train.loop import Budget
from parlando.train.tokens import TokenCorpus
from parlando.train.vocoder_task import VocoderTask, VocoderTrainConfig


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


def make_vocoder_task(recipe: VocoderRecipe, packed: Path, device: str, rank: int = 0) -> VocoderTask:
    """The task of a vocoder recipe on a packed corpus whose pitch is measured."""
    return VocoderTask(PackedCorpus(packed), recipe.train, device, rank)


def make_flow_task(recipe: FlowRecipe, packed: Path, codes: Path, device: str, rank: int = 0) -> FlowTask:
    """The task of a flow recipe on a packed corpus and its codes, which came with speaker embeddings."""
    sampler = FlowSampler(PackedCorpus(packed), TokenCorpus(codes), recipe.train.mix)
    return FlowTask(sampler, recipe.train, device, rank)
