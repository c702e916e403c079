"""Where prompts lie that are read together, what of them the cache holds, and attention within each alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parlando.core.types import Prefill, Prompt
from parlando.nn.heads import AttentionConfig
from parlando.nn.kvcache import KVCache
from parlando.nn.prefilling import Prefilling

ATTENTION = AttentionConfig(hidden_size=32, num_heads=4, num_kv_heads=2, head_dim=8)


def prompt(length):
    return Prompt((0,) * length, np.zeros(length, bool), np.zeros((0, 1), np.int64))


def cache():
    return KVCache(ATTENTION, 1, 3, 20, torch.zeros(()))


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def filled(held, prefills, q, pairs):
    filling = Prefilling(prefills, held)
    mixed = filling.attend(0, q, pairs)
    filling.count()
    return mixed


def test_positions_are_those_of_each_prompt():
    held = cache()
    held.advance(2, 3)
    filling = Prefilling([Prefill(prompt(4), 0), Prefill(prompt(5), 2, 3)], held)
    assert filling.positions.tolist() == [0, 1, 2, 3, 3, 4]
    assert filling.lasts == [3, 5]
    with pytest.raises(AssertionError, match="the row holds something else"):
        Prefilling([Prefill(prompt(5), 2, 4)], held)


def test_each_prompt_is_what_it_is_alone():
    q, pairs, lead = drawn(11, 4, 8), drawn(11, 2, 2, 8, seed=1), drawn(3, 2, 2, 8, seed=2)
    prefills = [Prefill(prompt(4), 2), Prefill(prompt(8), 0, 3), Prefill(prompt(2), 1)]
    parts = [slice(0, 4), slice(4, 9), slice(9, 11)]
    together, alone = cache(), cache()
    for held in (together, alone):
        filled(held, [Prefill(prompt(3), 0)], drawn(3, 4, 8), lead)
    mixed = filled(together, prefills, q, pairs)
    apart = [filled(alone, [prefill], q[part], pairs[part]) for prefill, part in zip(prefills, parts, strict=True)]
    assert torch.equal(mixed, torch.cat(apart))
    assert torch.equal(together.pairs, alone.pairs)
    assert [together.length(row) for row in range(3)] == [8, 2, 4]


def test_a_row_counts_nothing_before_all_is_there():
    held = cache()
    held.advance(0, 7)
    filling = Prefilling([Prefill(prompt(4), 0), Prefill(prompt(2), 1)], held)
    filling.attend(0, drawn(6, 4, 8), drawn(6, 2, 2, 8))
    assert [held.length(row) for row in range(2)] == [0, 0]
    filling.count()
    assert [held.length(row) for row in range(2)] == [4, 2]
