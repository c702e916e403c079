"""Higgs Audio v2 under load: our language model with random weights, and transformers' of the same sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import torch

from parlando.core.stages import TokenLM
from parlando.core.types import Frame, Prefill, Prompt
from parlando.evaluate.speed.contender import Load, as_loaded
from parlando.evaluate.speed.engine_load import EngineGenerator
from parlando.evaluate.speed.higgs_peer import TransformersPeer
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.lm_inference import HiggsTokenLM, LastLogits, Logits
from parlando.models.higgs.sampler import HiggsSampler
from parlando.nn.kvcache import KVCache

NEVER = -1e9


class EndlessLM(HiggsTokenLM):
    """A language model that never ends: every request makes all the frames it was asked for."""

    def prefill_all(self, prefills: Sequence[Prefill], cache: KVCache) -> list[LastLogits]:
        """As the model does it, without an end."""
        results = super().prefill_all(prefills, cache)
        for logits in results:
            self._forbid(logits)
        return results

    def step(self, frames: Sequence[Frame | None], cache: KVCache) -> list[Logits | None]:
        """As the model does it, without an end."""
        results = super().step(frames, cache)
        self._forbid(next(logits for logits in results if logits is not None))
        return results

    def _forbid(self, logits: Logits | LastLogits) -> None:
        """Rows of one step share their ranking."""
        logits.ranking.logits.numpy()[..., self.config.stream_eos] = NEVER


def random_prompt(config: LMConfig, length: int, seed: int = 0) -> tuple[int, ...]:
    """Text ids (none of them special) that end with the opening of an audio answer."""
    special = {value for name, value in vars(config).items() if name.endswith("_id")}
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(config.vocab_size, generator=generator).tolist()
    ordinary = [token for token in drawn if token not in special] or [config.eot_id]
    return (*(ordinary[i % len(ordinary)] for i in range(length - 1)), config.audio_out_bos_id)


def ours(config: LMConfig, load: Load) -> EngineGenerator:
    """Our engine; weights as our own models are saved, in half precision, whatever they are computed in."""
    lm = EndlessLM(as_loaded(partial(HiggsLM, config), load), static=load.on_cuda)
    tokens = random_prompt(config, load.prompt_tokens)
    nothing = np.zeros((0, config.num_codebooks), dtype=np.int64)
    prompt = Prompt(tokens, np.zeros(len(tokens), dtype=bool), nothing)

    def sampler(seed: int) -> HiggsSampler:
        return HiggsSampler(config, prompt, replace(load.sampling, seed=seed))

    return EngineGenerator(cast("TokenLM", lm), prompt, sampler, config.num_codebooks, lm.is_compiled)


def peer(config: LMConfig, load: Load) -> TransformersPeer:
    """transformers' generate.

    Raises:
        MissingDependencyError: transformers is not installed.
    """
    return TransformersPeer(config, random_prompt(config, load.prompt_tokens), load)
