"""Random weights that cost nothing to make."""

from __future__ import annotations

import torch
from torch import nn

from parlando.evaluate.speed import random_weights
from parlando.evaluate.speed.random_weights import with_random_weights


def test_matrices_are_normal_norms_one_and_biases_zero(monkeypatch):
    monkeypatch.setattr(random_weights, "BLOCK", 997)
    made = with_random_weights(lambda: nn.Sequential(nn.Linear(40, 70), nn.LayerNorm(70)), torch.bfloat16)
    linear, norm = made
    assert linear.weight.dtype == norm.weight.dtype == torch.bfloat16
    assert abs(linear.weight.float().std().item() - 0.02) < 0.002
    assert torch.equal(linear.weight.flatten()[:1000], linear.weight.flatten()[997:1997][:1000])
    assert len(linear.weight.unique(dim=0)) == 70
    assert not linear.bias.any()
    assert norm.weight.eq(1).all()
    assert torch.get_default_dtype() == torch.float32
    assert not made.training
