"""Our own side of `parlando bench`: the Higgs language model with random weights, through the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch

from parlando.core.stages import FrameSampler, TokenLM
from parlando.core.types import Frame, Prompt, SamplingOptions
from parlando.engine.engine import Engine
from parlando.engine.scheduler import Policy
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.lm_inference import HiggsTokenLM, Logits
from parlando.models.higgs.sampler import HiggsSampler

NEVER = -1e9


class EndlessSampler:
    """The family's sampler, without the end of audio: every request makes all the frames it was asked for."""

    def __init__(self, sampler: FrameSampler, stream_eos: int) -> None:
        self._sampler = sampler
        self._stream_eos = stream_eos

    def next(self, logits: Logits) -> Frame | None:
        """The next frame, of codes only."""
        # In place, as the peer's hook does: nobody else reads these logits.
        logits.audio.numpy()[:, self._stream_eos] = NEVER
        return self._sampler.next(logits)


class EngineGenerator:
    """As many sessions of one engine as the batch has rows."""

    name = "parlando"

    def __init__(
        self, config: LMConfig, sampling: SamplingOptions, rows: int, dtype: torch.dtype = torch.float32
    ) -> None:
        self._config = config
        self._sampling = sampling
        lm = cast("TokenLM", HiggsTokenLM(HiggsLM(config).to(dtype).eval()))
        # All prompts at once, as the peer has them; otherwise requests of equal length would not run side by side.
        self._engine = Engine(lm, rows, policy=Policy(prefills_per_turn=rows))

    def generate(self, tokens: tuple[int, ...], batch: int, num_frames: int) -> int:
        """Continue ``batch`` copies of a prompt by ``num_frames`` frames each; returns the frames made in all rows."""
        nothing = np.zeros((0, self._config.num_codebooks), dtype=np.int64)
        prompt = Prompt(tokens, np.zeros(len(tokens), dtype=bool), nothing)
        samplers = [self._sampler(prompt, seed) for seed in range(batch)]
        sessions = [self._engine.submit(prompt, sampler, num_frames) for sampler in samplers]
        while self._engine.step():
            pass
        return sum(len(list(session)) for session in sessions)

    def _sampler(self, prompt: Prompt, seed: int) -> EndlessSampler:
        sampler = HiggsSampler(self._config, prompt, replace(self._sampling, seed=seed))
        return EndlessSampler(sampler, self._config.stream_eos)
