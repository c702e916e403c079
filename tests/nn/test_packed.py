"""Sequences in one row: what is packed comes back, and attention stays within each of them."""

import pytest
import torch
from torch.nn.attention.flex_attention import flex_attention

from parlando.nn.attention import attend, attend_packed, causal_mask
from parlando.nn.packed import Packing, merge_rows, take_rows

LENGTHS = torch.tensor([5, 2, 7])


@pytest.fixture
def packing():
    return Packing.of(LENGTHS, 7)


def test_what_is_packed_has_no_padding_and_comes_back(packing):
    grid = torch.arange(42.0).view(3, 7, 2)
    packed = packing.pack(grid)
    assert packed.shape == (1, 14, 2)
    assert len(packing) == 14
    assert packing.positions.tolist() == [*range(5), *range(2), *range(7)]
    again = packing.spread(packed)
    for row, length in enumerate(LENGTHS):
        assert torch.equal(again[row, :length], grid[row, :length])
        assert not again[row, length:].any()


def test_gradients_come_back_the_same_way(packing):
    grid = torch.randn(3, 7, 2, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda x: packing.spread(packing.pack(x)).sin(), grid)


def test_rows_are_taken_and_put_back():
    index = torch.tensor([2, 0, 1])
    rows = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.equal(take_rows(rows, index, index.argsort()), rows[index])
    torch.autograd.gradcheck(lambda x: take_rows(x, index, index.argsort()).sin(), rows)


def test_rows_of_two_kinds_are_merged():
    places = torch.tensor([3, 0, 4, 1, 2])
    first, second = (torch.randn(n, 2, dtype=torch.float64, requires_grad=True) for n in (2, 3))
    assert torch.equal(merge_rows(first, second, places), torch.cat((first, second))[places.argsort()])
    torch.autograd.gradcheck(lambda a, b: merge_rows(a, b, places).sin(), (first, second))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
@pytest.mark.parametrize("core", ["padded", "flex"])
def test_attention_is_that_of_each_sequence_alone(packing, core):
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 14, heads, 4, generator=generator) for heads in (4, 2, 2))
    mixed = packing.flex(q, k, v, run=flex_attention) if core == "flex" else attend_packed(q, k, v, packing)
    start = 0
    for length in LENGTHS.tolist():
        own = slice(start, start + length)
        alone = attend(q[:, own], k[:, own], v[:, own], causal_mask(length, q))
        assert torch.allclose(mixed[:, own], alone, atol=1e-6)
        start += length
