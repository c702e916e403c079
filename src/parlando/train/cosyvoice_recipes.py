"""Recipes of the CosyVoice family: one strict TOML file per part."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from parlando.data.shards import PackedCorpus
from parlando.train.loop import Budget
from parlando.train.vocoder_task import VocoderTask, VocoderTrainConfig


@dataclass(frozen=True)
class VocoderRecipe:
    """A vocoder training and its budget."""

    budget: Budget
    train: VocoderTrainConfig = field(default_factory=VocoderTrainConfig)


def make_vocoder_task(recipe: VocoderRecipe, packed: Path, device: str, rank: int = 0) -> VocoderTask:
    """The task of a vocoder recipe on a packed corpus whose pitch is measured."""
    return VocoderTask(PackedCorpus(packed), recipe.train, device, rank)
