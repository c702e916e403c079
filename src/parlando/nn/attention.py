"""Causal self-attention with grouped keys and values (GQA, Ainslie et al., 2023).

`CausalSelfAttention` is the trainable block, `attend` its core; `attend_cached` is the core for one position per row.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.nn.heads import AttentionConfig
from parlando.nn.native import training
from parlando.nn.packed import Packing
from parlando.nn.rope import RopeConfig, RopeTable, rotate


def causal_mask(length: int, like: Tensor) -> Float[Tensor, "position position"]:
    """Additive mask: 0 where a key is not later than its query, else minus infinity; dtype and device of ``like``."""
    return torch.full((length, length), float("-inf"), dtype=like.dtype, device=like.device).triu(1)


def attend(
    q: Float[Tensor, "batch query head dim"],
    k: Float[Tensor, "batch key kv_head dim"],
    v: Float[Tensor, "batch key kv_head dim"],
    mask: Float[Tensor, "query key"],
) -> Float[Tensor, "batch query head dim"]:
    """Softmax attention written out, for training.

    On CPUs the backward pass of the fused kernel costs more than the two explicit products at these lengths.
    """
    batch, length, heads, dim = q.shape
    kv_heads = k.shape[2]
    grouped = (q * dim**-0.5).view(batch, length, kv_heads, heads // kv_heads, dim).permute(0, 2, 3, 1, 4)
    keys = k.permute(0, 2, 3, 1).unsqueeze(2)
    scores = grouped @ keys + mask
    mixed = scores.softmax(dim=-1).to(v.dtype) @ v.transpose(1, 2).unsqueeze(2)
    return mixed.permute(0, 3, 1, 2, 4).reshape(batch, length, heads, dim)


def attend_packed(
    q: Float[Tensor, "1 row head dim"],
    k: Float[Tensor, "1 row kv_head dim"],
    v: Float[Tensor, "1 row kv_head dim"],
    packing: Packing,
) -> Float[Tensor, "1 row head dim"]:
    """`attend` within each of the sequences of a row, for training.

    FlexAttention on GPUs; it has no backward pass on CPUs, which pad for the attention alone.
    """
    if q.is_cuda:
        return packing.flex(q, k, v)
    mask = causal_mask(packing.longest, q)
    return packing.pack(attend(packing.spread(q), packing.spread(k), packing.spread(v), mask))


def attend_cached(
    q: Float[Tensor, "row head dim"],
    keys: Float[Tensor, "row kv_head position dim"],
    values: Float[Tensor, "row kv_head position dim"],
    mask: Float[Tensor, "row _ _ position"] | None,
) -> Float[Tensor, "row mixed"]:
    """Attention of one new position per row over its cached keys and values.

    The heads of a group act as the queries of one shared key head, so keys are never repeated.
    """
    rows, heads, dim = q.shape
    kv_heads = keys.shape[1]
    grouped = q.view(rows, kv_heads, heads // kv_heads, dim)
    mixed = functional.scaled_dot_product_attention(grouped, keys, values, attn_mask=mask)
    return mixed.reshape(rows, heads * dim)


def attend_causal(
    q: Float[Tensor, "position head dim"],
    k: Float[Tensor, "held kv_head dim"],
    v: Float[Tensor, "held kv_head dim"],
) -> Float[Tensor, "position mixed"]:
    """Attention of a sequence, or of its last positions, over all of it, for inference (fused kernel)."""
    mask = None
    if len(q) < len(k):
        mask = torch.ones(len(q), len(k), dtype=torch.bool, device=q.device).tril(len(k) - len(q))
    q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (q, k, v))
    mixed = functional.scaled_dot_product_attention(
        q, k, v, mask, is_causal=mask is None, enable_gqa=q.shape[1] != k.shape[1]
    )
    return mixed[0].transpose(0, 1).flatten(1)


def places(
    rope: RopeConfig, head_dim: int, length: int, like: Tensor, packing: Packing | None
) -> tuple[RopeTable, Float[Tensor, "position position"] | Packing]:
    """What `CausalSelfAttention` is told of the positions of whole sequences, or of those packed into one row."""
    if packing is None:
        return RopeTable.build(rope, head_dim, length, like).at(slice(length)), causal_mask(length, like)
    return RopeTable.build(rope, head_dim, packing.longest, like).at(packing.positions), packing


class CausalSelfAttention(nn.Module):
    """Projections and rotary positions around `attend`."""

    def __init__(self, config: AttentionConfig) -> None:
        super().__init__()
        self.config = config
        dim, bias = config.hidden_size, config.qkv_bias
        self.q_proj = nn.Linear(dim, config.num_heads * config.head_dim, bias=bias)
        self.k_proj = nn.Linear(dim, config.num_kv_heads * config.head_dim, bias=bias)
        self.v_proj = nn.Linear(dim, config.num_kv_heads * config.head_dim, bias=bias)
        self.o_proj = nn.Linear(config.num_heads * config.head_dim, dim, bias=False)

    def forward(
        self,
        x: Float[Tensor, "batch position dim"],
        rope: RopeTable,
        mask: Float[Tensor, "position position"] | Packing,
    ) -> Float[Tensor, "batch position dim"]:
        """Attend over whole sequences that start at position 0; ``rope`` broadcasts over heads (`RopeTable.at`).

        In place of a mask, how the sequences of a single row lie in it.
        """
        batch, length, _ = x.shape
        q, k, v = (
            projection(x).view(batch, length, -1, self.config.head_dim)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if (
            not isinstance(mask, Packing)
            and training.fits(x, self.config.head_dim // 2)
            and training.is_narrow(q, k, v)
        ):
            return self.o_proj(training.attend(q, k, v, rope).flatten(2))
        table = rope.to(q.dtype)
        q, k = rotate(q, table), rotate(k, table)
        mixed = attend_packed(q, k, v, mask) if isinstance(mask, Packing) else attend(q, k, v, mask.to(q.dtype))
        return self.o_proj(mixed.flatten(2))
