"""Conformer layers without their convolution (Gulati et al., 2020): attention over relative positions, feed-forward.

The attention is Transformer-XL's (Dai et al., 2019) with distances of both signs, one pass after another if need be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.nn.chunked import KeyValueMemory, TableMemory

_LONGEST_WAVE = 10_000.0
_NORM_EPS = 1e-12


@dataclass(frozen=True)
class ConformerConfig:
    """Widths of a layer; ``dim`` is split over ``num_heads``."""

    dim: int
    num_heads: int
    inner_dim: int
    dropout: float = 0.0


@dataclass
class ConformerMemory:
    """What one layer remembers of a stream: keys and values, and its projected distances."""

    lasting: bool
    reach: int | None = None
    pairs: KeyValueMemory = field(init=False)
    distances: TableMemory = field(init=False)

    def __post_init__(self) -> None:
        self.pairs = KeyValueMemory(self.lasting, self.reach)
        self.distances = TableMemory(self.lasting)


def distance_waves(reach: int, dim: int, like: Tensor) -> Float[Tensor, "distance dim"]:
    """Sines and cosines, interleaved, of the distances ``reach - 1`` down to ``1 - reach``.

    A positive distance is that of a key before its query. Dtype and device are those of ``like``.
    """
    distances = torch.arange(reach - 1, -reach, -1, device=like.device, dtype=torch.float32)
    steps = torch.arange(0, dim, 2, device=like.device, dtype=torch.float32)
    angles = distances[:, None] * torch.exp(steps * (-math.log(_LONGEST_WAVE) / dim))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).to(like.dtype)


def keys_from_distances(scores: Float[Tensor, "*rest query distance"]) -> Float[Tensor, "*rest query key"]:
    """Scores by distance, the largest first, to scores by key, for queries that are the last of the keys.

    With ``query + key - 1`` distances, row q takes the columns from ``queries - 1 - q`` on.
    """
    *rest, queries, distances = scores.shape
    sheared = functional.pad(scores, (1, 0)).view(*rest, distances + 1, queries)[..., 1:, :]
    return sheared.reshape(*rest, queries, distances)[..., : distances - queries + 1]


class RelativeAttention(nn.Module):
    """Multi-head attention that adds to each score one for the distance between query and key."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        dim, heads = config.dim, config.num_heads
        self.num_heads, self.dropout = heads, config.dropout
        self.linear_q, self.linear_k, self.linear_v, self.linear_out = (nn.Linear(dim, dim) for _ in range(4))
        self.linear_pos = nn.Linear(dim, dim, bias=False)
        self.pos_bias_u, self.pos_bias_v = (nn.Parameter(torch.zeros(heads, dim // heads)) for _ in range(2))

    def forward(
        self,
        x: Float[Tensor, "batch position dim"],
        seen: Bool[Tensor, "#batch 1 position key"] | None,
        memory: ConformerMemory,
    ) -> Float[Tensor, "batch position dim"]:
        """Attend to what the memory holds and to the new positions; ``seen`` None means to all of them."""
        query, key, value = (self._split(layer(x)) for layer in (self.linear_q, self.linear_k, self.linear_v))
        key, value = memory.pairs.append(key, value)
        by_distance = self._distances(x.shape[1], key.shape[2], memory.distances)
        scores = keys_from_distances((query + self.pos_bias_v[:, None]) @ by_distance) * query.shape[-1] ** -0.5
        if seen is not None:
            scores = scores.masked_fill(~seen, float("-inf"))
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            query + self.pos_bias_u[:, None], key, value, attn_mask=scores, dropout_p=dropout
        )
        return self.linear_out(mixed.transpose(1, 2).flatten(2))

    def _distances(self, queries: int, keys: int, memory: TableMemory) -> Float[Tensor, "head dim distance"]:
        """Projected waves of all distances between the last ``queries`` positions and all ``keys``."""
        table, reach = memory.reaching(keys, self._project)
        return table[:, :, reach - keys : reach + queries - 1]

    def _project(self, reach: int) -> Float[Tensor, "head dim distance"]:
        waves = self.linear_pos(distance_waves(reach, self.linear_pos.in_features, self.pos_bias_u))
        return waves.unflatten(1, (self.num_heads, -1)).permute(1, 2, 0)

    def _split(self, x: Float[Tensor, "batch position dim"]) -> Float[Tensor, "batch head position head_dim"]:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Two linear layers with SiLU between."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.w_1 = nn.Linear(config.dim, config.inner_dim)
        self.w_2 = nn.Linear(config.inner_dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Float[Tensor, "*rest dim"]) -> Float[Tensor, "*rest dim"]:
        """Per position."""
        return self.w_2(self.dropout(functional.silu(self.w_1(x))))


class ConformerLayer(nn.Module):
    """Attention and feed-forward, each normalised before and added to its input."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.self_attn = RelativeAttention(config)
        self.feed_forward = FeedForward(config)
        self.norm_mha, self.norm_ff = (nn.LayerNorm(config.dim, _NORM_EPS) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch position dim"],
        seen: Bool[Tensor, "#batch 1 position key"] | None,
        memory: ConformerMemory,
    ) -> Float[Tensor, "batch position dim"]:
        """Same shape in and out; see `RelativeAttention.forward`."""
        x = x + self.dropout(self.self_attn(self.norm_mha(x), seen, memory))
        return x + self.dropout(self.feed_forward(self.norm_ff(x)))
