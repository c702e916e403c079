"""Fine-tuning of a Higgs language model on conversations: scenes, speakers, reference clips, several turns.

The task is that of the language model (`lm`); here is where its examples come from, and the recipe.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np

from parlando.core.errors import ConfigError
from parlando.models.higgs.prompt import ChatPrompt
from parlando.nn.lora import LoRAConfig
from parlando.train.higgs.chat_samples import ChatCorpus
from parlando.train.higgs.lm import LMTask, LMTrainConfig
from parlando.train.higgs.lm_examples import LabelledExample
from parlando.train.higgs.lm_recipe import prompt_config
from parlando.train.higgs.start import find_start
from parlando.train.loop.adapters import EVERYTHING
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.recipe import Sources
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.trainer import Budget
from parlando.train.shared.batching import Deck

logger = logging.getLogger(__name__)
_NO_PHONES = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class ChatMix:
    """Sizes of batches, and the share of the samples that are held out.

    With ``pack`` nothing is computed for what pads the samples of a batch to one length.
    """

    tokens_per_batch: int = 2400
    candidates: int = 48
    held_out_share: float = 0.05
    pack: bool = False


@dataclass(frozen=True)
class ChatRecipe:
    """A fine-tuning on conversations and its budget.

    ``codebook_weights`` are those of the codebooks' losses, all equal by default, ``text_weight`` is that of the text.
    ``trainable`` are name patterns of the parameters that learn (``["audio_mlp.*", "audio_*layernorm.*"]`` is only the
    DualFFN); with the table ``adapter``, only that does.
    """

    budget: Budget
    mix: ChatMix = field(default_factory=ChatMix)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(rate=2e-5))
    codebook_weights: tuple[float, ...] = ()
    text_weight: float = 1.0
    dropout: float = 0.0
    trainable: tuple[str, ...] = EVERYTHING
    adapter: LoRAConfig | None = None
    start_from: str | None = None
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


class ChatSampler:
    """Draws batches of conversations of similar length (a `train.shared.lm.Examples`)."""

    def __init__(self, corpus: ChatCorpus, prompts: ChatPrompt, mix: ChatMix, context_length: int) -> None:
        """Raises:
        ConfigError: no conversation fits the context.
        InputError: a conversation has nothing to learn.
        """
        made = [prompts.training(sample.messages, sample.clips, sample.start_index) for sample in corpus.samples]
        fitting = [example for example in made if len(example.prompt) <= context_length]
        if len(fitting) < len(made):
            logger.warning("left out %d samples longer than %d positions", len(made) - len(fitting), context_length)
        if not fitting:
            raise ConfigError(f"no sample of '{corpus.folder}' fits the model's {context_length} positions; cut them")
        self.mix, self._deck = mix, Deck([(example, _NO_PHONES) for example in fitting], mix.held_out_share)

    def batch(self, number: int) -> list[LabelledExample]:
        """Conversations of similar length, together about ``tokens_per_batch`` positions."""
        mix = self.mix
        return self._deck.batch(number, lambda example: len(example[0].prompt), mix.tokens_per_batch, mix.candidates)

    def held_out(self) -> list[LabelledExample]:
        """Those that training never sees; where there are too few to keep any back, one that it sees."""
        return self._deck.held_out


def make_chat_task(recipe: ChatRecipe, sources: Sources) -> LMTask:
    """The task of a recipe on encoded conversations; it begins with a model, and has its tokenizer and layout.

    Raises:
        ConfigError: no model is named, or it speaks other codes than the conversations were encoded with.
    """
    recipe, corpus = sources.start(recipe), ChatCorpus(sources.need("codes"))
    start = find_start(recipe.start_from)
    lm, books = start.trained_sizes, (corpus.num_codebooks, corpus.codebook_size)
    if (lm.num_codebooks, lm.codebook_size) != books:
        raise ConfigError(
            f"'{recipe.start_from}' speaks {lm.num_codebooks} codebooks of {lm.codebook_size} codes, "
            f"'{corpus.folder}' has {books[0]} of {books[1]}; encode the samples with the model's own codec"
        )
    sampler = ChatSampler(corpus, ChatPrompt(start.tokenizer, prompt_config(lm)), recipe.mix, lm.context_length)
    config = LMTrainConfig(
        lm,
        optim=recipe.optim,
        first_weight=1.0,
        codebook_weights=recipe.codebook_weights,
        text_weight=recipe.text_weight,
        phone_weight=0.0,
        phone_final=0.0,
        dropout=recipe.dropout,
        trainable=recipe.trainable,
        adapter=recipe.adapter,
    )
    return LMTask(sampler, config, start)
