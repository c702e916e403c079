"""CTC's likeliest transcripts: against all alignments written out."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest

from parlando.models.understanding.search import prefix_beam_search

BLANK = 3


def random_log_probs(slots, seed):
    logits = 2 * np.random.default_rng(seed).standard_normal((slots, 4))
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def by_all_alignments(log_probs):
    totals = {}
    for path in product(range(4), repeat=len(log_probs)):
        symbols = tuple(symbol for symbol, _ in groupby(path) if symbol != BLANK)
        totals[symbols] = totals.get(symbols, 0.0) + np.exp(sum(log_probs[t, s] for t, s in enumerate(path)))
    return totals


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_sums_over_all_alignments(seed):
    log_probs = random_log_probs(5, seed)
    expected = by_all_alignments(log_probs)
    found = prefix_beam_search(log_probs, BLANK, 200)
    for each in found[:20]:
        assert np.exp(each.score) == pytest.approx(expected[each.symbols], rel=0.02)
    assert found[0].symbols == max(expected, key=expected.get)


def test_repeats_need_a_blank_between():
    sure = np.log(np.full((5, 4), 1e-6))
    for slot, symbol in enumerate((1, 1, BLANK, 1, 2)):
        sure[slot, symbol] = np.log(0.999)
    assert prefix_beam_search(sure, BLANK, 4)[0].symbols == (1, 1, 2)


def test_nothing_is_heard_in_blanks_and_in_nothing():
    blanks = np.log(np.tile([1e-9, 1e-9, 1e-9, 1 - 3e-9], (6, 1)))
    assert prefix_beam_search(blanks, BLANK, 4)[0].symbols == ()
    assert prefix_beam_search(np.zeros((0, 4)), BLANK, 4)[0].symbols == ()


def test_no_more_are_kept_than_asked_for():
    assert len(prefix_beam_search(random_log_probs(12, 7), BLANK, 3)) == 3
