"""What is compiled for training against the same in PyTorch: values, gradients, and where each is used."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from parlando.nn.attention import CausalSelfAttention, attend, causal_mask, places
from parlando.nn.heads import AttentionConfig
from parlando.nn.mlp import GatedMLP
from parlando.nn.native import training
from parlando.nn.native.library import library
from parlando.nn.norm import RMSNorm
from parlando.nn.rope import RopeConfig, RopeTable, rotate

pytestmark = pytest.mark.skipif(library() is None, reason="no compiled kernel for this processor")
CLOSE = {"atol": 0.02, "rtol": 0.02}  # bfloat16 has eight bits


def random(*shape, seed=0, dtype=torch.bfloat16):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return values.requires_grad_()


def gradients(made, *inputs):
    return torch.autograd.grad(made, inputs, random(*made.shape, seed=9, dtype=made.dtype).detach())


def agree(made, expected, *inputs, wide=None):
    """Values and gradients, those of PyTorch computed in float32."""
    torch.testing.assert_close(made.float(), expected.float(), **CLOSE)
    wide = wide or inputs
    slope = random(*made.shape, seed=9, dtype=made.dtype).detach()
    theirs = torch.autograd.grad(expected, wide, slope.to(expected.dtype))
    for own, other in zip(torch.autograd.grad(made, inputs, slope), theirs, strict=True):
        torch.testing.assert_close(own.float(), other.float(), atol=0.02 * float(other.abs().max()), rtol=0.02)


@pytest.mark.parametrize(("rows", "dim"), [(1, 16), (7, 48), (300, 256)])
def test_the_norm_is_that_of_torch(rows, dim):
    x, weight = random(rows, dim, dtype=torch.float32), random(dim, seed=1, dtype=torch.float32)
    made = training.norm(x, weight, 1e-5)
    expected = functional.rms_norm(x, (dim,), weight, 1e-5)
    assert made.dtype == torch.bfloat16
    assert torch.equal(made, expected.bfloat16())
    agree(made, expected, x, weight)


@pytest.mark.parametrize("shape", [(1, 16), (3, 5, 32)])
def test_the_gate_is_that_of_torch(shape):
    gate, up = random(*shape), random(*shape, seed=1)
    wide = tuple(each.detach().float().requires_grad_() for each in (gate, up))
    agree(training.gated(gate, up), functional.silu(wide[0]) * wide[1], gate, up, wide=wide)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 33, 64])
@pytest.mark.parametrize(("heads", "kv_heads"), [(2, 2), (4, 2), (3, 1)])
def test_attention_is_that_of_torch(length, heads, kv_heads):
    dim = 32
    rope = RopeTable.build(RopeConfig(), dim, length, torch.zeros(())).at(slice(length))
    narrow = [random(2, length, count, dim, seed=count + i) for i, count in enumerate((heads, kv_heads, kv_heads))]
    q, k, v = wide = tuple(each.detach().float().requires_grad_() for each in narrow)
    expected = attend(rotate(q, rope), rotate(k, rope), v, causal_mask(length, q))
    agree(training.attend(*narrow, rope), expected, *narrow, wide=wide)


def test_what_is_added_is_dropped_as_often_as_told_and_the_gradient_with_it():
    x, y = random(400, 64, dtype=torch.float32), random(400, 64, seed=1)
    torch.manual_seed(3)
    made = training.add(x, y, 0.25)
    to_x, to_y = gradients(made, x, y)
    added = (made - x).detach()
    dropped = added == 0
    assert float(dropped.float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(dropped.float().mean(0).std()) < 0.04, "no column is dropped more often than others"
    torch.testing.assert_close(added[~dropped], y.float()[~dropped] / 0.75, atol=1e-5, rtol=1e-5)
    slope = random(400, 64, seed=9, dtype=torch.float32)
    assert torch.equal(to_x, slope)
    assert torch.equal(to_y, torch.where(dropped, 0, slope / 0.75).bfloat16())
    torch.manual_seed(3)
    assert torch.equal(training.add(x, y, 0.25), made)
    assert not torch.equal(training.add(x, y, 0.25), made), "the next one is another draw"


def test_nothing_is_dropped_and_nothing_drawn_without_a_share():
    x, y = random(3, 16, dtype=torch.float32), random(3, 16, seed=1)
    before = torch.get_rng_state()
    assert torch.equal(training.add(x, y, 0.0), x + y.float())
    assert torch.equal(torch.get_rng_state(), before)


def make_block(dim=64):
    torch.manual_seed(0)
    attention = CausalSelfAttention(AttentionConfig(dim, 2, 1, 32, qkv_bias=True))
    return torch.nn.ModuleDict({"norm": RMSNorm(dim, 1e-5), "attention": attention, "mlp": GatedMLP(dim, 96)})


def through(block, x):
    rope, mask = places(RopeConfig(), 32, x.shape[1], x, None)
    return block["mlp"](block["norm"](x + block["attention"](block["norm"](x), rope, mask)))


def test_a_block_under_autocast_uses_them_and_learns_what_it_would_in_torch(monkeypatch):
    block, x = make_block(), random(2, 19, 64, dtype=torch.float32)
    called = []
    call = training._call
    monkeypatch.setattr(training, "_call", lambda name, *rest: (called.append(name), call(name, *rest))[1])
    found = {}
    for fits in (True, False):
        if not fits:
            monkeypatch.setattr(training, "fits", lambda *_: False)
        with torch.autocast("cpu", torch.bfloat16):
            made = through(block, x)
        found[fits] = [made.detach(), *torch.autograd.grad(made.float().square().mean(), [x, *block.parameters()])]
        assert (sorted({name.removesuffix("_back") for name in called}) == ["gate", "norm", "soften", "turn"]) == fits
        called.clear()
    for own, theirs in zip(found[True], found[False], strict=True):
        torch.testing.assert_close(own.float(), theirs.float(), atol=0.03 * float(theirs.abs().max()), rtol=0.05)


@pytest.mark.parametrize("why", ["no autocast", "odd size", "many threads"])
def test_elsewhere_everything_is_torchs_own(monkeypatch, why):
    monkeypatch.setattr(training, "_call", lambda *_: pytest.fail("this is not for the kernel"))
    if why == "many threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: training.MOST_THREADS + 1)
    size = 36 if why == "odd size" else 64
    block, x = RMSNorm(size, 1e-5), torch.randn(2, size)
    with torch.autocast("cpu", torch.bfloat16, enabled=why != "no autocast"):
        assert block(x).dtype == torch.float32


def test_a_gradient_that_is_computed_again_drops_the_same():
    x, y = random(5, 32, dtype=torch.float32), random(5, 32, seed=1)
    torch.manual_seed(1)
    made = torch.utils.checkpoint.checkpoint(training.add, x, y, 0.5, use_reentrant=False)
    dropped = (made - x) == 0
    (to_y,) = torch.autograd.grad(made.sum(), [y])
    assert torch.equal(to_y == 0, dropped)
