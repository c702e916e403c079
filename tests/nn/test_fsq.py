"""Finite scalar quantisation: its codes, their inverse, and the gradient that passes the rounding."""

from __future__ import annotations

import pytest
import torch

from parlando.core.errors import ConfigError
from parlando.nn.fsq import MARGIN, FiniteScalarQuantizer


def identity(levels):
    made = FiniteScalarQuantizer(len(levels), levels)
    made.load_state_dict({"project_in.weight": torch.eye(len(levels)), "project_in.bias": torch.zeros(len(levels))})
    return made


def test_the_first_digit_counts_least():
    made = identity((3,) * 8)
    low, high = -9.0, 9.0
    x = torch.tensor([[low] * 8, [0.0] * 8, [high] * 8, [high] + [low] * 7, [low] * 7 + [0.0], [low, high] + [low] * 6])
    assert made.encode(x).tolist() == [0, 3280, 6560, 2, 3**7, 6]
    assert made.num_codes == 6561


def test_three_levels_change_where_the_bounded_value_passes_one_half():
    edge = torch.atanh(torch.tensor(0.5 / (1 - MARGIN)))
    x = torch.stack((edge - 1e-4, edge + 1e-4, -edge + 1e-4, -edge - 1e-4))[:, None]
    assert identity((3,)).encode(x).tolist() == [1, 2, 1, 0]


@pytest.mark.parametrize("levels", [(3,) * 4, (8, 5, 5), (4,)])
def test_every_code_can_be_reached_and_decodes_to_what_was_rounded(levels):
    torch.manual_seed(0)
    made = identity(levels)
    x = torch.randn(20_000, len(levels)) * 1.5
    rounded, codes = made(x)
    assert torch.equal(codes.unique(), torch.arange(made.num_codes))
    assert torch.allclose(made.decode(codes), rounded, atol=1e-6)
    assert torch.equal(made.encode(x), codes)
    assert rounded.abs().max() <= 1 + 1e-6


def test_any_leading_dimensions_are_kept():
    made = FiniteScalarQuantizer(6, (3, 3))
    assert made.encode(torch.randn(2, 5, 6)).shape == (2, 5)
    assert made.encode(torch.randn(6)).shape == ()


def test_gradients_are_those_of_the_bounded_value():
    made = identity((3, 5))
    x = torch.tensor([[0.3, -1.2]], requires_grad=True)
    made(x)[0].sum().backward()
    half = torch.tensor([1.0, 2.0]) * (1 - MARGIN)
    expected = half * (1 - torch.tanh(x.detach()) ** 2) / torch.tensor([1.0, 2.0])
    assert torch.allclose(x.grad, expected, atol=1e-6)


@pytest.mark.parametrize("levels", [(), (3, 2)])
def test_too_few_levels_are_a_config_error(levels):
    with pytest.raises(ConfigError, match="levels"):
        FiniteScalarQuantizer(4, levels)
