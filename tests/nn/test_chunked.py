"""Chunks, and the memories that let a sequence come in pieces."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from parlando.nn.chunked import CausalConv1d, ChunkGrid, ConvHistory, KeyValueMemory, Span, TableMemory

CPU = torch.device("cpu")


def seen_by_definition(total: int, size: int, left: int | None) -> torch.Tensor:
    """[query, key], one pair at a time."""
    far = total if left is None else left
    rows = [[0 <= query // size - key // size <= far for key in range(total)] for query in range(total)]
    return torch.tensor(rows, dtype=torch.bool).view(total, total)


@settings(max_examples=40, deadline=None)
@given(total=st.integers(1, 30), chunks=st.integers(0, 6), size=st.integers(1, 7), left=st.none() | st.integers(0, 3))
def test_visibility_of_a_pass_is_a_part_of_the_definition(total, chunks, size, left):
    past = min(chunks * size, (total - 1) // size * size)
    found = Span(past, total - past, ChunkGrid(size, left)).visibility(CPU)
    held = past if left is None else min(past, left * size)
    expected = seen_by_definition(total, size, left)[past:, past - held :]
    if found is None:
        assert expected.all()
    else:
        assert torch.equal(found[0, 0], expected)


def test_one_chunk_and_full_attention_need_no_mask():
    assert Span(75, 25, ChunkGrid(25)).visibility(CPU) is None
    assert Span(75, 25, ChunkGrid(25, 2)).visibility(CPU) is None
    assert Span(0, 100).visibility(CPU) is None
    assert Span(75, 26, ChunkGrid(25)).visibility(CPU) is not None


def test_padding_is_seen_by_padding_only():
    span = Span(0, 4, ChunkGrid(2), torch.tensor([4, 1]))
    full, short = span.visibility(CPU)[:, 0]
    assert torch.equal(full, seen_by_definition(4, 2, None))
    assert short.tolist() == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, True],
        [True, True, True, True],
    ]
    assert span.scaled(2).valid().tolist() == [[True] * 8, [True] * 2 + [False] * 6]


def test_scaling_keeps_the_chunks():
    assert Span(25, 50, ChunkGrid(25, 3)).scaled(2) == Span(50, 100, ChunkGrid(50, 3))


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=12), reach=st.none() | st.integers(0, 12))
def test_a_memory_returns_what_it_reaches_and_the_new(sizes, reach):
    everything = torch.arange(2.0 * sum(sizes) * 3).view(2, 1, sum(sizes), 3)
    memory, end = KeyValueMemory(lasting=True, reach=reach), 0
    for size in sizes:
        first = 0 if reach is None else max(0, end - reach)
        keys, values = memory.append(everything[:, :, end : end + size], -everything[:, :, end : end + size])
        end += size
        assert torch.equal(keys, everything[:, :, first:end])
        assert torch.equal(values, -everything[:, :, first:end])


def test_a_memory_moves_each_position_a_bounded_number_of_times():
    memory, one = KeyValueMemory(lasting=True), torch.zeros(1, 1, 1, 1)
    places = [memory.append(one, one)[0].untyped_storage().data_ptr() for _ in range(1000)]
    assert len(set(places)) <= 20


def test_a_bounded_memory_takes_bounded_storage():
    memory, chunk = KeyValueMemory(lasting=True, reach=20), torch.zeros(1, 1, 10, 1)
    sizes = {memory.append(chunk, chunk)[0].untyped_storage().nbytes() for _ in range(100)}
    assert max(sizes) <= 2 * 1.5 * 30 * 4


def test_memories_that_do_not_last_hold_nothing():
    chunk = torch.ones(1, 1, 3, 2)
    memory, history, table = KeyValueMemory(lasting=False), ConvHistory(lasting=False), TableMemory(lasting=False)
    for _ in range(2):
        assert memory.append(chunk, chunk)[0] is chunk
        assert history.extend(chunk[0], 2)[:, :2].abs().max() == 0
        assert table.reaching(3, torch.zeros)[0].shape == (3,)


def test_a_table_is_made_again_only_when_the_reach_doubles():
    made, memory = [], TableMemory(lasting=True)

    def make(reach: int) -> torch.Tensor:
        made.append(reach)
        return torch.arange(reach)

    for reach in range(25, 1001, 25):
        table, width = memory.reaching(reach, make)
        assert len(table) == width >= reach
    assert made == [25, 50, 100, 200, 400, 800, 1600]


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(0, 6), min_size=1, max_size=8), kernel=st.integers(1, 5))
def test_a_causal_convolution_goes_on_where_it_was(sizes, kernel):
    torch.manual_seed(kernel)
    conv = CausalConv1d(3, 2, kernel)
    x = torch.randn(2, sum(sizes) + 1, 3)
    history = ConvHistory(lasting=True)
    with torch.no_grad():
        pieces = [conv(piece, history) for piece in x.split([*sizes, 1], dim=1) if piece.shape[1]]
        whole = conv(x, ConvHistory(lasting=False))
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-6)


def test_a_causal_convolution_looks_only_back():
    conv, x = CausalConv1d(1, 1, 3), torch.zeros(1, 8, 1)
    bumped = x.clone()
    bumped[0, 4] = 1
    changed = (conv(bumped, ConvHistory(lasting=False)) - conv(x, ConvHistory(lasting=False)))[0, :, 0]
    assert changed.ne(0).nonzero().flatten().tolist() == pytest.approx([4, 5, 6])
