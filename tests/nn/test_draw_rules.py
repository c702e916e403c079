"""Sampling by other rules: a nucleus of the whole distribution, redraws of others, and forbidden tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parlando.core.types import SamplingOptions
from parlando.nn.sampling import DrawRules, Ranking, draw

OTHERS = DrawRules(nucleus_of_all=True, redraw_others=True)
OPTIONS = SamplingOptions(temperature=1.0, top_k=25, top_p=0.8, repetition_window=10, repetition_limit=1)
NO_HISTORY = np.zeros((0, 1), dtype=np.int64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def published_nucleus(logits, top_p, top_k):
    """Tokens by falling probability until they hold ``top_p`` of the whole, as published for CosyVoice2."""
    order = logits.softmax(-1).sort(descending=True, stable=True)
    kept, mass = [], 0.0
    for probability, token in zip(order.values.tolist(), order.indices.tolist(), strict=True):
        if mass >= top_p or len(kept) == top_k:
            break
        kept.append(token)
        mass += probability
    return kept


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("top_p", "top_k"), [(0.8, 25), (0.3, 25), (0.99, 25), (0.8, 3)])
def test_the_nucleus_of_all_keeps_what_the_published_one_keeps(seed, top_p, top_k):
    logits = torch.randn(300, generator=generator(seed)) * (1 + seed / 2)
    options = SamplingOptions(temperature=1.0, top_k=top_k, top_p=top_p)
    kept = Ranking(logits[None, None], OTHERS).kept(options)
    weights = np.diff(kept.cumulative[0, 0], prepend=0.0)
    assert kept.indices[0, 0][weights > 0].tolist() == published_nucleus(logits, top_p, top_k)


def test_the_nucleus_of_what_top_k_leaves_is_smaller():
    flat = Ranking(torch.zeros(1, 1, 100)).kept(OPTIONS)
    of_all = Ranking(torch.zeros(1, 1, 100), OTHERS).kept(OPTIONS)
    counts = [len(np.unique(kept.cumulative)) for kept in (flat, of_all)]
    assert counts == [20, 25]


def test_a_redraw_of_others_never_gives_the_repeated_token_and_the_usual_one_may():
    logits = torch.zeros(1, 1, 4)
    logits[..., 2] = 20.0
    history = np.array([[2]])
    drawn = {
        rules: {int(draw(Ranking(logits, rules), 0, OPTIONS, history, generator(seed))[0]) for seed in range(40)}
        for rules in (DrawRules(), OTHERS)
    }
    assert drawn == {DrawRules(): {2}, OTHERS: {0, 1, 3}}


def test_a_token_that_is_the_only_one_left_is_repeated():
    logits = torch.full((1, 1, 4), float("-inf"))
    logits[..., 1] = 0.0
    assert draw(Ranking(logits, OTHERS), 0, OPTIONS, np.array([[1]]), generator()).tolist() == [1]


def test_forbidden_tokens_are_neither_drawn_nor_redrawn_and_found_once():
    ranking = Ranking(torch.zeros(2, 1, 5), OTHERS)
    narrowed = ranking.without((0, 4))
    assert ranking.without((0, 4)) is narrowed
    assert ranking.without(()) is ranking
    history = np.array([[1], [2]])
    assert {int(draw(narrowed, 1, OPTIONS, history, generator(seed))[0]) for seed in range(60)} == {1, 2, 3}
    assert ranking.logits.isfinite().all()
