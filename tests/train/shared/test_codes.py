"""Counts of the codes in use."""

import pytest
import torch

from parlando.train.shared.codes import mean_perplexity, mean_used, perplexity


@pytest.mark.parametrize(("codes", "expected"), [([7, 7, 7], 1), ([1, 2, 3, 4], 4), ([1, 1, 2, 2], 2)])
def test_perplexity_counts_the_codes_in_use(codes, expected):
    assert perplexity(torch.tensor([codes])) == pytest.approx(expected)


def test_codebooks_are_counted_apart():
    codes = torch.tensor([[[7, 7], [1, 2]], [[7, 7], [3, 4]]])
    assert mean_used(codes) == (1 + 4) / 2
    assert mean_perplexity(codes) == pytest.approx((1 + 4) / 2)
