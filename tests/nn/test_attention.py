"""Attention three ways (training, whole prompt, one cached position) against the plain definition."""

from __future__ import annotations

import pytest
import torch

from parlando.nn.attention import (
    CausalSelfAttention,
    attend,
    attend_cached,
    attend_causal,
    causal_mask,
)
from parlando.nn.heads import AttentionConfig
from parlando.nn.kvcache import KVCache
from parlando.nn.rope import RopeConfig, RopeTable

LENGTH, DIM = 7, 8


def by_definition(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """[position, head, dim] each; loops over heads and positions."""
    group = q.shape[1] // k.shape[1]
    result = torch.zeros_like(q)
    for head in range(q.shape[1]):
        for position in range(len(q)):
            seen = slice(position + 1)
            weights = (k[seen, head // group] @ q[position, head] / DIM**0.5).softmax(0)
            result[position, head] = weights @ v[seen, head // group]
    return result


def random_qkv(heads: int, kv_heads: int) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(heads)
    return torch.randn(LENGTH, heads, DIM), torch.randn(LENGTH, kv_heads, DIM), torch.randn(LENGTH, kv_heads, DIM)


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (6, 1)])
def test_training_and_prompt_attention_equal_the_definition(heads, kv_heads):
    q, k, v = random_qkv(heads, kv_heads)
    expected = by_definition(q, k, v)
    trained = attend(q[None], k[None], v[None], causal_mask(LENGTH, q))[0]
    torch.testing.assert_close(trained, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(attend_causal(q, k, v), expected.flatten(1), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("start", [1, 4, LENGTH - 1])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (6, 1)])
def test_the_last_positions_attend_to_all_before_them(heads, kv_heads, start):
    q, k, v = random_qkv(heads, kv_heads)
    expected = by_definition(q, k, v)[start:].flatten(1)
    torch.testing.assert_close(attend_causal(q[start:], k, v), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (6, 1)])
def test_cached_attention_equals_the_definition_for_rows_of_two_lengths(heads, kv_heads):
    q, k, v = random_qkv(heads, kv_heads)
    expected = by_definition(q, k, v)
    lengths = (LENGTH - 1, 3)
    cache = KVCache(AttentionConfig(0, heads, kv_heads, DIM), 1, 2, 16, q)
    for row, length in enumerate(lengths):
        cache.fill(0, row, k[:length], v[:length])
        cache.advance(row, length)
    plan = cache.plan([True, True])
    index = torch.tensor(lengths)
    mixed = attend_cached(q[index], *cache.append(0, plan, torch.stack((k, v), dim=1)[index]), plan.mask)
    torch.testing.assert_close(mixed, expected[index].flatten(1), atol=1e-6, rtol=1e-5)


def test_block_is_causal_and_takes_biases():
    torch.manual_seed(0)
    block = CausalSelfAttention(AttentionConfig(12, 4, 2, DIM, qkv_bias=True))
    assert {name for name, _ in block.named_parameters()} == {
        *(f"{part}_proj.weight" for part in "qkvo"),
        *(f"{part}_proj.bias" for part in "qkv"),
    }
    x = torch.randn(2, LENGTH, 12)
    rope = RopeTable.build(RopeConfig(), DIM, LENGTH, x).at(slice(LENGTH))
    mask = causal_mask(LENGTH, x)
    changed = x.clone()
    changed[:, 4:] += 1
    before, after = block(x, rope, mask), block(changed, rope, mask)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])
