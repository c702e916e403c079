"""Sizes of self-attention with grouped keys and values (GQA, Ainslie et al., 2023)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AttentionConfig:
    """Heads of `head_dim` components; `num_heads` must be a multiple of `num_kv_heads`."""

    hidden_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    qkv_bias: bool = False
