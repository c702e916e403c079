"""The recipe of understanding: a strict TOML file, which becomes a task and a budget."""

from __future__ import annotations

from dataclasses import dataclass, field

from parlando.data.shards import PackedCorpus
from parlando.train.loop.recipe import Sources
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.trainer import Budget
from parlando.train.understanding.task import UnderstandingTask, UnderstandingTrainConfig


@dataclass(frozen=True)
class UnderstandingRecipe:
    """A training of understanding and its budget."""

    budget: Budget
    train: UnderstandingTrainConfig = field(default_factory=UnderstandingTrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


def make_understanding_task(recipe: UnderstandingRecipe, sources: Sources) -> UnderstandingTask:
    """The task of a recipe on a packed corpus."""
    return UnderstandingTask(PackedCorpus(sources.need("corpus")), sources.start(recipe.train))
