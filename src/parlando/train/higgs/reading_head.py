"""Finds the head of a trained language model that looks at what is said next, if one of them has come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from parlando.core.types import Prompt
from parlando.models.higgs.config import ReadingHead
from parlando.models.higgs.lm import DualFFNLayer, HiggsLM
from parlando.nn.attention import CausalSelfAttention
from parlando.nn.following import TextFollower
from parlando.nn.rope import RopeTable, rotate

LEAST_SCORE, AS_GOOD = 0.4, 0.1


@torch.inference_mode()
def find_reading_head(lm: HiggsLM, spoken: Sequence[Prompt]) -> ReadingHead | None:
    """The head that follows these sentences best; none, if none follows them. Of those about as good it is one of the
    lowest layer: the higher a layer, the further ahead of the sound its heads look.

    Each sentence is a prompt with its sentence's positions that goes on in the delayed frames of its speech.
    """
    if not spoken:
        return None
    scores = np.mean(
        [[[_score(head, prompt) for head in layer] for layer in _looks(lm, prompt)] for prompt in spoken], 0
    )
    layer = int((scores.max(axis=1) >= scores.max() - AS_GOOD).argmax())
    head = int(scores[layer].argmax())
    return ReadingHead(layer, head) if scores[layer, head] >= LEAST_SCORE else None


def _looks(lm: HiggsLM, prompt: Prompt) -> list[Float[np.ndarray, "head frame position"]]:
    """What every head of every layer looks at from each frame."""
    seen: list[tuple[Any, ...]] = []
    attentions = [cast("DualFFNLayer", layer).self_attn for layer in lm.layers]
    handles = [attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs)) for attention in attentions]
    try:
        audio_mask = torch.from_numpy(prompt.audio_mask)
        codes = torch.zeros(len(prompt), lm.config.num_codebooks, dtype=torch.int64)
        codes[audio_mask] = torch.from_numpy(prompt.codes)
        lm(torch.tensor(prompt.tokens)[None], codes[None], audio_mask[None])
    finally:
        for handle in handles:
            handle.remove()
    frames = torch.from_numpy(np.flatnonzero(prompt.audio_mask))
    return [_weights(attention, *inputs)[:, frames].numpy() for attention, inputs in zip(attentions, seen, strict=True)]


def _weights(
    attention: CausalSelfAttention,
    x: Float[Tensor, "1 position dim"],
    rope: RopeTable,
    mask: Float[Tensor, "position position"],
) -> Float[Tensor, "head position position"]:
    config, length = attention.config, x.shape[1]
    queries, keys = (
        rotate(part(x)[0].view(length, -1, config.head_dim), rope.to(x.dtype)).transpose(0, 1)
        for part in (attention.q_proj, attention.k_proj)
    )
    keys = keys.repeat_interleave(config.num_heads // config.num_kv_heads, dim=0)
    return (queries @ keys.transpose(1, 2) * config.head_dim**-0.5 + mask).softmax(dim=-1).float()


def _score(looks: Float[np.ndarray, "frame position"], prompt: Prompt) -> float:
    """How much of its attention lies where it has come to, times how far it comes."""
    positions, follower = range(*prompt.sentence_positions), TextFollower(1)
    follower.begin(0, positions, 0)
    weights = []
    for frame in looks[: len(looks) - prompt.codes.shape[1]]:  # what is forced at the end says nothing
        follower.follow(0, frame)
        weights.append(frame[positions[follower.place(0)]])
    return float(np.mean(weights)) * follower.place(0) / max(1, len(positions) - 1)
