"""Matrices in few bits: how near they stay, what they take, and that the processor's kernels compute what is meant."""

from __future__ import annotations

import pytest
import torch

from parlando.nn import few_bits
from parlando.nn.few_bits import BLOCK, FORMATS, GROUP, format_for

# Root mean square errors against the weights, which are normal, of the worst output.
ERRORS = {"int8": 0.012, "int4": 0.13, "fp8": 0.035, "half": 0.0003}
BITS = {"int8": 8, "int4": 4, "fp8": 8, "half": 16}


def weights(outputs=2 * BLOCK, inputs=4 * GROUP, seed=0):
    generator = torch.Generator().manual_seed(seed)
    spread = torch.logspace(-2, 1, outputs)[:, None]
    return torch.randn(outputs, inputs, generator=generator) * spread


def share(error, of):
    """Root mean square by output, so that large rows do not hide small ones; the worst."""
    return (error.square().mean(1).sqrt() / of.square().mean(1).sqrt()).max().item()


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_kept_stands_for_nearly_the_same_matrix(kind):
    weight, format_ = weights(), FORMATS[kind]
    kept, scale = format_.encode(weight)
    assert share(format_.decode(kept, scale, torch.float32) - weight, weight) < ERRORS[kind]
    assert (tuple(kept.shape), tuple(scale.shape)) == format_.shapes(*weight.shape)
    assert (kept.dtype, scale.dtype) == format_.dtypes()
    assert kept.numel() * kept.element_size() * 8 == BITS[kind] * weight.numel()
    assert not kept.is_floating_point(), "casting a module must leave it alone"


@pytest.mark.parametrize("kind", FORMATS)
def test_scales_mean_the_same_in_every_dtype(kind):
    kept, scale = FORMATS[kind].encode(weights())
    assert torch.equal(scale.float().bfloat16(), scale)
    narrow, wide = (FORMATS[kind].decode(kept, scale.to(dtype), dtype) for dtype in (torch.bfloat16, torch.float32))
    assert share(narrow.float() - wide, wide) < 0.006


@pytest.mark.parametrize("kind", FORMATS)
def test_a_matrix_of_zeros_and_equal_rows_stays_what_it_is(kind):
    weight = torch.zeros(BLOCK, GROUP)
    weight[1] = 0.5
    decoded = FORMATS[kind].decode(*FORMATS[kind].encode(weight), torch.float32)
    torch.testing.assert_close(decoded, weight, atol=1e-30, rtol=0.005)


@pytest.mark.parametrize("outputs", [1, 63, 64, 65, 130])
def test_int4_fills_up_blocks_of_outputs(outputs):
    weight = weights(outputs, GROUP)
    kept, scale = FORMATS["int4"].encode(weight)
    assert len(kept) == -(-outputs // BLOCK)
    assert share(FORMATS["int4"].decode(kept, scale, torch.float32)[:outputs] - weight, weight) < ERRORS["int4"]


def test_int4_of_a_broken_group_is_int8():
    assert format_for("int4", GROUP + 1) is FORMATS["int8"]
    assert format_for("int4", GROUP) is FORMATS["int4"]


@pytest.mark.parametrize("rows", [1, 2, 7, 16])
@pytest.mark.parametrize(("kind", "most"), [("int8", 0.012), ("int4", 0.012), ("fp8", 0.05)])
def test_few_rows_are_multiplied_by_what_is_meant(kind, most, rows):
    weight, format_ = weights(), FORMATS[kind]
    kept, scale = format_.encode(weight)
    product = format_.few_rows(kept, scale)
    if product is None:
        pytest.skip("this processor has no kernel for it")
    x = torch.randn(rows, weight.shape[1], generator=torch.Generator().manual_seed(rows))
    meant = x @ format_.decode(kept, scale, torch.float32).t()
    found = product(x)
    assert found.dtype == x.dtype
    assert ((found - meant).norm() / meant.norm()).item() < most
    if kind != "fp8":
        alone = torch.cat([product(row[None]) for row in x])
        assert torch.equal(alone, found), "a row's numbers must not depend on what is beside it"


def misplaced(tensor):
    """The same in memory that lies two bytes beyond what processors like, as a file's may."""
    raw = torch.empty(tensor.numel() * tensor.element_size() + 128, dtype=torch.uint8)
    start = -raw.data_ptr() % 64 + 2
    return (
        raw[start : start + tensor.numel() * tensor.element_size()].view(tensor.dtype).view(tensor.shape).copy_(tensor)
    )


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_memory_may_lie_anywhere(kind):
    kept, scale = FORMATS[kind].encode(weights())
    product = FORMATS[kind].few_rows(kept, scale)
    if product is None:
        pytest.skip("this processor has no kernel for it")
    x = torch.randn(6, 4 * GROUP).bfloat16()
    moved = FORMATS[kind].few_rows(misplaced(kept), misplaced(scale))(misplaced(x))
    assert torch.equal(moved, product(x))


def test_there_is_no_kernel_for_inputs_that_it_would_read_beyond():
    int8 = FORMATS["int8"]
    assert int8.few_rows(*int8.encode(weights(16, 20))) is None
    assert FORMATS["fp8"].few_rows(*FORMATS["fp8"].encode(weights(16, 20))) is None


def test_int4_is_widened_where_the_processor_lays_blocks_otherwise(monkeypatch):
    monkeypatch.setattr(few_bits, "_kernel_reads_blocks", lambda: False)
    assert FORMATS["int4"].few_rows(*FORMATS["int4"].encode(weights())) is None
