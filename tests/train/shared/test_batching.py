"""Batches of similar examples."""

import numpy as np
import pytest

from parlando.train.shared.batching import similar


@pytest.mark.parametrize("seed", range(8))
def test_a_batch_is_a_stretch_of_the_ordered_examples_and_reaches_its_budget(seed):
    drawn = np.random.default_rng(seed).integers(1, 50, size=24).tolist()
    chosen = similar(drawn, lambda cost: cost, 60, np.random.default_rng(seed))
    assert sum(chosen) >= 60
    assert sum(chosen[:-1]) < 60
    ordered = sorted(drawn)
    assert sorted(chosen) in [ordered[i : i + len(chosen)] for i in range(len(ordered))]


def test_from_the_largest_it_goes_downwards():
    class Last:
        def integers(self, count):
            return count - 1

    assert similar([1, 2, 3, 4], lambda cost: cost, 6, Last()) == [4, 3]


def test_less_than_the_budget_is_all_there_is():
    assert sorted(similar([3, 1, 2], lambda cost: cost, 100, np.random.default_rng(0))) == [1, 2, 3]
