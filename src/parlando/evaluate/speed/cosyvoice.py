"""CosyVoice2's language model under load: ours with random weights, and transformers' Qwen2 of the same sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import torch

from parlando.core.stages import TokenLM
from parlando.evaluate.optional import require
from parlando.evaluate.speed.contender import Load, as_loaded
from parlando.evaluate.speed.engine_load import EngineGenerator
from parlando.evaluate.speed.random_weights import with_random_weights
from parlando.models.cosyvoice.config import LMConfig
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.lm_inference import CosyVoiceTokenLM
from parlando.models.cosyvoice.prompt import SpeechPrompt
from parlando.models.cosyvoice.sampler import CosyVoiceSampler

ENDLESS_TEXT = 10**6


def plainly(config: LMConfig) -> LMConfig:
    """Without a text to follow, a guided layer is like any other."""
    return replace(config, guided_layer=None, min_frames_per_token=1.0)


def ours(config: LMConfig, load: Load) -> EngineGenerator:
    """Our engine; a text of a million tokens has no end within the frames that are asked for."""
    plain = plainly(config)
    lm = CosyVoiceTokenLM(as_loaded(partial(CosyVoiceLM, plain), load), static=load.on_cuda)
    drawn = torch.randint(plain.vocab_size, (load.prompt_tokens - 2,), generator=torch.Generator().manual_seed(0))
    tokens = (plain.sos_id, *drawn.tolist(), plain.task_id)
    nothing = np.zeros((0, 1), dtype=np.int64)
    prompt = SpeechPrompt(tokens, np.zeros(len(tokens), dtype=bool), nothing, text_tokens=ENDLESS_TEXT)

    def sampler(seed: int) -> CosyVoiceSampler:
        return CosyVoiceSampler(plain, prompt, replace(load.sampling, seed=seed))

    return EngineGenerator(cast("TokenLM", lm), prompt, sampler)


class QwenPeer:
    """`Qwen2ForCausalLM.generate` over speech codes, batch after batch, each until its longest request is done."""

    name = "transformers"
    tokens_per_frame = 1

    def __init__(self, config: LMConfig, load: Load) -> None:
        """Build it with random weights.

        Raises:
            MissingDependencyError: transformers is not installed.
        """
        transformers = require("transformers", "pip install transformers")
        sizes = transformers.Qwen2Config(
            vocab_size=config.codebook_size + len(config.stop_codes),
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.num_kv_heads,
            head_dim=config.head_dim,
            max_position_embeddings=config.context_length,
            tie_word_embeddings=False,
        )
        make = partial(transformers.Qwen2ForCausalLM, sizes)
        self._model = with_random_weights(make, load.dtype, load.device)
        self._plan, self._sampling = transformers.GenerationConfig, load.sampling
        self._prompt = torch.zeros(load.prompt_tokens, dtype=torch.long, device=load.device)

    @torch.inference_mode()
    def generate(self, batch: int, lengths: Sequence[int]) -> int:
        """Continue the prompt once for each of ``lengths`` codes; returns the codes that were asked for and made."""
        made = 0
        for start in range(0, len(lengths), batch):
            group = lengths[start : start + batch]
            prompts = self._prompt.repeat(len(group), 1)
            options = {"top_k": self._sampling.top_k or 0, "top_p": self._sampling.top_p or 1.0}
            plan = self._plan(
                do_sample=True, temperature=self._sampling.temperature or 1.0, pad_token_id=0, eos_token_id=None,
                max_new_tokens=max(group), **options,
            )  # fmt: skip
            codes = self._model.generate(prompts, attention_mask=torch.ones_like(prompts), generation_config=plan)
            made += sum(min(length, codes.shape[1] - prompts.shape[1]) for length in group)
        return made


def peer(config: LMConfig, load: Load) -> QwenPeer:
    """transformers' generate; errors as for `QwenPeer`."""
    return QwenPeer(config, load)
