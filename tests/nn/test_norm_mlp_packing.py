"""Small blocks: RMSNorm, the gated MLP, and packed linears."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from parlando.nn.mlp import GatedMLP
from parlando.nn.norm import FastRMSNorm, RMSNorm
from parlando.nn.packing import pack_linears


def test_rms_norm_equals_its_formula():
    norm = RMSNorm(4, 0.25)
    nn.init.normal_(norm.weight)
    x = torch.randn(3, 4)
    expected = x / (x.square().mean(-1, keepdim=True) + 0.25).sqrt() * norm.weight
    torch.testing.assert_close(norm(x), expected)


def test_rms_norm_in_bfloat16_has_float32_statistics():
    norm = RMSNorm(512, 1e-5).bfloat16()
    x = (torch.randn(2, 512) * 100).bfloat16()
    expected = functional.rms_norm(x.float(), (512,), None, 1e-5).bfloat16()
    assert norm(x).dtype == torch.bfloat16
    assert torch.equal(norm(x), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fast_rms_norm_equals_the_module(dtype):
    norm = RMSNorm(64, 0.25).to(dtype)
    nn.init.normal_(norm.weight)
    for scale in (1e-3, 1.0, 1e3):
        x = (torch.randn(3, 64) * scale).to(dtype)
        torch.testing.assert_close(FastRMSNorm(norm)(x), norm(x).detach())


def test_gated_mlp_equals_its_formula():
    mlp = GatedMLP(4, 6)
    x = torch.randn(2, 3, 4)
    gate = x @ mlp.gate_proj.weight.T
    expected = (gate * torch.sigmoid(gate) * (x @ mlp.up_proj.weight.T)) @ mlp.down_proj.weight.T
    torch.testing.assert_close(mlp(x), expected)


def test_packed_product_is_the_linears_side_by_side():
    linears = [nn.Linear(5, outputs, bias=False) for outputs in (3, 2, 4)]
    x = torch.randn(7, 5)
    expected = torch.cat([linear(x) for linear in linears], dim=-1)
    packed = pack_linears(linears)
    assert packed.is_contiguous()
    torch.testing.assert_close(x @ packed, expected)
    torch.testing.assert_close(torch.cat([linear(x) for linear in linears], dim=-1), expected)


def test_packed_weights_follow_the_linears():
    linears = [nn.Linear(5, 3, bias=False), nn.Linear(5, 2, bias=False)]
    packed = pack_linears(linears)
    with torch.no_grad():
        linears[1].weight.zero_()
    assert packed[:, 3:].eq(0).all()
    assert packed[:, :3].ne(0).all()
