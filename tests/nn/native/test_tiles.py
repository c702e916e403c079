"""Products on matrix units against the same in plain numbers: all kinds, sizes that fill no block, and lone rows."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from parlando.nn.few_bits import FORMATS
from parlando.nn.native.tiles import KINDS, Tiled, has_tiles

pytestmark = pytest.mark.skipif(not has_tiles(), reason="this processor has no matrix units")

# Outputs and inputs: whole blocks, parts of one, an odd number of tiles across, and several tiles deep.
SIZES = [(64, 64), (1, 32), (47, 96), (130, 160), (96, 896)]
ROWS = [1, 2, 8, 15, 16, 17, 31, 32, 33, 40, 70]


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def kept_as(kind, weight):
    """The product and the matrix that it stands for."""
    if kind == "bfloat16":
        narrow = weight.bfloat16()
        return Tiled(kind, narrow, None, len(weight)), narrow.float()
    kept, scale = FORMATS[kind].encode(weight)
    return Tiled(kind, kept, scale, len(weight)), FORMATS[kind].decode(kept, scale, torch.float32)[: len(weight)]


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_products_are_those_of_plain_numbers(kind, size, threads):
    product, meant = kept_as(kind, numbers(*size))
    for many in ROWS:
        x = numbers(many, size[1], seed=many)
        expected = x.bfloat16().double() @ meant.double().t()
        found = product(x)
        assert found.dtype == torch.float32
        assert ((found - expected).norm() / expected.norm()).item() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_the_same_alone_and_beside_any_others(kind, threads):
    product, _ = kept_as(kind, numbers(130, 896))
    x = numbers(70, 896, seed=1)
    alone = torch.cat([product(row[None]) for row in x])
    for many in ROWS:
        assert torch.equal(product(x[:many]), alone[:many])


@pytest.mark.parametrize("kind", KINDS)
def test_something_is_added_before_rounding(kind):
    product, _ = kept_as(kind, numbers(47, 96))
    x, beside, bias = numbers(9, 96, seed=1), numbers(9, 47, seed=2), numbers(47, seed=3)
    plain = product(x)
    for to in (beside, bias):
        assert torch.equal(product(x, to), plain + to)
        narrow = to.bfloat16()
        assert torch.equal(product(x.bfloat16(), narrow), (plain + narrow.float()).bfloat16())
    assert torch.equal(product(x.bfloat16()), plain.bfloat16())


def test_other_dtypes_are_float32_meanwhile():
    product, _ = kept_as("int8", numbers(64, 64))
    x = numbers(3, 64, seed=1).half()
    assert torch.equal(product(x), product(x.float()).half())


def test_rows_may_lie_apart_in_memory():
    product, _ = kept_as("int8", numbers(64, 64))
    x = numbers(5, 128, seed=1)[:, ::2]
    assert torch.equal(product(x), product(x.clone()))


def test_pytorchs_own_matrix_products_go_on_beside_them():
    """They set the tiles up otherwise, and may take them for what they left."""
    product, meant = kept_as("bfloat16", numbers(64, 64))
    x = numbers(32, 64, seed=1).bfloat16()
    expected = x @ meant.bfloat16().t()
    for _ in range(3):
        product(x)
        assert torch.equal(x @ meant.bfloat16().t(), expected)


def test_inputs_that_fill_no_tile_have_no_such_product():
    assert not Tiled.fits(numbers(64, 48), 48)
    assert Tiled.fits(numbers(64, 64), 64)


ALL_THERE = """
import torch
from parlando.nn.native.tiles import Tiled, has_tiles
assert has_tiles()
torch.set_num_threads(3)
weight, x = torch.ones(200, 64).bfloat16(), torch.ones(40, 64)
found = Tiled("bfloat16", weight, None, 200)(x)
assert torch.equal(found, torch.full((40, 200), 64.0))
print("all")
"""


def test_all_is_computed_where_fewer_threads_are_to_be_had():
    limited = os.environ | {"OMP_THREAD_LIMIT": "2"}
    done = subprocess.run([sys.executable, "-c", ALL_THERE], env=limited, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "all", done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_its_memory_is_of_32_bits_whatever_the_default(kind):
    product, _ = kept_as(kind, numbers(130, 896))
    x = numbers(40, 896, seed=1)
    expected = product(x)
    torch.set_default_dtype(torch.bfloat16)
    try:
        found = product(x)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_are_no_rows_and_others_must_fit(kind):
    product, _ = kept_as(kind, numbers(130, 64))
    assert product(torch.zeros(0, 64)).shape == (0, 130)
    with pytest.raises(AssertionError):
        product(torch.zeros(2, 32))
    with pytest.raises(AssertionError):
        product(torch.zeros(4, 64), torch.zeros(1, 130))
