"""The audio tower: Whisper's encoder (Radford et al., 2022), with names and numbers as published checkpoints have them.

Higgs Audio (``audio_tower``) and Qwen2-Audio average pairs of frames before the last norm; Whisper does not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.models.understanding.config import TowerConfig

LONGEST_WAVE = 10_000.0


class Heard(NamedTuple):
    """States of every frame and, pooled where the tower pools, those that are handed on; how many of each are real."""

    frames: Float[Tensor, "batch frame dim"]
    num_frames: Int[Tensor, " batch"]
    pooled: Float[Tensor, "batch pooled dim"]
    num_pooled: Int[Tensor, " batch"]


class Norm(nn.LayerNorm):
    """Layer normalisation whose result is what products take that are computed in fewer bits, cast once for all."""

    def forward(self, x: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame dim"]:
        """Normalise."""
        result, kind = super().forward(x), x.device.type
        return result.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else result


class Attention(nn.Module):
    """Self-attention over all frames of a recording; keys have no bias, as in Whisper."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.k_proj = nn.Linear(dim, dim, bias=False)
        self.v_proj, self.q_proj, self.out_proj = (nn.Linear(dim, dim) for _ in range(3))

    def forward(
        self, x: Float[Tensor, "batch frame dim"], absent: Bool[Tensor, "batch 1 1 frame"]
    ) -> Float[Tensor, "batch frame dim"]:
        """Written out: on processors, the backward pass of the fused kernel costs more at these lengths."""
        q, k, v = (
            projection(x).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
        weights = scores.masked_fill(absent, -torch.inf).softmax(-1).to(v.dtype)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))


class TowerLayer(nn.Module):
    """Attention and a feed-forward block, each after a norm."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        dim = config.d_model
        self.self_attn = Attention(dim, config.encoder_attention_heads)
        self.self_attn_layer_norm, self.final_layer_norm = Norm(dim), Norm(dim)
        self.fc1, self.fc2 = nn.Linear(dim, config.encoder_ffn_dim), nn.Linear(config.encoder_ffn_dim, dim)

    def forward(
        self, x: Float[Tensor, "batch frame dim"], absent: Bool[Tensor, "batch 1 1 frame"]
    ) -> Float[Tensor, "batch frame dim"]:
        """One layer."""
        x = x + self.self_attn(self.self_attn_layer_norm(x), absent)
        return x + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))


class AudioTower(nn.Module):
    """Features of a recording to states, half as many."""

    def __init__(self, config: TowerConfig, num_bands: int) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv1d(num_bands, config.d_model, 3, padding=1)
        self.conv2 = nn.Conv1d(config.d_model, config.d_model, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.max_source_positions, config.d_model)
        self.embed_positions.weight = nn.Parameter(_sinusoids(*self.embed_positions.weight.shape), requires_grad=False)
        self.layers = nn.ModuleList(TowerLayer(config) for _ in range(config.encoder_layers))
        self.layer_norm = Norm(config.d_model)

    def forward(self, features: Float[Tensor, "batch band mel"], mels: Int[Tensor, " batch"]) -> Heard:
        """States, those past the end of each recording of no meaning; ``mels`` are how many frames are real."""
        x = functional.gelu(self.conv1(features))
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.embed_positions.weight[: x.shape[1]]
        num_frames = (mels + 1) // 2
        absent = (torch.arange(x.shape[1], device=x.device) >= num_frames[:, None])[:, None, None]
        for layer in self.layers:
            x = layer(x, absent)
        frames = self.layer_norm(x)
        if not self.config.pooled:
            return Heard(frames, num_frames, frames, num_frames)
        pooled = functional.avg_pool1d(x.transpose(1, 2), 2).transpose(1, 2)
        return Heard(frames, num_frames, self.layer_norm(pooled), num_frames // 2)


def _sinusoids(count: int, dim: int) -> Float[Tensor, "position dim"]:
    """Whisper's: sines in the first half, cosines in the second."""
    rates = torch.exp(-math.log(LONGEST_WAVE) / max(dim // 2 - 1, 1) * torch.arange(dim // 2))
    angles = torch.arange(count)[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1)
