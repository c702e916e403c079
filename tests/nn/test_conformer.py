"""Relative attention against its definition, and layers that take a sequence in pieces."""

from __future__ import annotations

import math

import pytest
import torch

from parlando.nn.chunked import ChunkGrid, Span
from parlando.nn.conformer import (
    ConformerConfig,
    ConformerLayer,
    ConformerMemory,
    RelativeAttention,
    distance_waves,
    keys_from_distances,
)

CONFIG = ConformerConfig(dim=12, num_heads=3, inner_dim=20)


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        parameter.data.normal_(std=0.5)
    return module.eval()


def attention_by_definition(layer: RelativeAttention, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """[position, dim], one pair of positions at a time; distances are those of Transformer-XL, of both signs."""
    length, dim = x.shape
    heads, width = layer.pos_bias_u.shape
    q, k, v = (each(x).view(length, heads, width) for each in (layer.linear_q, layer.linear_k, layer.linear_v))
    mixed = torch.zeros(length, heads, width)
    for head in range(heads):
        for i in range(length):
            scores = torch.full((length,), -math.inf)
            for j in range(length):
                rates = [10_000 ** (-2 * (n // 2) / dim) for n in range(dim)]
                wave = [(math.sin, math.cos)[n % 2]((i - j) * rate) for n, rate in enumerate(rates)]
                position = layer.linear_pos(torch.tensor(wave)).view(heads, width)[head]
                content = (q[i, head] + layer.pos_bias_u[head]) @ k[j, head]
                if seen[i, j]:
                    scores[j] = (content + (q[i, head] + layer.pos_bias_v[head]) @ position) / width**0.5
            mixed[i, head] = scores.softmax(0) @ v[:, head]
    return layer.linear_out(mixed.flatten(1))


@pytest.mark.parametrize("size", [3, 100])
def test_relative_attention_equals_the_definition(size):
    layer, x = randomised(RelativeAttention(CONFIG)), torch.randn(7, 12)
    seen = Span(0, 7, ChunkGrid(size)).visibility(x.device)
    with torch.no_grad():
        found = layer(x[None], seen, ConformerMemory(lasting=False))[0]
        expected = attention_by_definition(layer, x, torch.ones(7, 7) if seen is None else seen[0, 0])
    assert torch.allclose(found, expected, atol=1e-5)


def test_distances_run_from_the_past_to_the_future():
    waves = distance_waves(3, 4, torch.zeros(1))
    assert waves.shape == (5, 4)
    assert torch.allclose(waves[:, 0], torch.tensor([2.0, 1.0, 0.0, -1.0, -2.0]).sin())
    assert torch.allclose(waves[:, 3], (torch.tensor([2.0, 1.0, 0.0, -1.0, -2.0]) / 100).cos())


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (1, 5), (3, 3), (2, 6)])
def test_each_key_gets_the_score_of_its_distance(queries, keys):
    distances = torch.arange(keys - 1, -queries, -1.0)
    found = keys_from_distances(distances.expand(2, queries, -1))
    expected = torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)
    assert torch.equal(found, expected.float().expand(2, -1, -1))


@pytest.mark.parametrize("left_chunks", [None, 0, 1, 2])
@pytest.mark.parametrize("chunks", [[1] * 6, [2, 1, 3], [4, 2]])
def test_layers_in_pieces_equal_the_whole(left_chunks, chunks):
    grid = ChunkGrid(4, left_chunks)
    layers = [randomised(ConformerLayer(CONFIG)) for _ in range(2)]
    x = torch.randn(1, 23, 12)

    def run(x: torch.Tensor, past: int, memories: list[ConformerMemory]) -> torch.Tensor:
        seen = Span(past, x.shape[1], grid).visibility(x.device)
        for layer, memory in zip(layers, memories, strict=True):
            x = layer(x, seen, memory)
        return x

    memories, past, pieces = [ConformerMemory(True, grid.reach) for _ in layers], 0, []
    with torch.no_grad():
        whole = run(x, 0, [ConformerMemory(lasting=False) for _ in layers])
        for count in chunks:
            piece = x[:, past : past + 4 * count]
            pieces.append(run(piece, past, memories))
            past += piece.shape[1]
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-5)


def test_dropout_acts_in_training_only():
    layer = ConformerLayer(ConformerConfig(12, 3, 20, dropout=0.5))
    x = torch.randn(1, 5, 12)

    def run() -> torch.Tensor:
        return layer(x, None, ConformerMemory(lasting=False))

    assert not torch.equal(run(), run())
    layer.eval()
    assert torch.equal(run(), run())
