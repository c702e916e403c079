"""The cache's bookkeeping: lengths, plans and writes."""

from __future__ import annotations

import pytest
import torch

from parlando.nn.heads import AttentionConfig
from parlando.nn.kvcache import KVCache


def new_cache(rows: int = 3, length: int = 6) -> KVCache:
    return KVCache(AttentionConfig(0, 2, 2, 4), 2, rows, length, torch.zeros(1, dtype=torch.bfloat16))


def test_sizes_follow_the_request():
    cache = new_cache()
    assert (cache.rows, cache.capacity) == (3, 6)
    assert cache.keys.shape == cache.values.shape == (2, 3, 2, 6, 4)
    assert cache.keys.dtype == torch.bfloat16


def test_rows_advance_and_are_freed_on_their_own():
    cache = new_cache()
    cache.advance(0, 5)
    cache.advance(2)
    assert [cache.length(row) for row in range(3)] == [5, 0, 1]
    cache.free(0)
    assert [cache.length(row) for row in range(3)] == [0, 0, 1]
    with pytest.raises(AssertionError, match="overrun"):
        cache.advance(2, 6)


def test_a_freed_row_holds_nothing_of_what_was_there():
    cache = new_cache()
    broken = torch.full((4, 2, 4), float("nan"))
    cache.fill(0, 1, broken, broken)
    cache.free(1)
    assert cache.pairs.isfinite().all(), "a prompt that failed before it was counted"
    cache.advance(1, 2)
    cache.append(1, cache.plan([True] * 3), torch.full((3, 2, 2, 4), float("inf"), dtype=torch.bfloat16))
    for row in range(3):
        cache.free(row)
    assert cache.pairs.eq(0).all(), "idle rows are written behind their end, too"


def test_plan_masks_only_when_lengths_differ():
    cache = new_cache()
    for row in range(3):
        cache.advance(row, 2)
    assert cache.plan([True] * 3).mask is None
    cache.advance(1, 2)
    plan = cache.plan([True] * 3)
    assert plan.live == 5
    assert plan.positions.tolist() == [2, 4, 2]
    assert plan.mask[:, 0, 0].eq(0).tolist() == [[True] * 3 + [False] * 2, [True] * 5, [True] * 3 + [False] * 2]


def test_plan_looks_no_further_than_the_longest_live_row():
    cache = new_cache()
    cache.advance(0, 1)
    cache.advance(1, 6)
    plan = cache.plan([True, False])
    assert plan.live == 2
    assert plan.positions.tolist() == [1, 5], "a full idle row is written at its end"


def test_append_writes_each_row_at_its_own_position():
    cache = new_cache()
    cache.advance(1, 3)
    new = torch.arange(1, 25, dtype=torch.bfloat16).view(3, 2, 4)
    keys, values = cache.append(1, cache.plan([True] * 3), torch.stack((new, -new), dim=1))
    assert keys.shape == (3, 2, 4, 4)
    assert torch.equal(keys[0, :, 0], new[0])
    assert torch.equal(keys[1, :, 3], new[1])
    assert torch.equal(values[2, :, 0], -new[2])
    assert cache.keys[0].eq(0).all(), "the other layer is untouched"
    assert int(cache.keys[1].count_nonzero()) == 24


def test_a_copy_is_put_into_rows_any_number_of_times_and_its_row_keeps_it():
    cache = new_cache()
    cache.pairs.copy_(torch.randn(cache.pairs.shape, generator=torch.Generator().manual_seed(0)))
    cache.advance(0, 3)
    held = cache.copy(0)
    cache.fill(0, 0, torch.ones(2, 2, 4), torch.ones(2, 2, 4))
    for row in (1, 2):
        cache.resume(row, held)
        assert torch.equal(cache.pairs[:, :, row, :, :3], cache.pairs[:, :, 0, :, :3])
    assert [cache.length(row) for row in range(3)] == [3, 3, 3]
    assert held.numel() * held.element_size() == 3 * cache.position_bytes


def test_what_follows_is_written_behind_and_comes_back_with_what_was_there():
    cache = new_cache()
    first, second = torch.randn(2, 3, 2, 4).bfloat16(), torch.randn(2, 2, 2, 4).bfloat16()
    cache.fill(1, 2, *first)
    cache.advance(2, 3)
    keys, values = cache.fill(1, 2, *second)
    assert torch.equal(keys, torch.cat((first[0], second[0])))
    assert torch.equal(values, torch.cat((first[1], second[1])))


def test_a_parked_row_goes_on_in_another_bit_by_bit():
    cache = new_cache()
    generator = torch.Generator().manual_seed(0)
    cache.pairs.copy_(torch.randn(cache.pairs.shape, generator=generator))
    cache.advance(0, 4)
    held = cache.pairs[:, :, 0, :, :4].clone()
    parked = cache.park(0)
    assert cache.length(0) == 0
    cache.pairs[:, :, 0] = 7
    cache.resume(2, parked)
    assert cache.length(2) == 4
    assert torch.equal(cache.pairs[:, :, 2, :, :4], held)
