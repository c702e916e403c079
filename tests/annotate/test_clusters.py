"""Groups of embeddings: as many as there are directions, whatever the order, also of more than are compared at once."""

from __future__ import annotations

import numpy as np
import pytest

from parlando.annotate import clusters
from parlando.annotate.clusters import cluster


def points(counts, dim=8, spread=0.15, seed=0):
    generator = np.random.default_rng(seed)
    made = np.concatenate(
        [np.eye(dim)[place] + spread * generator.standard_normal((n, dim)) for place, n in enumerate(counts)]
    )
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_directions_become_groups_numbered_by_appearance():
    embeddings, truth = points([5, 7, 3]), np.repeat([0, 1, 2], [5, 7, 3])
    order = np.random.default_rng(1).permutation(15)
    groups = cluster(embeddings[order], np.ones(15), 0.5)
    assert groups[0] == 0
    assert len(set(zip(groups, truth[order], strict=True))) == 3
    assert sorted(set(groups)) == [0, 1, 2]


def test_the_bound_decides_how_many_there_are():
    embeddings = points([4, 4])
    assert set(cluster(embeddings, np.ones(8), -1.0)) == {0}
    assert set(cluster(embeddings, np.ones(8), 0.999999)) == set(range(8))


@pytest.mark.parametrize("most", [4, 10])
def test_long_recordings_are_clustered_part_by_part(most, monkeypatch):
    monkeypatch.setattr(clusters, "MOST_AT_ONCE", most)
    embeddings = points([10, 10, 10])[np.random.default_rng(2).permutation(30)]
    nearest = embeddings[:, :3].argmax(axis=1)
    groups = cluster(embeddings, np.ones(30), 0.5)
    assert len(set(zip(groups, nearest, strict=True))) == 3


def test_similarity_is_the_mean_over_all_pairs_by_weight():
    one, other, far = np.eye(3)[0], np.array([0.8, 0.6, 0.0]), np.array([0.3, 0.0, np.sqrt(0.91)])
    embeddings = np.stack([one, other, far])
    # One and other join first (0.8); far is 0.3 and 0.24 like them, on average 0.27.
    assert list(cluster(embeddings, [1.0, 1.0, 1.0], 0.28)) == [0, 0, 1]
    assert list(cluster(embeddings, [1.0, 1.0, 1.0], 0.26)) == [0, 0, 0]
    # The one that counts for more pulls the mean to 0.297.
    assert list(cluster(embeddings, [19.0, 1.0, 1.0], 0.29)) == [0, 0, 0]
