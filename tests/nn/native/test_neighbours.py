"""The compiled blocks against the same ones in PyTorch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.nn import functional

from parlando.nn.native import kernel
from parlando.nn.native.neighbours import BlockWeights, NeighbourStack

DIM, INNER, EPSILON = 32, 48, 1e-5
needs_kernel = pytest.mark.skipif(kernel.library() is None, reason="no compiled kernel for this processor")


def make_blocks(count, is_half):
    torch.manual_seed(0)
    shapes = ((DIM,), (DIM,), (3 * DIM, INNER), (INNER,), (INNER, DIM), (DIM,))
    blocks = [BlockWeights(*(0.3 * torch.randn(shape) for shape in shapes)) for _ in range(count)]
    return [BlockWeights(*(t.half().float() for t in vars(b).values())) for b in blocks] if is_half else blocks


def in_torch(blocks, x):
    for block in blocks:
        padded = functional.pad(functional.layer_norm(x, (DIM,), block.scale, block.shift, EPSILON), (0, 0, 1, 1))
        three = torch.cat((padded[:-2], padded[1:-1], padded[2:]), dim=1)
        wide = functional.gelu(three @ block.widen + block.widen_bias)
        x = x + wide @ block.narrow + block.narrow_bias
    return x


@needs_kernel
@pytest.mark.parametrize("frames", [0, 1, 2, 7, 8, 9, 33, 70])
@pytest.mark.parametrize("is_half", [False, True])
def test_blocks_equal_those_in_torch(frames, is_half):
    blocks, x = make_blocks(3, is_half), 2 * torch.randn(frames, DIM, generator=torch.Generator().manual_seed(1))
    given = x.clone()
    made = NeighbourStack(blocks, EPSILON)(x)
    torch.testing.assert_close(made, in_torch(blocks, x), atol=2e-5, rtol=1e-5)
    assert torch.equal(x, given), "what came in is not changed"


@needs_kernel
def test_other_types_of_input_and_another_default_are_the_same():
    blocks, x = make_blocks(2, is_half=False), torch.randn(9, DIM).bfloat16()
    stack = NeighbourStack(blocks, EPSILON)
    expected = in_torch(blocks, x.float())
    torch.set_default_dtype(torch.bfloat16)
    try:
        made = stack(x)
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(made, expected, atol=2e-5, rtol=1e-5)


@needs_kernel
def test_what_is_far_away_does_not_change_a_frame_at_all():
    stack, x = NeighbourStack(make_blocks(2, is_half=False), EPSILON), torch.randn(60, DIM)
    whole = stack(x)
    for start, stop in [(0, 20), (13, 50), (37, 60)]:
        part = stack(x[start:stop])
        first, last = (2 if start else 0), (stop - start - 2 if stop < len(x) else stop - start)
        assert torch.equal(part[first:last], whole[start + first : start + last])


@needs_kernel
@pytest.mark.parametrize("value", [-100.0, -6.0, -1e-3, 0.0, 1e-3, 6.0, 100.0])
def test_the_curve_between_the_layers_is_that_of_torch(value):
    zeros = torch.zeros(DIM)
    block = BlockWeights(zeros, zeros, torch.zeros(3 * DIM, INNER), torch.full((INNER,), value),
                         torch.eye(INNER, DIM), zeros)  # fmt: skip
    made = NeighbourStack([block], EPSILON)(torch.zeros(1, DIM))
    torch.testing.assert_close(made, functional.gelu(torch.full((1, DIM), value)), atol=3e-7, rtol=1e-6)


@needs_kernel
def test_threads_may_share_a_stack():
    stack = NeighbourStack(make_blocks(3, is_half=False), EPSILON)
    inputs = [torch.randn(40, DIM, generator=torch.Generator().manual_seed(seed)) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(stack, inputs))
    assert all(torch.equal(made, stack(x)) for made, x in zip(together, inputs, strict=True))


def test_odd_sizes_other_types_and_no_kernel_are_left_to_torch(monkeypatch):
    assert not NeighbourStack.fits(DIM + 1, INNER, torch.zeros(1))
    assert not NeighbourStack.fits(DIM, INNER + 1, torch.zeros(1))
    assert not NeighbourStack.fits(DIM, INNER, nn.Linear(1, 1).half().weight)
    assert NeighbourStack.fits(DIM, INNER, torch.zeros(1)) == (kernel.library() is not None)
    monkeypatch.setattr("parlando.nn.native.library.library", lambda: None)
    assert not NeighbourStack.fits(DIM, INNER, torch.zeros(1))
