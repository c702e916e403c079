import pytest
import torch

from parlando.train.shared.losses import FINE_RESOLUTIONS, SpectralLoss, known_cross_entropy


@pytest.fixture(scope="module")
def loss():
    return SpectralLoss(24_000)


def wave(seed=0, samples=4_800):
    return 0.1 * torch.randn(1, samples, generator=torch.Generator().manual_seed(seed))


def test_equal_waves_cost_nothing(loss):
    assert float(loss(wave(), wave())) == 0


def test_other_waves_cost_more_the_more_they_differ(loss):
    near, far = loss(wave() + 0.1 * wave(1), wave()), loss(wave(1) * 4, wave())
    assert 0 < float(near) < float(far)


def test_half_the_loudness_costs_log_2_and_half_the_magnitude(loss):
    assert float(loss(0.5 * wave(), wave())) == pytest.approx(0.6931 + 0.5 * 0.5, abs=0.01)


def test_fine_resolutions_hear_when_a_click_comes(loss):
    """32 samples are a millisecond and a third: moved by two, a click is elsewhere there and at its place in others."""
    early, late = torch.zeros(2, 1, 4_800).unbind(0)
    early[0, 2_400], late[0, 2_448] = 1.0, 1.0
    fine = SpectralLoss(24_000, FINE_RESOLUTIONS)
    assert len(fine.mels) == 7
    assert float(fine(early, early)) == 0
    assert float(fine(early, late)) > 2 * float(loss(early, late))


def test_gradients_reach_the_made_wave_alone(loss):
    made, real = wave(1).requires_grad_(), wave().requires_grad_()
    loss(made, real.detach()).backward()
    assert made.grad.isfinite().all()
    assert made.grad.abs().sum() > 0
    assert real.grad is None


def test_silence_against_silence_is_finite(loss):
    made = torch.zeros(1, 4_800, requires_grad=True)
    loss(made, torch.zeros(1, 4_800)).backward()
    assert made.grad.isfinite().all()


def test_unknown_targets_cost_nothing_and_leave_gradients_finite():
    logits = torch.randn(3, 4, requires_grad=True)
    nothing = known_cross_entropy(logits, torch.full((3,), 255), 255)
    nothing.backward()
    assert float(nothing.detach()) == 0
    assert torch.equal(logits.grad, torch.zeros(3, 4))
    some = known_cross_entropy(logits, torch.tensor([255, 2, 255]), 255)
    assert float(some.detach()) == pytest.approx(-float(logits[1].log_softmax(-1)[2].detach()), rel=1e-6)
