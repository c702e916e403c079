"""The recipe of the CosyVoice language model: a strict TOML file becomes a task and a budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from parlando.core.errors import ConfigError
from parlando.data.pitch import CorpusPitch
from parlando.data.shards import PackedCorpus
from parlando.data.streams import read_codebook_size
from parlando.models.cosyvoice.config import LMConfig
from parlando.models.cosyvoice.prompt import CosyVoicePromptBuilder
from parlando.models.cosyvoice.tokenizer import TextTokenizer
from parlando.nn.lora import LoRAConfig
from parlando.nn.rope import RopeConfig
from parlando.train.cosyvoice.lm import CosyVoiceLMTask, CosyVoiceTrainConfig
from parlando.train.cosyvoice.lm_examples import CosyVoiceExampleSampler, CosyVoiceMix
from parlando.train.cosyvoice.prosody import measure_prosody
from parlando.train.cosyvoice.start import find_start
from parlando.train.loop.adapters import EVERYTHING
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.recipe import Sources
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.trainer import Budget
from parlando.train.shared.streams import open_examples


@dataclass(frozen=True)
class CosyVoiceLMSizes:
    """Sizes of a small language model whose text is phonemes; the rest follows from the tokenizer and the codes.

    Phonemes are shorter than the byte pairs of the published model, hence more of them in a group, and fewer frames of
    speech for each.
    """

    hidden_size: int = 256
    num_layers: int = 6
    num_heads: int = 4
    intermediate_size: int = 768
    context_length: int = 1024
    rope_theta: float = 10_000.0
    group_text_tokens: int = 16
    group_speech_tokens: int = 15
    min_frames_per_token: float = 1.15
    max_frames_per_token: float = 4.5
    consensus_draws: int = 8
    guided_layer: int | None = None


@dataclass(frozen=True)
class CosyVoiceLMRecipe:
    """A training of the language model and its budget.

    ``trainable`` are name patterns of the parameters that learn; with the table ``adapter``, only that does.
    """

    family: Literal["cosyvoice"]
    budget: Budget
    mix: CosyVoiceMix
    sizes: CosyVoiceLMSizes = field(default_factory=CosyVoiceLMSizes)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(rate=1.2e-3))
    phone_weight: float = 0.5
    phone_final: float = 0.1
    dropout: float = 0.0
    trainable: tuple[str, ...] = EVERYTHING
    adapter: LoRAConfig | None = None
    guide_weight: float = 0.0
    guide_final: float = 0.0
    misread_share: float = 0.0
    code_levels: int = 3
    frame_rate: float = 25.0
    start_from: str | None = None
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


def small_lm_config(sizes: CosyVoiceLMSizes, tokenizer: TextTokenizer, codebook_size: int) -> LMConfig:
    """Fill in what the tokenizer and the codes decide; the vocabulary is padded to a multiple of eight."""
    return LMConfig(
        vocab_size=-(-tokenizer.vocab_size // 8) * 8,
        hidden_size=sizes.hidden_size,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        num_kv_heads=sizes.num_heads,
        head_dim=sizes.hidden_size // sizes.num_heads,
        intermediate_size=sizes.intermediate_size,
        codebook_size=codebook_size,
        context_length=sizes.context_length,
        rope=RopeConfig(theta=sizes.rope_theta),
        group_text_tokens=sizes.group_text_tokens,
        group_speech_tokens=sizes.group_speech_tokens,
        min_frames_per_token=sizes.min_frames_per_token,
        max_frames_per_token=sizes.max_frames_per_token,
        consensus_draws=sizes.consensus_draws,
        guided_layer=sizes.guided_layer,
    )


def make_lm_task(recipe: CosyVoiceLMRecipe, sources: Sources) -> CosyVoiceLMTask:
    """The task of a language-model recipe on a corpus that a speech tokenizer encoded.

    ``corpus`` is the packed one, with its pitch, for recipes whose directions are about prosody. One that starts from a
    folder has its tokenizer, and its sizes, if the folder says them.

    Raises:
        ConfigError: what it starts from speaks other codes.
    """
    recipe, codes = sources.start(recipe), sources.need("codes")
    codebook_size = read_codebook_size(codes)
    start = find_start(recipe.start_from)
    tokenizer, lm = start.tokenizer, start.sizes or small_lm_config(recipe.sizes, start.tokenizer, codebook_size)
    if lm.codebook_size != codebook_size:
        raise ConfigError(
            f"'{recipe.start_from}' speaks {lm.codebook_size} codes, '{codes}' has {codebook_size}; "
            "encode the corpus with the tokenizer that it was trained with"
        )
    prosody = measure_prosody(CorpusPitch(PackedCorpus(sources["corpus"]))) if "corpus" in sources else None
    builder = CosyVoicePromptBuilder(tokenizer, lm)
    sampler = open_examples(codes, lambda corpus: CosyVoiceExampleSampler(corpus, builder, recipe.mix, prosody))
    config = CosyVoiceTrainConfig(
        lm,
        optim=recipe.optim,
        phone_weight=recipe.phone_weight,
        phone_final=recipe.phone_final,
        dropout=recipe.dropout,
        trainable=recipe.trainable,
        adapter=recipe.adapter,
        frame_rate=recipe.frame_rate,
        guide_weight=recipe.guide_weight,
        guide_final=recipe.guide_final,
        misread_share=recipe.misread_share,
        code_levels=recipe.code_levels,
    )
    return CosyVoiceLMTask(sampler, config, start)
