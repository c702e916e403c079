"""The hook of `pyproject.toml` is on, and it sees shapes."""

from __future__ import annotations

import jaxtyping
import numpy as np
import pytest

from parlando.nn.sampling import invert


def test_a_call_with_the_wrong_rank_is_refused_while_testing():
    with pytest.raises(jaxtyping.TypeCheckError, match="codebook rows"):
        invert(np.ones(4), np.ones(4))


def test_sizes_that_disagree_between_two_tensors_are_refused():
    with pytest.raises(jaxtyping.TypeCheckError, match="uniform"):
        invert(np.ones((4, 3)), np.ones(5))


def test_a_call_as_annotated_goes_through():
    assert invert(np.ones((4, 3)), np.zeros(4)).shape == (4,)
