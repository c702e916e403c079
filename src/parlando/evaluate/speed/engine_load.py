"""Our own side of `parlando bench`: the Higgs language model with random weights, through the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch

from parlando.core.stages import TokenLM
from parlando.core.types import Frame, Prompt, SamplingOptions
from parlando.engine.engine import Engine
from parlando.engine.scheduler import Policy
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.lm_inference import HiggsTokenLM, Logits
from parlando.models.higgs.sampler import HiggsSampler
from parlando.nn.kvcache import KVCache

NEVER = -1e9


class EndlessLM(HiggsTokenLM):
    """A language model that never ends: every request makes all the frames it was asked for."""

    def prefill(self, prompt: Prompt, cache: KVCache, row: int) -> Logits:
        """As the model does it, without an end."""
        logits = super().prefill(prompt, cache, row)
        self._forbid(logits)
        return logits

    def step(self, frames: Sequence[Frame | None], cache: KVCache) -> list[Logits | None]:
        """As the model does it, without an end."""
        results = super().step(frames, cache)
        self._forbid(next(logits for logits in results if logits is not None))
        return results

    def _forbid(self, logits: Logits) -> None:
        """Rows of one step share their ranking."""
        logits.ranking.logits.numpy()[..., self.config.stream_eos] = NEVER


class EngineGenerator:
    """Sessions of one engine that has as many rows as the batch: whoever waits takes the row of whoever is done."""

    name = "parlando"

    def __init__(self, config: LMConfig, sampling: SamplingOptions, dtype: torch.dtype = torch.float32) -> None:
        self._config = config
        self._sampling = sampling
        # Weights as our own models are saved, in half precision, whatever they are computed in.
        lm = EndlessLM(HiggsLM(config).half().to(dtype).eval())
        self.is_compiled = lm.is_compiled
        self._lm = cast("TokenLM", lm)
        self._engines: dict[tuple[int, int], Engine] = {}

    def generate(self, tokens: tuple[int, ...], batch: int, lengths: Sequence[int]) -> int:
        """Continue a prompt once for each of ``lengths`` frames, ``batch`` at a time; returns the frames made."""
        nothing = np.zeros((0, self._config.num_codebooks), dtype=np.int64)
        prompt = Prompt(tokens, np.zeros(len(tokens), dtype=bool), nothing)
        engine = self._engine(batch, len(tokens) + max(lengths))
        sessions = [engine.submit(prompt, self._sampler(prompt, i), n) for i, n in enumerate(lengths)]
        while engine.step():
            pass
        return sum(len(list(session)) for session in sessions)

    def _engine(self, rows: int, length: int) -> Engine:
        """One that is kept, as engines are: its cache is made once, before anything is timed."""
        if (rows, length) not in self._engines:
            # All rows start at once, as the peer's do.
            self._engines[rows, length] = Engine(self._lm, rows, length, Policy(prefills_per_turn=rows))
        return self._engines[rows, length]

    def _sampler(self, prompt: Prompt, seed: int) -> HiggsSampler:
        return HiggsSampler(self._config, prompt, replace(self._sampling, seed=seed))
