"""A row's way through its text goes on with what its head looks at, and goes on after it was parked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parlando.nn.following import AHEAD, SURE, FollowingCache, TextFollower, looks_of
from parlando.nn.heads import AttentionConfig


def looking_at(position, weight=0.9):
    looks = np.zeros(40, np.float32)
    looks[position] = weight
    return looks


def test_it_goes_on_with_what_is_looked_at_and_never_back_or_far_ahead():
    follower = TextFollower(2)
    follower.begin(1, range(10, 20), 0)
    places = []
    for position, weight in ((10, 0.9), (12, 0.9), (11, 0.9), (14, SURE / 2), (12 + AHEAD + 1, 0.9), (12 + AHEAD, 0.9)):
        follower.follow(1, looking_at(position, weight))
        places.append(follower.place(1))
    assert places == [0, 2, 2, 2, 2, 2 + AHEAD]
    follower.follow(0, looking_at(3))
    assert follower.place(0) == 0, "a row without text stays where it is"


def test_what_was_said_counts_from_the_token_that_was_due():
    follower = TextFollower(1)
    follower.begin(0, range(10), 4)
    assert follower.said(0) == 0
    follower.follow(0, looking_at(6))
    assert (follower.place(0), follower.said(0)) == (6, 2)


def test_a_row_goes_on_in_another_where_it_was_parked():
    cache = FollowingCache(AttentionConfig(8, 2, 1, 4), 1, 2, 40, torch.zeros(1))
    cache.follower.begin(0, range(5, 15), 0)
    cache.looks[0] = torch.from_numpy(looking_at(7))
    assert cache.follow(0) == 2
    parked = cache.park(0)
    cache.follower.begin(0, range(30), 0)
    cache.resume(1, parked)
    cache.looks[1] = torch.from_numpy(looking_at(9))
    assert cache.follow(1) == 4
    assert cache.follower.said(0) == 0


def test_looks_are_the_weights_of_attention():
    query, keys = torch.randn(2, 4), torch.randn(2, 3, 4)
    mask = torch.tensor([[0.0, 0.0, float("-inf")], [0.0, 0.0, 0.0]])
    looks = looks_of(query, keys, mask)
    assert looks.sum(dim=-1).tolist() == pytest.approx([1.0, 1.0])
    assert float(looks[0, 2]) == 0.0
    assert torch.allclose(looks[1], ((keys[1] @ query[1]) / 2).softmax(dim=0), atol=1e-6)
