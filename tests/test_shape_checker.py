"""The hook of `pyproject.toml` is on, and it sees shapes."""

from __future__ import annotations

import jaxtyping
import pytest
import torch

from parlando.nn.sampling import draw_inverse


def test_a_call_with_the_wrong_rank_is_refused_while_testing():
    with pytest.raises(jaxtyping.TypeCheckError, match="codebook rows"):
        draw_inverse(torch.ones(4), torch.ones(4))


def test_sizes_that_disagree_between_two_tensors_are_refused():
    with pytest.raises(jaxtyping.TypeCheckError, match="uniform"):
        draw_inverse(torch.ones(4, 3), torch.ones(5))


def test_a_call_as_annotated_goes_through():
    assert draw_inverse(torch.ones(4, 3), torch.zeros(4)).shape == (4,)
