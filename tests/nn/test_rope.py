"""Rotary positions: rotation angles, the Llama 3 scaling, and relativity."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from parlando.nn.rope import RopeConfig, RopeTable, rope_frequencies, rotate, rotate_

LLAMA3 = RopeConfig(500000.0, 32.0, 1.0, 4.0, 8192)


def test_plain_frequencies_are_powers_of_theta():
    assert rope_frequencies(RopeConfig(theta=10000.0), 8).tolist() == pytest.approx([1, 0.1, 0.01, 0.001])


def test_llama3_frequencies_equal_the_reference():
    scaling = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    reference = LlamaConfig(hidden_size=256, num_attention_heads=2, head_dim=128, rope_parameters=scaling)
    expected, _ = ROPE_INIT_FUNCTIONS["llama3"](reference, "cpu")
    torch.testing.assert_close(rope_frequencies(LLAMA3, 128), expected, atol=0, rtol=2e-6)


def test_both_published_parametrisations_are_the_same():
    other = RopeConfig(500000.0, 32.0, 0.125, 0.5, 1024)
    assert torch.equal(rope_frequencies(LLAMA3, 128), rope_frequencies(other, 128))


def test_scaling_leaves_short_waves_and_stretches_long_ones():
    ratio = rope_frequencies(RopeConfig(500000.0), 128) / rope_frequencies(LLAMA3, 128)
    assert ratio[0] == 1
    assert ratio[-1] == 32
    assert bool((ratio.diff() >= -1e-5).all())


def test_rotation_turns_each_pair_by_its_angle():
    table = RopeTable.build(RopeConfig(theta=100.0), 4, 6, torch.zeros(1)).at(torch.tensor([5]))
    turned = rotate(torch.tensor([[[1.0, 1.0, 0.0, 0.0]]]), table)[0, 0]
    assert turned.tolist() == pytest.approx([math.cos(5), math.cos(0.5), math.sin(5), math.sin(0.5)], abs=1e-6)


def test_products_depend_on_the_distance_only():
    table = RopeTable.build(LLAMA3, 16, 100, torch.zeros(1, dtype=torch.float64))
    q, k = torch.randn(2, 1, 16, dtype=torch.float64).unbind(0)
    products = [
        float((rotate(q[None], table.at(slice(i + 7, i + 8))) * rotate(k[None], table.at(slice(i, i + 1)))).sum())
        for i in (0, 3, 92)
    ]
    assert products == pytest.approx([products[0]] * 3, rel=1e-4)


def test_table_takes_dtype_from_like_and_changes_it():
    table = RopeTable.build(LLAMA3, 8, 3, torch.zeros(1, dtype=torch.bfloat16))
    assert table.cos.dtype == torch.bfloat16
    assert table.to(torch.float32).sin.dtype == torch.float32
    assert table.at(slice(2)).cos.shape == (2, 1, 8)


def test_rotating_in_place_is_rotating():
    table = RopeTable.build(LLAMA3, 8, 50, torch.zeros(1)).at(slice(40, 43))
    x = torch.randn(3, 6, 8)
    expected = rotate(x[:, :4], table)
    before = x.clone()
    rotate_(x[:, :4], table)
    torch.testing.assert_close(x[:, :4], expected)
    assert torch.equal(x[:, 4:], before[:, 4:])
