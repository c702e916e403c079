"""Of several codes drawn for one frame, the one nearest to all of them (MBR).

Minimum Bayes risk (Kumar and Byrne, 2004) by samples (Eikema and Aziz, 2022), the risk being the distance of digits.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


def place_values(codes: int, levels: int) -> Int[np.ndarray, " digit"]:
    """What each digit of a number below ``codes`` counts, the first one least; a digit has ``levels`` values."""
    count = 1
    while levels**count < codes:
        count += 1
    return levels ** np.arange(count)


class MinimumBayesRisk:
    """Decides among codes of so many, in digits of so many levels, by the least expected distance."""

    def __init__(self, codes: int, levels: int) -> None:
        self._levels, self._place_values = levels, place_values(codes, levels)

    def of(self, drawn: Int[np.ndarray, "*rows draw"]) -> Int[np.ndarray, "*rows"]:
        """For every row the draw whose digits are nearest to the row's mean ones; of equals, the first."""
        digits = drawn[..., None] // self._place_values % self._levels
        distance = np.square(digits - digits.mean(axis=-2, keepdims=True)).sum(axis=-1)
        return np.take_along_axis(drawn, distance.argmin(axis=-1)[..., None], axis=-1)[..., 0]
