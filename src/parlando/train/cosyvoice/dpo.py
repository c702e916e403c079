"""Preference tuning of the CosyVoice language model: what of a take was its own choice, and the recipe."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from parlando.core.types import IGNORED_LABEL, Prompt
from parlando.data.preferences import PairCorpus, Take
from parlando.data.shards import UNKNOWN_PHONE
from parlando.models.cosyvoice.config import LMConfig
from parlando.models.cosyvoice.prompt import SpeechPrompt, TrainingExample
from parlando.train.cosyvoice.lm import Batch, CosyVoiceLMTask, CosyVoiceTrainConfig
from parlando.train.cosyvoice.lm_examples import LabelledExample
from parlando.train.cosyvoice.start import find_start
from parlando.train.loop.recipe import Sources
from parlando.train.shared.preference import DPORecipe, PairLimits, PairSampler, PreferenceTask


@dataclass(frozen=True, kw_only=True)
class CosyVoiceDPORecipe(DPORecipe):
    """A preference tuning and its budget.

    ``trainable`` are name patterns of the parameters that learn; with the table ``adapter``, only that does, and no
    copy of the model is kept.
    """

    family: Literal["cosyvoice"]


def example(prompt: Prompt, take: Take, lm: LMConfig) -> LabelledExample:
    """A take after its prompt: all of its codes are chosen, and its end if the model said that."""
    whole = take.after(prompt)
    labels = np.full(len(whole), IGNORED_LABEL)
    labels[len(prompt) - 1 : -1] = take.frames[:, 1]
    if take.says_end:
        labels[-1] = lm.eos
    parts = {each.name: getattr(whole, each.name) for each in fields(Prompt)}
    return TrainingExample(SpeechPrompt(**parts), labels), np.full(len(whole.codes), UNKNOWN_PHONE)


def make_dpo_task(recipe: CosyVoiceDPORecipe, sources: Sources) -> PreferenceTask[Batch]:
    """The task of a recipe on pairs; it begins with the model that made them.

    Raises:
        ConfigError: no model is named, or it speaks other codes than the pairs.
    """
    recipe, pairs = sources.start(recipe), PairCorpus(sources.need("pairs"))
    start = find_start(recipe.start_from)
    lm = start.trained_sizes
    limits = PairLimits((lm.codebook_size,), lm.speech_id + 1, lm.context_length)
    sampler = PairSampler(pairs, limits, recipe.mix, lambda prompt, take: example(prompt, take, lm))
    config = CosyVoiceTrainConfig(
        lm, optim=recipe.optim, code_levels=1, trainable=recipe.trainable, adapter=recipe.adapter
    )
    return PreferenceTask(CosyVoiceLMTask(sampler, config, start), recipe.dpo)
