"""Preference tuning of the Higgs language model: what of a take was its own choice, and the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from parlando.core.types import IGNORED_LABEL, Prompt
from parlando.data.preferences import PairCorpus, Take
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.prompt import TrainingExample
from parlando.train.higgs.lm import Batch, LMTask, LMTrainConfig
from parlando.train.higgs.lm_examples import LabelledExample
from parlando.train.higgs.start import find_start
from parlando.train.loop.recipe import Sources
from parlando.train.shared.preference import DPORecipe, PairLimits, PairSampler, PreferenceTask

_NO_PHONES = np.zeros(0, dtype=np.int64)
_SPECIAL_CODES = 2


@dataclass(frozen=True, kw_only=True)
class HiggsDPORecipe(DPORecipe):
    """A preference tuning and its budget.

    ``codebook_weights`` say how often each codebook counts, once by default. ``trainable`` are name patterns of the
    parameters that learn; with the table ``adapter``, only that does, and no copy of the model is kept.
    """

    codebook_weights: tuple[float, ...] = ()
    family: Literal["higgs"] = "higgs"


def example(prompt: Prompt, take: Take, lm: LMConfig) -> LabelledExample:
    """A take after its prompt: each codebook is chosen from its first code to its first end, the rest is forced."""
    whole, codes = take.after(prompt), take.frames[:, 1:]
    ends = codes == lm.stream_eos
    chosen = (codes != lm.stream_bos) & (ends.cumsum(0) - ends == 0)
    labels = np.full((len(whole), codes.shape[1]), IGNORED_LABEL)
    labels[len(prompt) - 1 : -1] = np.where(chosen, codes, IGNORED_LABEL)
    return TrainingExample(whole, labels, np.full(len(whole), IGNORED_LABEL)), _NO_PHONES


def make_dpo_task(recipe: HiggsDPORecipe, sources: Sources) -> PreferenceTask[Batch]:
    """The task of a recipe on pairs; it begins with the model that made them.

    Raises:
        ConfigError: no model is named, or it speaks other codes than the pairs.
    """
    recipe, pairs = sources.start(recipe), PairCorpus(sources.need("pairs"))
    start = find_start(recipe.start_from)
    lm = start.trained_sizes
    sizes = (lm.codebook_size,) * lm.num_codebooks
    limits = PairLimits(sizes, lm.vocab_size, lm.context_length, _SPECIAL_CODES)
    sampler = PairSampler(pairs, limits, recipe.mix, lambda prompt, take: example(prompt, take, lm))
    config = LMTrainConfig(
        lm,
        optim=recipe.optim,
        first_weight=1.0,
        codebook_weights=recipe.codebook_weights,
        trainable=recipe.trainable,
        adapter=recipe.adapter,
    )
    return PreferenceTask(LMTask(sampler, config, start), recipe.dpo)
