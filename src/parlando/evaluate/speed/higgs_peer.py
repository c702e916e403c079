"""The peer of `parlando bench`: Higgs Audio v2 as `transformers` generates it, with random weights of any sizes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from parlando.core.types import SamplingOptions
from parlando.evaluate.optional import require
from parlando.evaluate.speed.contender import Load
from parlando.evaluate.speed.random_weights import with_random_weights
from parlando.models.higgs.config import LMConfig

NEVER = -1e9


class TransformersPeer:
    """`HiggsAudioV2ForConditionalGeneration.generate`, batch after batch, each until its longest request is done.

    End of audio cannot be drawn.
    """

    name = "transformers"

    def __init__(self, config: LMConfig, prompt: tuple[int, ...], load: Load) -> None:
        """Build it with random weights.

        Raises:
            MissingDependencyError: transformers is not installed.
        """
        transformers = require("transformers", "pip install transformers")
        sizes = transformers.HiggsAudioV2Config(**_peer_sizes(config))
        make = partial(transformers.HiggsAudioV2ForConditionalGeneration, sizes)
        self._model = model = with_random_weights(make, load.dtype, load.device)
        self._prompt, self.tokens_per_frame = prompt, config.num_codebooks
        self._codebooks, self._rows = config.num_codebooks, config.table_rows
        self._stream_eos = config.stream_eos
        self._plan = partial(transformers.GenerationConfig, **_peer_options(config, load.sampling))
        model.audio_lm_head.register_forward_hook(self._without_end)

    def _without_end(self, module: Any, inputs: Any, logits: torch.Tensor) -> torch.Tensor:
        logits.view(*logits.shape[:-1], self._codebooks, self._rows)[..., self._stream_eos] = NEVER
        return logits

    @torch.inference_mode()
    def generate(self, batch: int, lengths: Sequence[int]) -> int:
        """Continue the prompt once for each of ``lengths`` frames; returns the frames that were asked for and made."""
        groups = [lengths[i : i + batch] for i in range(0, len(lengths), batch)]
        return sum(self._generate_group(group) for group in groups)

    def _generate_group(self, lengths: Sequence[int]) -> int:
        prompts = torch.tensor([self._prompt] * len(lengths), device=self._model.device)
        frames = self._model.generate(
            input_ids=prompts,
            attention_mask=torch.ones_like(prompts),
            generation_config=self._plan(max_new_tokens=max(lengths)),
        )
        return sum(min(length, frames.shape[1]) for length in lengths)


def _peer_sizes(config: LMConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.context_length,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope.theta},
        "num_codebooks": config.num_codebooks,
        "codebook_size": config.table_rows,
        "audio_token_id": config.audio_out_id,
        "audio_bos_token_id": config.audio_out_bos_id,
        "audio_delay_token_id": config.delay_id if config.delay_id is not None else config.end_of_text_id,
        "audio_stream_bos_id": config.stream_bos,
        "audio_stream_eos_id": config.stream_eos,
        "pad_token_id": config.end_of_text_id,
        "eos_token_id": config.eot_id,
        "bos_token_id": config.end_of_text_id,
    }


def _peer_options(config: LMConfig, sampling: SamplingOptions) -> dict[str, Any]:
    options: dict[str, Any] = {
        "do_sample": sampling.temperature > 0,
        "eos_token_id": config.eot_id,
        "pad_token_id": config.end_of_text_id,
    }
    if sampling.temperature > 0:
        # transformers draws from its own default of 50 unless told to keep all
        options |= {"temperature": sampling.temperature, "top_k": sampling.top_k or 0, "top_p": sampling.top_p or 1.0}
    if sampling.repetition_window is not None:
        options |= {"ras_win_len": sampling.repetition_window, "ras_win_max_num_repeat": sampling.repetition_limit}
    return options
