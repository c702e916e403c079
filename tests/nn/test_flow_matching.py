"""The path from noise to data, its solver, and noise that depends on the position alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from parlando.nn.flow_matching import (
    SIGMA_MIN,
    cosine_grid,
    flow_matching_loss,
    guide,
    path,
    positional_noise,
    solve_euler,
)


def test_the_cosine_grid_runs_from_0_to_1_and_starts_slowly():
    times = cosine_grid(10)
    assert len(times) == 11
    assert (times[0], times[-1]) == pytest.approx((0, 1))
    steps = [b - a for a, b in pairwise(times)]
    assert steps == sorted(steps)
    assert times[5] == pytest.approx(1 - 0.5**0.5)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_the_solver_is_exact_for_a_straight_path(steps):
    noise, data = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    heard = []

    def velocity(x: torch.Tensor, time: float, step: int) -> torch.Tensor:
        heard.append((time, step))
        return data - noise

    assert torch.allclose(solve_euler(velocity, noise, cosine_grid(steps)), data, atol=1e-5)
    assert heard == [(time, step) for step, time in enumerate(cosine_grid(steps)[:-1])]


def test_guidance_goes_beyond_the_conditional_velocity():
    c, u = torch.tensor([3.0]), torch.tensor([1.0])
    assert guide(c, u, 0.7).item() == pytest.approx(3 + 0.7 * 2)
    assert torch.equal(guide(c, u, 0.0), c)


def test_noise_is_the_published_table_and_goes_on_after_its_end():
    table = torch.randn([1, 80, 15_000], generator=torch.Generator().manual_seed(0))[0].T
    assert torch.equal(positional_noise(0, 400, 80, 15_000), table[:400])
    assert torch.equal(positional_noise(14_990, 10, 80, 15_000), table[-10:])
    beyond = positional_noise(14_990, 30, 80, 15_000)
    assert torch.equal(beyond[:10], table[-10:])
    following = torch.randn([80, 15_000], generator=torch.Generator().manual_seed(1)).T
    assert torch.equal(beyond[10:], following[:20])


@pytest.mark.parametrize("cuts", [[1] * 40, [7, 16, 17], [39, 1]])
def test_noise_depends_on_the_position_alone(cuts):
    state = torch.get_rng_state()
    whole, first, pieces = positional_noise(3, 40, 5, 16), 3, []
    for count in cuts:
        pieces.append(positional_noise(first, count, 5, 16))
        first += count
    assert torch.equal(torch.cat(pieces), whole)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_path_leads_from_noise_to_data_at_constant_velocity():
    data, noise = torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    start, velocity = path(data, noise, torch.zeros(3))
    assert torch.equal(start, noise)
    end, _ = path(data, noise, torch.ones(3))
    assert torch.allclose(end, data, atol=1e-5)
    assert torch.allclose(start + velocity, end, atol=1e-5)
    assert torch.allclose(velocity, data - (1 - SIGMA_MIN) * noise)


def test_the_loss_leaves_padding_out():
    velocity = torch.zeros(2, 3, 4)
    predicted = velocity.clone()
    predicted[0, 0] = 2.0
    predicted[1, 2] = 100.0
    valid = torch.tensor([[True, True, True], [True, True, False]])
    assert flow_matching_loss(predicted, velocity, valid).item() == pytest.approx(4 / 5)
    assert flow_matching_loss(predicted[:1], velocity[:1], None).item() == pytest.approx(4 / 3)
