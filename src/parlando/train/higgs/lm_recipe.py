"""The recipe of the Higgs language model: a strict TOML file becomes a task and a budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from parlando.core.errors import ConfigError
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.parts.chatml import Layout
from parlando.models.higgs.prompt import HiggsPromptBuilder, PromptConfig
from parlando.models.higgs.tokenizer import TextTokenizer
from parlando.nn.lora import LoRAConfig
from parlando.nn.rope import RopeConfig
from parlando.train.higgs.encoders import codec_shape
from parlando.train.higgs.lm import LMTask, LMTrainConfig
from parlando.train.higgs.lm_examples import ExampleSampler, MixConfig
from parlando.train.higgs.start import find_start
from parlando.train.loop.adapters import EVERYTHING
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.recipe import Sources
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.trainer import Budget
from parlando.train.shared.streams import open_examples


@dataclass(frozen=True)
class LMSizes:
    """The sizes of a small language model; everything else follows from the tokenizer and the codec."""

    hidden_size: int = 256
    num_layers: int = 6
    num_heads: int = 4
    intermediate_size: int = 768
    context_length: int = 1024
    rope_theta: float = 10_000.0


@dataclass(frozen=True)
class LMRecipe:
    """A language-model training and its budget.

    ``trainable`` are name patterns of the parameters that learn (``["audio_mlp.*", "audio_*layernorm.*"]`` is only the
    DualFFN); with the table ``adapter``, only that does.
    """

    budget: Budget
    mix: MixConfig
    sizes: LMSizes = field(default_factory=LMSizes)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(rate=1.2e-3))
    first_weight: float = 2.0
    phone_weight: float = 0.5
    phone_final: float = 0.1
    dropout: float = 0.0
    trainable: tuple[str, ...] = EVERYTHING
    adapter: LoRAConfig | None = None
    start_from: str | None = None
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    family: Literal["higgs"] = "higgs"


def small_lm_config(sizes: LMSizes, tokenizer: TextTokenizer, num_codebooks: int, codebook_size: int) -> LMConfig:
    """Fill in what the tokenizer and the codec decide; the vocabulary is padded to a multiple of eight."""
    return LMConfig(
        vocab_size=-(-tokenizer.vocab_size // 8) * 8,
        hidden_size=sizes.hidden_size,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        num_kv_heads=sizes.num_heads,
        head_dim=sizes.hidden_size // sizes.num_heads,
        intermediate_size=sizes.intermediate_size,
        num_codebooks=num_codebooks,
        codebook_size=codebook_size,
        context_length=sizes.context_length,
        audio_out_id=tokenizer.audio_out,
        audio_out_bos_id=tokenizer.audio_out_bos,
        eot_id=tokenizer.eot,
        end_of_text_id=tokenizer.end_of_text,
        audio_in_id=tokenizer.audio_in,
        audio_bos_id=tokenizer.audio_bos,
        audio_eos_id=tokenizer.audio_eos,
        rope=RopeConfig(theta=sizes.rope_theta),
    )


def prompt_config(lm: LMConfig) -> PromptConfig:
    """How a language model's prompts are laid out: a delay token is only of the layout for `transformers`."""
    layout: Layout = "original" if lm.delay_id is None else "transformers"
    return PromptConfig(lm.num_codebooks, lm.codebook_size, lm.context_length, layout)


def make_lm_task(recipe: LMRecipe, sources: Sources) -> LMTask:
    """The task of a language-model recipe on an encoded corpus and the codec that encoded it.

    One that starts from a folder has its tokenizer, and its sizes, if the folder says them.

    Raises:
        ConfigError: what it starts from speaks other codes.
    """
    recipe, codec = sources.start(recipe), codec_shape(sources.need("codec"))
    start, books = find_start(recipe.start_from), (codec.num_codebooks, codec.codebook_size)
    tokenizer, lm = start.tokenizer, start.sizes or small_lm_config(recipe.sizes, start.tokenizer, *books)
    if (lm.num_codebooks, lm.codebook_size) != books:
        raise ConfigError(
            f"'{recipe.start_from}' speaks {lm.num_codebooks} codebooks of {lm.codebook_size} codes, the codec has "
            f"{books[0]} of {books[1]}; encode the corpus with the codec that it was trained with"
        )
    builder = HiggsPromptBuilder(tokenizer, prompt_config(lm))
    sampler = open_examples(sources.need("codes"), lambda corpus: ExampleSampler(corpus, builder, recipe.mix))
    config = LMTrainConfig(
        lm,
        optim=recipe.optim,
        first_weight=recipe.first_weight,
        phone_weight=recipe.phone_weight,
        phone_final=recipe.phone_final,
        dropout=recipe.dropout,
        trainable=recipe.trainable,
        adapter=recipe.adapter,
        frame_rate=codec.frame_rate,
    )
    return LMTask(sampler, config, start)
