"""Agglomerative clustering of embeddings: the two most similar groups become one while they are similar enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST_AT_ONCE = 600
"""Groups that are compared with each other; of more, parts of a recording are clustered first, then their groups."""


def cluster(embeddings: np.ndarray, weights: Sequence[float], least_similar: float) -> np.ndarray:
    """The group (int [n], numbered by first appearance) of each embedding (float [n, dim], length 1).

    Groups are as similar as their members are on average (average linkage, weighted), and joined from
    ``least_similar`` on.
    """
    groups = np.arange(len(embeddings))
    while True:
        centres, sizes = _centres(embeddings, np.asarray(weights, np.float64), groups)
        parts = [slice(first, first + MOST_AT_ONCE) for first in range(0, len(centres), MOST_AT_ONCE)]
        merged, count = np.empty(len(centres), int), 0
        for part in parts:
            inside = _agglomerate(centres[part], sizes[part], least_similar)
            merged[part] = inside + count
            count += int(inside.max()) + 1
        groups = merged[groups]
        if len(parts) <= 1 or count == len(centres):
            return _by_appearance(groups)


def centre(embeddings: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mean direction (float64 [dim], length 1)."""
    mean = (embeddings * weights[:, None]).sum(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _centres(embeddings: np.ndarray, weights: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means (not of length 1, so that products of two are mean similarities) and weights of all groups."""
    count = int(groups.max()) + 1 if len(groups) else 0
    sizes = np.bincount(groups, weights, count)
    sums = np.zeros((count, embeddings.shape[1]))
    np.add.at(sums, groups, embeddings * weights[:, None])
    return sums / np.maximum(sizes, 1e-12)[:, None], sizes


def _agglomerate(centres: np.ndarray, sizes: np.ndarray, least_similar: float) -> np.ndarray:
    centres, sizes = centres.copy(), sizes.copy()
    similar = centres @ centres.T
    np.fill_diagonal(similar, -np.inf)
    groups = np.arange(len(centres))
    while len(centres) > 1:
        one, other = np.unravel_index(int(similar.argmax()), similar.shape)
        if similar[one, other] < least_similar:
            break
        total = sizes[one] + sizes[other]
        centres[one] = (centres[one] * sizes[one] + centres[other] * sizes[other]) / total
        sizes[one], centres[other] = total, 0.0
        similar[one] = similar[:, one] = np.where(np.isneginf(similar[one]), -np.inf, centres @ centres[one])
        similar[other] = similar[:, other] = -np.inf
        groups[groups == other] = one
    return _by_appearance(groups)


def _by_appearance(groups: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    order = np.empty(len(first), int)
    order[np.argsort(first)] = np.arange(len(first))
    return order[inverse]
