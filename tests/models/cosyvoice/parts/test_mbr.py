"""Of several codes the one whose digits are nearest to all of them."""

from __future__ import annotations

import numpy as np
import pytest

from parlando.models.cosyvoice.parts.mbr import MinimumBayesRisk, place_values


@pytest.mark.parametrize(("codes", "levels", "places"), [(27, 3, [1, 3, 9]), (28, 3, [1, 3, 9, 27]), (8, 10, [1])])
def test_every_code_has_its_digits(codes, levels, places):
    assert place_values(codes, levels).tolist() == places


def test_the_draw_in_the_middle_is_taken_and_of_equals_the_first():
    agree = MinimumBayesRisk(27, 3)
    drawn = np.array([[0, 13, 26], [26, 0, 26], [1, 2, 1], [9, 0, 9]])
    assert agree.of(drawn).tolist() == [13, 26, 1, 9]
    assert agree.of(np.array([2, 0])).tolist() == 2
